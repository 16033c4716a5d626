"""Sequence operations as operators of torch, `torch.ops.metamemory`, so that whatever handles operators can handle
them: `torch.jit.trace`, `torch.export`, `torch.compile`, autocast, transforms of functions, tensors without values.

An operation is three operators. `x` is what callers call; where gradients are taken, its autograd function calls
`x_forward`, which also returns what the backward pass needs, and `x_backward`. None writes to what it is given, or
returns it. Inside an operator tensors are plain ones, of the device's own; what they are is checked once more where
addresses are taken (`native.checked`).

Where nothing of that is at work, with plain tensors on the CPU and no gradient to be taken, a call goes to the kernel
without a detour: an online step is so short that the way through torch would be a tenth of it.

Modules call an operator by the name that `define` was assigned to, never through `torch.ops`: so the digest of the
source of a run (`study.source`) finds what it executes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils.flop_counter import FlopCounterMode, register_flop_formula

from metamemory.errors import UserError

NAMESPACE = "metamemory"
HALF = (torch.float16, torch.bfloat16)
FULL = (torch.float32, torch.float64)
NO_TENSOR = (float, int, bool, type(None))

_libraries: dict[str, torch.library.Library] = {}  # an operator is there as long as its library is kept


def define(
    schema: str,
    kernel: Callable[..., Any],
    fake: Callable[..., Any],
    gradient: type[torch.autograd.Function] | None = None,
    formula: Callable[..., Any] | None = None,
    widen: bool = False,
    products: bool = True,
) -> Callable[..., Any]:
    """The operator of a schema, "name(Tensor x, float rate) -> (Tensor, Tensor)", as a function; `operator` is its
    attribute for what torch has.

    Args:
        kernel: computes it, on any device.
        fake: makes tensors like those that the kernel returns, strides included, without values.
        gradient: how it is differentiated; without, it is for autograd functions to call.
        formula: the same in functions of torch, for transforms (`torch.func`) that want more than that.
        widen: in autocast, make numbers of less than 32 bits float32 first. Autocast is off inside every operator and
            in its backward pass: it would change types between a tensor and the C function that takes it.
        products: whether the kernel has products of matrices or convolutions, whose FLOPs are counted.
    """
    name = schema[: schema.index("(")]
    _libraries.pop(name, None)  # its module is imported again
    vars(getattr(torch.ops, NAMESPACE)).pop(name, None)
    library = _libraries[name] = torch.library.Library(NAMESPACE, "FRAGMENT")
    library.define(schema)
    packet = getattr(getattr(torch.ops, NAMESPACE), name)
    library.impl(name, kernel, "CompositeExplicitAutograd")
    torch.library.register_fake(f"{NAMESPACE}::{name}", fake, lib=library)
    if gradient is not None:
        library.impl(name, _differentiable(gradient, formula), "Autograd")
    torch.library.register_vmap(f"{NAMESPACE}::{name}", _one_by_one(packet.default), lib=library)
    for device in ("cpu", "cuda"):
        library.impl(name, _without_autocast(packet.default, device, widen), f"Autocast{device.upper()}")
    register_flop_formula(packet, get_raw=True)(_flops(kernel if products else fake))
    return _shortened(packet.default, kernel)


def _shortened(operator: Callable[..., Any], kernel: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        if not _plain(arguments):
            return operator(*arguments)
        if torch.is_grad_enabled():
            with torch.no_grad():
                return kernel(*arguments)
        return kernel(*arguments)

    call.operator = operator
    return call


def _plain(arguments: tuple[Any, ...]) -> bool:
    """Whether there is nothing that torch would have to do for an operator: no trace, mode or transform is active, and
    every tensor is one of numbers as they lie in the memory of the CPU, of which no gradient is to be taken."""
    if (
        torch.compiler.is_compiling()
        or torch._C._is_tracing()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._len_torch_function_stack()
        or torch._C._are_functorch_transforms_active()
        or torch.is_autocast_enabled("cpu")
        or forward_ad._current_level >= 0
    ):
        return False
    derives = torch.is_grad_enabled()
    return all(
        type(each) in NO_TENSOR
        or (
            type(each) in (Tensor, nn.Parameter)
            and torch._C._dispatch_keys(each).raw_repr() in _KEYS
            and not (derives and each.requires_grad)
        )
        for each in arguments
    )


def _keys() -> frozenset[int]:
    """Of plain tensors on the CPU, made outside of `torch.inference_mode` and in it."""
    made = [torch.empty(0)]
    with torch.inference_mode():
        made.append(torch.empty(0))
    return frozenset(torch._C._dispatch_keys(each).raw_repr() for each in made)


_KEYS = _keys()


def agree(operation: str, **tensors: tuple[Tensor, tuple[int, ...], tuple[torch.dtype, ...]]) -> None:
    """Refuse tensors that do not go together.

    Args:
        operation: for the message.
        tensors: by name, each with the size that it must have, and the types that it may have.

    Raises:
        UserError: one has another size or type, lies on another device than the first, or is not a plain array.
    """
    device = None
    for name, (tensor, size, types) in tensors.items():
        device = tensor.device if device is None else device
        if (
            tensor.shape != size
            or tensor.dtype not in types
            or tensor.device != device
            or tensor.layout is not torch.strided
        ):
            raise UserError(f"{operation}: {name} is {described(tensor)}; it must be {_wanted(size, types, device)}")


def described(tensor: Tensor) -> str:
    """Type, size, device and layout of a tensor, in words: "float32 [2, 3] on cpu"."""
    layout = "" if tensor.layout is torch.strided else f", {str(tensor.layout).removeprefix('torch.')}"
    return f"{_name(tensor.dtype)} {list(tensor.shape)} on {tensor.device}{layout}"


def _wanted(size: tuple[int, ...], types: tuple[torch.dtype, ...], device: torch.device) -> str:
    return f"{' or '.join(map(_name, types))} {list(size)} on {device}, strided"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _without_autocast(operator: Callable[..., Any], device: str, widen: bool) -> Callable[..., Any]:
    def kernel(*arguments: Any) -> Any:
        with torch.autocast(device, enabled=False):
            return operator(*(map(_widened, arguments) if widen else arguments))

    return kernel


def _differentiable(gradient: type[torch.autograd.Function], formula: Callable[..., Any]) -> Callable[..., Any]:
    def kernel(*arguments: Any) -> Any:
        return (formula if torch._C._are_functorch_transforms_active() else gradient.apply)(*arguments)

    return kernel


def _one_by_one(operator: Callable[..., Any]) -> Callable[..., Any]:
    """Of `torch.vmap`, whose axes are None for what has none."""

    def rule(info: Any, axes: tuple[int | None, ...], *arguments: Any) -> tuple[Any, Any]:
        answers = [
            operator(*(each if axis is None else each.select(axis, n) for each, axis in pairs))
            for n in range(info.batch_size)
            for pairs in [zip(arguments, axes, strict=True)]
        ]
        if isinstance(answers[0], Tensor):
            return torch.stack(answers), 0
        stacked = tuple(map(torch.stack, zip(*answers, strict=True)))
        return stacked, (0,) * len(stacked)

    return rule


def _widened(argument: Any) -> Any:
    return argument.float() if isinstance(argument, Tensor) and argument.dtype in HALF else argument


def _flops(kernel: Callable[..., Any]) -> Callable[..., int]:
    """Those of the torch functions that a kernel calls where it has no C function: on the meta device."""

    def count(*arguments: Any, **_: Mapping[str, Any]) -> int:
        ghosts = [each.to("meta") if isinstance(each, Tensor) else each for each in arguments]
        with FlopCounterMode(display=False) as counter:
            kernel(*ghosts)
        return counter.get_total_flops()

    return count
