"""Settings as plain values, checked against where they are declared: a frozen dataclass or a constructor.

    @dataclass(frozen=True)
    class EvaluationSettings:
        episodes: Count
        batch_size: Count = 50

    check(declared(EvaluationSettings), {"episodes": 1000}, "evaluation.")

The kind of a setting is its annotation, its range an annotation of that (`Count` is a whole number from 1 on). What is
checked: no unknown key, none missing, the right kind, and the range. Every fault is one line that names the key.
"""

import dataclasses
import functools
import inspect
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from metamemory.errors import UserError, closest

NEEDED = inspect.Parameter.empty  # in place of a default: it must be given


class SettingError(UserError):
    """A fault of one setting.

    Attributes:
        key: of the setting, from the section down, or of the section that lacks it.
    """

    def __init__(self, message: str, key: str):
        super().__init__(message)
        self.key = key


@dataclass(frozen=True)
class Range:
    """What values a setting may have. `least` and `most` are among them, `above` and `below` are not."""

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None

    def has(self, value: Any) -> bool:
        """Whether `value`, of the right kind, is one of them."""
        return (
            (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )

    @property
    def words(self) -> str:
        """As an error says it: "from 1 on"."""
        ends = {"from": self.least, "above": self.above, "to": self.most, "below": self.below}
        said = [f"{word} {end:g}" for word, end in ends.items() if end is not None]
        alone = self.least is not None and len(said) == 1
        return " ".join([*said, "on"] if alone else said)


@dataclass(frozen=True, init=False)
class Among:
    """One of these, and nothing that only equals it, as true equals 1."""

    values: tuple[Any, ...]

    def __init__(self, *values: Any):
        object.__setattr__(self, "values", values)

    def has(self, value: Any) -> bool:
        """Whether `value` is one of them."""
        return any(type(value) is type(each) and value == each for each in self.values)

    @property
    def words(self) -> str:
        """As an error says it."""
        return f"one of {', '.join(map(str, self.values))}"


@dataclass(frozen=True)
class Items:
    """How many a list has, and whether one may come twice."""

    least: int = 0
    most: int | None = None
    distinct: bool = False

    def has(self, value: Sequence[Any]) -> bool:
        """Whether a list is so."""
        long = len(value) >= self.least and (self.most is None or len(value) <= self.most)
        return long and not (self.distinct and any(each in value[:at] for at, each in enumerate(value)))

    @property
    def words(self) -> str:
        """As an error says it."""
        most = "or more" if self.most is None else f"to {self.most}"
        count = f"{self.least}" if self.least == self.most else f"{self.least} {most}"
        said = [f"{count} of them"] if self.least or self.most is not None else []
        return ", ".join([*said, *(["none of them twice"] if self.distinct else [])])


MOST = 10**9  # of things that are counted: sizes of tensors are products of two or three of such numbers
LEAST_REAL, MOST_REAL = 1e-12, 1e12  # of numbers with which is computed in 32 bits, where squares must have room
Count = Annotated[int, Range(least=1, most=MOST)]  # how many
Index = Annotated[int, Range(least=0, most=MOST)]  # how many, if any
Positive = Annotated[float, Range(least=LEAST_REAL, most=MOST_REAL)]
NotNegative = Annotated[float, Range(least=0, most=MOST_REAL)]
Share = Annotated[float, Range(least=0, most=1)]
Decay = Annotated[float, Range(least=0, below=1)]  # of a running mean
Number = Annotated[float, Range(least=-1e6, most=1e6)]
Width = Annotated[int, Range(least=1, most=16384)]  # of a layer, a memory
Order = Annotated[int, Among(1, 2)]  # of a gradient


@dataclass(frozen=True)
class Declared:
    """One setting as it is declared.

    Attributes:
        kind: an annotation; a dataclass or names with what each is, for a section; `Several`, `Named`.
        default: where it is not given; it must be where `NEEDED`.
    """

    kind: Any
    default: Any = NEEDED


@dataclass(frozen=True)
class Several:
    """A section of changes to other settings, or a list of such."""

    settings: Mapping[str, Declared]


@dataclass(frozen=True)
class Named:
    """A section of entries under names of one's own, each with the same settings."""

    settings: Mapping[str, Declared]


def parameters_of(of: Callable) -> list[inspect.Parameter]:
    """What a class or a function is called with. A class is asked by its constructor: of one that inherits it,
    `inspect.signature` gives what its `__new__` takes before Python 3.11.4."""
    if inspect.isclass(of) and of.__init__ is not object.__init__:
        return list(inspect.signature(of.__init__).parameters.values())[1:]
    return list(inspect.signature(of).parameters.values())


@functools.cache
def declared(of: Callable, but: tuple[str, ...] = (), **kinds: Any) -> Mapping[str, Declared]:
    """Name -> setting of all that a dataclass or a constructor can be told, `but` some; `kinds` are in place of
    annotations, which they narrow."""
    hints = get_type_hints(of.__init__ if inspect.isclass(of) else of, include_extras=True)
    loose = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {
        each.name: Declared(kinds.get(each.name, hints.get(each.name, Any)), each.default)
        for each in parameters_of(of)
        if each.name not in but and each.kind not in loose
    }


def check(known: Mapping[str, Declared], values: Any, prefix: str = "", given: Collection[str] = ()) -> None:
    """Refuse plain values that are not the settings `known`.

    Args:
        known: by name.
        values: what is to be checked.
        prefix: of each name, as "training." or "curriculum, stage 1: ".
        given: names that need not be there though they have no default.

    Raises:
        SettingError: a key is unknown, one is missing, a value is of another kind or out of range.
    """
    where = prefix.rstrip(".: ")
    if not isinstance(values, Mapping):
        mend = "settings, as in {n_way: 2}" if prefix.endswith(": ") else SECTION
        raise SettingError(f"{where} is {values!r}, and must be {mend}", where)
    for key, value in values.items():
        if key not in known:
            named = f"{prefix}no setting {key!r}" if prefix.endswith(": ") else f"no setting {f'{prefix}{key}'!r}"
            raise SettingError(f"{named}{closest(key, known)}", f"{prefix}{key}")
        check_value(f"{prefix}{key}", value, known[key])
    for key, each in known.items():
        if each.default is NEEDED and key not in values and key not in given:
            raise SettingError(f"{prefix}{key} is missing", where)


def check_value(name: str, value: Any, known: Declared) -> None:
    """Refuse a value of another kind than is declared, or out of its range.

    Raises:
        SettingError: it is.
    """
    kind = known.kind
    if isinstance(kind, Several):
        for number, each in enumerate(value if isinstance(value, list | tuple) else [value], start=1):
            prefix = f"{name}, {number}: " if isinstance(value, list | tuple) else f"{name}."
            check(kind.settings, each, prefix, given=kind.settings)
    elif isinstance(kind, Named):
        if not isinstance(value, Mapping):
            raise SettingError(f"{name} is {value!r}, and must be a section of names, as in {{small: {{…}}}}", name)
        for each, entry in value.items():
            check(kind.settings, entry, f"{name}.{each}.")
    elif isinstance(kind, Mapping) or dataclasses.is_dataclass(kind):
        check(kind if isinstance(kind, Mapping) else declared(kind), value, f"{name}.")
    elif not _fits(value, kind, known.default):
        raise SettingError(f"{name} is {value!r}, and must be {_words(kind, known.default)}", name)


def _fits(value: Any, kind: Any, default: Any = NEEDED) -> bool:
    origin, within = get_origin(kind), get_args(kind)
    if origin is Annotated:
        ranges = [each for each in within[1:] if isinstance(each, RANGES)]
        return _fits(value, within[0], default) and all(each.has(value) for each in ranges)
    if origin in (Union, types.UnionType):
        known = [each for each in within if each is types.NoneType or _words(each) is not None]
        return len(known) < len(within) or any(_fits(value, each) for each in known)
    if origin is Literal:
        return Among(*within).has(value)
    if kind is types.NoneType:
        return value is None
    if kind in (int, bool, str):
        return type(value) is kind
    if kind is float:
        return type(value) in (int, float) and abs(value) <= LARGEST  # not inf, not nan
    if origin in LISTS or kind in LISTS:
        items = within[:1] if len(within) == 1 or within[1:] == (...,) else ()
        return isinstance(value, list | tuple) and all(_fits(each, item) for item in items for each in value)
    if origin in SECTIONS or kind in SECTIONS:
        return isinstance(value, Mapping)
    return default is NEEDED or default is None or _fits(value, type(default))


def _words(kind: Any, default: Any = NEEDED) -> str | None:
    """What a value must be, in words; None where anything may be."""
    origin, within = get_origin(kind), get_args(kind)
    if origin is Annotated:
        ranges = [each for each in within[1:] if isinstance(each, RANGES)]
        if any(isinstance(each, Among) for each in ranges):
            return ranges[0].words
        parts = filter(None, [_words(within[0], default), *(each.words for each in ranges)])
        return (", " if any(isinstance(each, Items) for each in ranges) else " ").join(parts) or None
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(words for each in within if (words := _words(each)) is not None)) or None
    if origin is Literal:
        return f"one of {', '.join(map(str, within))}"
    if origin in LISTS or kind in LISTS:
        item = _words(within[0]) if within else None
        return f"a list, each {item}" if item and len(within) == 1 else "a list, as in [1, 2]"
    if origin in SECTIONS or kind in SECTIONS:
        return SECTION
    if kind in KINDS:
        return KINDS[kind]
    return None if default is NEEDED or default is None else _words(type(default))


LARGEST = 3.4e38  # that 32 bits hold
RANGES = (Range, Among, Items)
SECTION = "a section: write section.key=value"
KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a name"}
LISTS = (list, tuple, Sequence, Collection)
SECTIONS = (dict, Mapping)
