"""What learners and tasks refuse: arguments, states, batches and generators that are none of theirs.

A constructor is called with whatever its annotations declare, as settings of `params/` are (`settings`): the kind of
each argument, and its range. Nothing defined here may do anything but refuse: it counts to the digest of a run, but
results can be carried over what changes here (`study.refusing`).
"""

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Union, get_args, get_origin
from weakref import WeakKeyDictionary

import torch
from torch import Generator, Tensor
from torch.utils._pytree import tree_map_only

from metamemory.errors import UserError
from metamemory.settings import Count, Declared, Index, Items, SettingError, check_value, declared, parameters_of

MOST_BYTES = 2**34  # of all images of a data set


def check_arguments(of: type, given: Sequence[Any], named: Mapping[str, Any]) -> None:
    """Refuse what a constructor is called with and does not declare. What is missing or unknown is left to Python.

    Raises:
        UserError: an argument is of another kind, or out of its range.
    """
    kinds = _kinds(of)
    places = [name for name, each in inspect.signature(of.__init__).parameters.items() if each.kind in PLACED][1:]
    for name, value in {**dict(zip(places, given, strict=False)), **named}.items():
        if name in kinds:
            try:
                _check(f"{of.__name__}: {name}", value, kinds[name])
            except SettingError as error:
                raise UserError(str(error)) from None


def check_calls(of: type) -> None:
    """Have the methods of a class that are asked for a batch (`initial_state`, `sample`) refuse what is none."""
    for name in ("initial_state", "sample"):
        if inspect.isfunction(vars(of).get(name)):
            setattr(of, name, _with_batch(vars(of)[name]))


def check_state(learner: Any, method: str, given: Sequence[Any], named: Mapping[str, Any]) -> None:
    """Refuse a state that is not of the learner, or of other episodes than the inputs that come with it.

    Raises:
        UserError: it is.
    """
    if method not in STATES:
        return
    (inputs, place, axis) = STATES[method]
    x = given[0] if given else named[inputs]
    if place >= len(given) and "state" not in named:
        return
    state, batch = given[place] if place < len(given) else named["state"], x.shape[axis]
    one, two = _initial_states(learner)
    if fault := _fault(state, one, two, batch):
        raise UserError(f"{learner.name}: state {fault}; one is made by initial_state({batch}), and by each step")


def check_inputs(learner: Any, name: str, x: Tensor, steps: bool = False) -> None:
    """Refuse inputs of another type, or on another device, than the learner's weights; and no step or sample at all.

    Raises:
        UserError: they are.
    """
    if steps and not len(x):
        least = "a step" if name.startswith("x") else "a sample"
        raise UserError(f"{learner.name}: {name} is {_told(x)} and must have {least} at least")
    weight = next((each for each in learner.parameters() if each.is_floating_point()), None)
    if weight is None or (x.device.type in ("cpu", "cuda") and torch.is_autocast_enabled(x.device.type)):
        return
    if x.dtype != weight.dtype or x.device != weight.device:
        mend = f"x.to({weight.device.type!r}, {weight.dtype})"
        found, wanted = (f"{each.dtype} on {each.device}".removeprefix("torch.") for each in (x, weight))
        raise UserError(f"{learner.name}: {name} is {found} and must be {wanted}, as the weights are: {mend}")


def check_numbers(learner: Any, name: str, y: Tensor, masks: bool) -> None:
    """Refuse labels that are real numbers and cannot be: masks beyond -1 to 1, values that are infinite.

    They are looked at on the CPU only: a GPU would have to be waited for.

    Raises:
        UserError: they are.
    """
    if not y.is_cpu or type(y) is not Tensor or not y.numel():
        return
    if not (y.abs() <= 1).all() if masks else y.isinf().any():
        reach = "from 0 to 1, and -1 for null" if masks else "finite, and nan for null"
        raise UserError(f"{learner.name}: {name} has numbers that are none of its labels, which must be {reach}")


def check_memory(title: str, shape: Sequence[int], size: int) -> None:
    """Refuse images [class, image, height, width(, channel)] that would fill the memory at `size` x `size` pixels.

    Raises:
        UserError: they would.
    """
    classes, images, _, _, *channels = shape
    needed = classes * images * math.prod(channels) * size**2
    if needed > MOST_BYTES:
        raise UserError(
            f"{title}: its {classes * images:,} images take {needed / 2**30:.0f} GiB at size {size}, and may take "
            f"{MOST_BYTES // 2**30}: choose a smaller size"
        )


def check_normalisation(normalisation: Any, images: Tensor) -> None:
    """Refuse a mean and a deviation that are not those of images [class, image, channel, height, width].

    Raises:
        UserError: they are of other channels, or a deviation is not above 0.
    """
    for name, each in zip(("mean", "deviation"), normalisation, strict=True):
        if not isinstance(each, Tensor) or each.shape != (images.shape[2], 1, 1) or each.device != images.device:
            raise UserError(
                f"task: {name} of the normalisation is {_told(each)}; it must be that of Normalisation.of(images)"
            )
    if not (normalisation[1] > 0).all():
        raise UserError("task: deviation of the normalisation is not above 0; see Normalisation.of(images)")


def first_order(backward: Callable) -> Callable:
    """A backward pass that has no derivative of its own refuses to be asked for one.

    `once_differentiable` says so only where the input has no other way to the loss; elsewhere what is missing would be
    left out without a word.
    """

    @functools.wraps(backward)
    def wrapper(context: Any, *gradients: Any) -> Any:
        if torch.is_grad_enabled():
            raise UserError(
                "a gradient of a gradient (create_graph=True) is asked of an operation that is once_differentiable; "
                "torch.func takes its formula instead, which is beside it as `…_reference`"
            )
        return backward(context, *gradients)

    return wrapper


# arguments

PLACED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
PLAIN = (bool, int, float, str, list, tuple, dict, type(None))
INSTEAD = {"delay": Index}  # of an annotation that is only `int`


@functools.cache
def _kinds(of: type) -> dict[str, Declared]:
    """Name -> argument, of the constructor and of those that it hands on what it does not know itself."""
    kinds: dict[str, Declared] = {}
    for each in (each for each in of.__mro__ if "__init__" in vars(each)):
        try:
            kinds = {**declared(each), **kinds}
        except Exception:  # annotations can be anything: of some, only a reader knows what they mean
            return {}
        if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters_of(each)):
            break
    sizes = {name: Count for name in kinds} if issubclass(of, Sizes) else {}
    return {name: Declared(sizes.get(name) or _kind(name, each.kind), each.default) for name, each in kinds.items()}


def _kind(name: str, kind: Any) -> Any:
    """An annotation, with the range that its name implies."""
    if kind is int:
        return INSTEAD.get(name, kind)
    if get_origin(kind) is tuple and get_args(kind)[:1] == (int,):  # a shape
        length = None if get_args(kind)[1:] == (...,) else len(get_args(kind))
        return Annotated[Sequence[Count], Items(least=length or 1, most=length)]
    if any(inspect.isclass(each) and issubclass(each, Sizes) for each in get_args(kind)):  # labels
        return Union[(Count, *(each for each in get_args(kind) if each is not int))]
    return kind


def _check(name: str, value: Any, known: Declared) -> None:
    classes = [each for each in (get_args(known.kind) or (known.kind,)) if _is_class(each)]
    if isinstance(value, tuple(classes)) or value is known.default:
        return
    if known.kind in classes or (_is_protocol(known.kind) and isinstance(value, PLAIN)):
        raise SettingError(f"{name} is {_told(value)}, and must be {known.kind.__name__}", name)
    ranged = [each for each in get_args(known.kind) if each not in classes] if classes else []
    kind = ranged[0] if len(ranged) == 1 else known.kind
    plain = value if classes and isinstance(value, PLAIN) else _Other(value) if classes else _plain(value)
    check_value(name, plain, Declared(kind, known.default))


def _is_class(kind: Any) -> bool:
    """Whether an annotation is a class of objects, not of plain values, that `isinstance` knows."""
    known = inspect.isclass(kind) and get_origin(kind) is None and kind not in (Any, object, *PLAIN)
    return known and not _is_protocol(kind)


def _is_protocol(kind: Any) -> bool:
    return getattr(kind, "_is_protocol", False)


def _plain(value: Any) -> Any:
    """A value as settings are: numbers of NumPy as Python's, and what is no plain value as its name."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str | Mapping) else _Other(value)


class _Other:
    """Something that is no plain value, in an error."""

    def __init__(self, value: Any):
        self.value = value

    def __repr__(self) -> str:
        return _told(self.value)


def _told(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {list(value.shape)}"
    return repr(value) if value is None or isinstance(value, bool | int | float | str) else f"a {type(value).__name__}"


# batches and states

FORMS: WeakKeyDictionary[Any, tuple[Any, Any]] = WeakKeyDictionary()  # of the states of learners
STATES = {"run": ("x", 2, 1), "absorb": ("x", 2, 1), "step": ("x_t", 2, 0), "predict": ("query_x", 1, 1)}


def _with_batch(method: Callable) -> Callable:
    @functools.wraps(method)
    def wrapper(self: Any, batch: Any, *given: Any, **named: Any) -> Any:
        if not (torch.compiler.is_compiling() or torch.jit.is_tracing() or isinstance(batch, torch.SymInt)):
            _check_batch(self, batch, *given, **named)
        return method(self, batch, *given, **named)

    return wrapper


def _check_batch(of: Any, batch: Any, *given: Any, **named: Any) -> None:
    name = getattr(of, "name", None) or "task"
    if type(_plain(batch)) is not int or batch < 0:
        raise UserError(f"{name}: batch is {_told(_plain(batch))} and must be a whole number from 0 on")
    for generator in (*given[:1], *(value for key, value in named.items() if key == "generator")):
        if not isinstance(generator, Generator):
            raise UserError(f"{name}: generator is {_told(generator)} and must be a torch.Generator")
        device = getattr(of, "device", generator.device)
        if generator.device.type != torch.device(device).type:
            raise UserError(f"{name}: generator is on {generator.device} and must be on {device}, as the task is")


def _with_answers(method: Callable) -> Callable:
    @functools.wraps(method)
    def wrapper(self: Any, learner: Any, episode: Any) -> Any:
        answers = method(self, learner, episode)
        if not torch.compiler.is_compiling():
            _check_answers(self, learner, episode, answers)
        return answers

    return wrapper


def _check_answers(task: Any, learner: Any, episode: Any, answers: Any) -> None:
    """Where targets are labels, an answer has a logit for each class at least: a learner may know of more classes."""
    queries = getattr(episode, "query_y", None)
    target = getattr(episode, "y", None) if queries is None else queries
    n_way = getattr(task, "n_labels", getattr(task, "n_way", None))
    if not isinstance(target, Tensor) or target.is_floating_point() or target.dim() != 2 or n_way is None:
        return
    batch, size = target.shape[1], tuple(answers.shape) if isinstance(answers, Tensor) else ()
    if len(size) != 3 or size[1] != batch or size[2] < n_way:
        name = getattr(learner, "name", type(learner).__name__)
        wanted = f"logits [steps or queries, {batch}, {n_way}]"
        raise UserError(f"{name}: it answers with {_told(answers)}; where there are labels, answers are {wanted}")


def _kind_of(tensor: Tensor) -> tuple[bool, bool]:
    """Whether it has real numbers, and whether complex ones. How many bits may change with the learner."""
    return tensor.is_floating_point(), tensor.is_complex()


def _initial_states(learner: Any) -> tuple[Any, Any]:
    """Of one episode and of two, without values; where their shapes differ is the axis of episodes."""
    if learner not in FORMS:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):  # a state that is drawn is drawn again
            states = learner.initial_state(1), learner.initial_state(2)
        FORMS[learner] = tree_map_only(Tensor, lambda each: each.to("meta"), states)
    return FORMS[learner]


def _fault(state: Any, one: Any, two: Any, batch: int) -> str | None:
    """What is wrong with a state; None if nothing is. An axis that is empty at first may grow."""
    if isinstance(one, Tensor):
        if not isinstance(state, Tensor) or state.dim() != one.dim():
            return f"has {_told(state)} where a tensor with {one.dim()} axes must be"
        if _kind_of(state) != _kind_of(one):
            return f"has {_told(state)} of {state.dtype}, and must have {one.dtype}".replace("torch.", "")
        for size, of_one, of_two in zip(state.shape, one.shape, two.shape, strict=True):
            if of_one != of_two and size != batch * of_one:
                return f"is of {size} episodes, and the inputs are of {batch}"
            if of_one == of_two and of_one and size != of_one:
                return f"is not this learner's: it has {_told(state)}, where an axis must have {of_one}"
        return None
    if type(state) is not type(one) and not (isinstance(state, tuple) and isinstance(one, tuple)):
        return f"is {_told(state)} and must be {type(one).__name__}"
    if isinstance(one, Mapping):
        parts = [(state.get(name), one[name], two[name]) for name in one]
    elif is_dataclass(one):
        parts = [tuple(getattr(each, field.name) for each in (state, one, two)) for field in fields(one)]
    elif isinstance(one, list | tuple):
        if len(state) != len(one):
            return f"has {len(state)} parts and must have {len(one)}"
        parts = list(zip(state, one, two, strict=True))
    else:
        return None
    return next((fault for part in parts if (fault := _fault(*part, batch))), None)


# what others are derived from


class Checked:
    """A base whose subclasses are made of what they declare only, and sample only so much as there can be.

    Raises:
        UserError: (when it is made) an argument is of another kind than its annotation or out of that one's range;
            (when it is asked for a batch) the batch is no whole number from 0 on, or the generator is none, or on
            another device; (a task, when it asks a learner) the answers are of another form than it takes.
    """

    def __new__(cls, *given: Any, **named: Any) -> "Checked":
        check_arguments(cls, given, named)
        return super().__new__(cls)

    def __init_subclass__(cls, **more: Any):
        super().__init_subclass__(**more)
        check_calls(cls)
        if inspect.isfunction(vars(cls).get("answer")):  # a task, which asks a learner
            cls.answer = _with_answers(vars(cls)["answer"])


class Sizes(Checked):
    """A base of dataclasses all of whose fields are sizes: whole numbers from 1 on."""
