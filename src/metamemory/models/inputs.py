"""What a learner refuses to be given, told in one line before anything is computed.

Types and shapes are looked at in every call, in microseconds; whether labels are among those of the learner, on the CPU
only: a GPU would have to be waited for. Nothing is looked at where a call is traced or compiled, for there shapes may
be symbols and tensors have no values.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from metamemory.errors import UserError
from metamemory.nn.labels import Characters, Classes, Labels, Masks, Values
from metamemory.refusals import check_inputs, check_numbers, check_state

PUBLIC = ("forward", "run", "absorb", "step", "predict", "answer_queries")  # what a learner can be asked


def shape_of_input(given: Sequence[Any], named: Mapping[str, Any]) -> tuple[int, ...]:
    """What a constructor is told of it; empty where it is told nothing."""
    shape = given[0] if given else named.get("input_shape")
    return tuple(shape) if isinstance(shape, Sequence) else ()


def checked(name: str, method: Callable) -> Callable:
    """A method of `PUBLIC` that looks at what it is given, unless the learner itself calls it."""
    look = globals()[f"_look_{name}"] if name in ("predict", "answer_queries", "step") else _look

    @functools.wraps(method)
    def wrapper(self: Any, *given: Any, **named: Any) -> Any:
        if self.__dict__.get("_at_work") or torch.compiler.is_compiling() or torch.jit.is_tracing():
            return method(self, *given, **named)
        look(self, *given, **named)
        check_state(self, name, given, named)
        self.__dict__["_at_work"] = True
        try:
            return _outside_inference(method, self, given, named)
        finally:
            self.__dict__["_at_work"] = False

    wrapper.checks_inputs = True
    return wrapper


def _outside_inference(method: Callable, learner: Any, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """What a method returns; of a learner that takes gradients in evaluation, with copies and outside of
    `torch.inference_mode`, in which nothing can be derived, and of what was made in it nothing ever."""
    inferred = learner.differentiates and (
        torch.is_inference_mode_enabled()
        or any(isinstance(each, Tensor) and each.is_inference() for each in tree_leaves((given, named)))
    )
    if not inferred:
        return method(learner, *given, **named)
    trains = torch.is_grad_enabled()
    with torch.inference_mode(False), torch.set_grad_enabled(trains):
        given, named = tree_map_only(Tensor, torch.clone, (given, named))
        return method(learner, *given, **named)


def _look(learner: Any, x: Any, y_seen: Any, *_: Any, **__: Any) -> None:
    _require(learner, "x", x, ("time", "batch"))
    check_inputs(learner, "x", x, steps=True)
    _require_labels(learner, "y_seen", y_seen, x, 2)


def _look_step(learner: Any, x_t: Any, y_seen_t: Any, *_: Any, **__: Any) -> None:
    _require(learner, "x_t", x_t, ("batch",))
    check_inputs(learner, "x_t", x_t)
    _require_labels(learner, "y_seen_t", y_seen_t, x_t, 1)


def _look_predict(learner: Any, query_x: Any, state: Any, y_seen: Any = None) -> None:
    _require(learner, "query_x", query_x, ("query", "batch"))
    check_inputs(learner, "query_x", query_x, steps=y_seen is not None)
    if y_seen is not None:
        _require_labels(learner, "y_seen", y_seen, query_x[0], 1)


def _look_answer_queries(learner: Any, support_x: Any, support_y: Any, query_x: Any) -> None:
    _require(learner, "support_x", support_x, ("support", "batch"))
    check_inputs(learner, "support_x", support_x, steps=learner.answers == "label")
    _require_labels(learner, "support_y", support_y, support_x, 2)
    _require(learner, "query_x", query_x, ("query", "batch"))
    check_inputs(learner, "query_x", query_x, steps=learner.answers == "label")
    if query_x.shape[1] != support_x.shape[1] or query_x.device != support_x.device:
        raise UserError(
            f"{learner.name}: query_x is {_told(query_x)} and support_x {_told(support_x)}; batch and device must agree"
        )


def _require(learner: Any, name: str, x: Any, axes: Sequence[str]) -> None:
    """Inputs: of a real type, with these axes before those of one input."""
    shape = learner.input_shape
    right = isinstance(x, Tensor) and x.is_floating_point()
    if right and (not shape or (x.dim() == len(axes) + len(shape) and x.shape[len(axes) :] == shape)):
        return
    wanted = f"[{', '.join((*axes, *map(str, shape)))}] of real numbers"
    mend = (
        "; images become such by tasks.sampling.normalise" if isinstance(x, Tensor) and x.dtype == torch.uint8 else ""
    )
    raise UserError(f"{learner.name}: {name} is {_told(x)} and must be {wanted}{mend}")


def _require_labels(learner: Any, name: str, y: Any, x: Tensor, axes: int) -> None:
    """Labels of inputs x that have so many axes before their own."""
    labels: Labels | None = getattr(learner, "labels", None)
    if labels is None:
        return
    whole = isinstance(labels, Classes | Characters)
    shape = (*x.shape[:axes], *_shape(labels))
    if isinstance(labels, Masks) and isinstance(y, Tensor) and y.dim() == axes:
        shape = x.shape[:axes]  # a label that holds for every pixel
    right = isinstance(y, Tensor) and (y.dtype == torch.int64 if whole else y.is_floating_point() or y.dim() == axes)
    if not right or y.shape != shape or y.device != x.device:
        kind = "int64" if whole else "of real numbers"
        raise UserError(f"{learner.name}: {name} is {_told(y)} and must be {list(shape)} {kind} on {x.device}, as x is")
    if isinstance(labels, Masks | Values) and y.is_floating_point():
        check_numbers(learner, name, y, isinstance(labels, Masks))
    if whole and type(y) is Tensor and y.is_cpu and y.numel():
        most = (labels.n_way if isinstance(labels, Classes) else labels.alphabet) - 1
        low, high = torch.aminmax(y)
        if low < -1 or high > most:
            raise UserError(
                f"{learner.name}: {name} has labels from {low} to {high}; there are 0 to {most}, and -1 for null"
            )


def _shape(labels: Labels) -> tuple[int, ...]:
    match labels:
        case Characters():
            return (labels.length,)
        case Values():
            return (labels.size,)
        case Masks():
            return (labels.height, labels.width)
    return ()


def _told(x: Any) -> str:
    if not isinstance(x, Tensor):
        return type(x).__name__
    return f"{list(x.shape)} {str(x.dtype).removeprefix('torch.')} on {x.device}"
