"""Settings as plain values, checked against where they are declared: a frozen dataclass or a constructor.

    @dataclass(frozen=True)
    class EvaluationSettings:
        episodes: int = setting(least=1)
        batch_size: int = setting(50, least=1)

    settings_of(EvaluationSettings, {"episodes": 1000}, "evaluation")

The kind of a setting is its annotation. What is checked: no unknown key, none missing, the right kind, and the range of
a field that `setting` declares. Every fault is one line that names the key.
"""

import dataclasses
import inspect
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from metamemory.errors import UserError, closest

T = TypeVar("T")


class SettingError(UserError):
    """A fault of one setting.

    Attributes:
        key: of the setting, from the section down.
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
    choices: tuple[Any, ...] = ()

    def has(self, value: Any) -> bool:
        """Whether `value`, of the right kind, is one of them."""
        if self.choices:
            return value in self.choices
        return (
            (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )

    def words(self, kind: str) -> str:
        """As an error says it: "a whole number from 1 on"."""
        if self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        ends = {"from": self.least, "above": self.above, "to": self.most, "below": self.below}
        said = [f"{word} {end:g}" for word, end in ends.items() if end is not None]
        on = " on" if self.least is not None and self.most is None and self.below is None else ""
        return f"{kind} {' '.join(said)}{on}"


def setting(default: Any = MISSING, **limits: Any) -> Any:
    """A field of a frozen dataclass with the `Range` that `limits` say; without `default` it must be given."""
    return field(default=default, metadata={"range": Range(**limits)})


@dataclass(frozen=True)
class Declared:
    """One setting as it is declared."""

    kind: Any
    default: Any = MISSING
    range: Range | None = None

    @property
    def needed(self) -> bool:
        """Whether it must be given."""
        return self.default is MISSING


def declared(of: Callable, but: Collection[str] = ()) -> dict[str, Declared]:
    """Name -> setting of all that a dataclass or a constructor can be told, `but` some."""
    if dataclasses.is_dataclass(of):
        hints = get_type_hints(of)
        return {
            each.name: Declared(hints[each.name], _default(each), each.metadata.get("range"))
            for each in dataclasses.fields(of)
            if each.init and each.name not in but
        }
    hints = get_type_hints(of.__init__ if inspect.isclass(of) else of)
    empty = inspect.Parameter.empty
    return {
        each.name: Declared(hints.get(each.name, Any), MISSING if each.default is empty else each.default)
        for each in inspect.signature(of).parameters.values()
        if each.name not in but and each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
    }


def _default(of: dataclasses.Field) -> Any:
    return of.default if of.default_factory is MISSING else of.default_factory()


def settings_of(cls: type[T], values: Any, where: str) -> T:
    """A frozen dataclass built from plain values, sections within it too; `where` is what errors call them.

    Raises:
        SettingError: a key is unknown, one is missing, a value is of another kind or out of range.
    """
    check(declared(cls), values, where)
    hints = get_type_hints(cls)
    built = {
        key: settings_of(hints[key], value, f"{where}.{key}") if dataclasses.is_dataclass(hints[key]) else value
        for key, value in values.items()
    }
    return cls(**built)


def check(known: Mapping[str, Declared], values: Any, where: str, given: Collection[str] = ()) -> None:
    """Refuse plain values that are not the settings `known`; those `given` elsewhere need not be there.

    Raises:
        SettingError: a key is unknown, one is missing, a value is of another kind or out of range.
    """
    if not isinstance(values, Mapping):
        raise SettingError(f"{where} is {values!r}, and must be a section: write section.key=value", where)
    for key, value in values.items():
        if key not in known:
            raise SettingError(f"no setting {f'{where}.{key}'!r}{closest(key, known)}", f"{where}.{key}")
        check_value(f"{where}.{key}", value, known[key])
    for key, each in known.items():
        if each.needed and key not in values and key not in given:
            raise SettingError(f"{where}.{key} is missing", where)


def check_value(name: str, value: Any, known: Declared) -> None:
    """Refuse a value of another kind than is declared, or out of its range.

    Raises:
        SettingError: it is.
    """
    if dataclasses.is_dataclass(known.kind):
        check(declared(known.kind), value, name)
        return
    words = _words(known.kind, known.default)
    fits = _fits(value, known.kind, known.default)
    if known.range is not None and words is not None:
        words, fits = known.range.words(words), fits and known.range.has(value)
    if not fits:
        raise SettingError(f"{name} is {value!r}, and must be {words}", name)


def _fits(value: Any, kind: Any, default: Any = MISSING) -> bool:
    origin, within = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        known = [each for each in within if _words(each) is not None or each is types.NoneType]
        return not known or any(_fits(value, each) for each in known)
    if origin is Literal:
        return value in within
    if kind is types.NoneType:
        return value is None
    if kind in (int, bool, str):
        return type(value) is kind
    if kind is float:
        return type(value) in (int, float)
    if origin in LISTS or kind in LISTS:
        items = within[:1] if len(within) == 1 or within[1:] == (...,) else ()
        return isinstance(value, list | tuple) and all(_fits(each, item) for item in items for each in value)
    if origin in SECTIONS or kind in SECTIONS:
        return isinstance(value, Mapping)
    if default is MISSING or default is None:
        return True
    return _fits(value, type(default))


def _words(kind: Any, default: Any = MISSING) -> str | None:
    """What a value must be, in words; None where anything may be."""
    origin, within = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        said = [words for each in within if (words := _words(each)) is not None]
        return " or ".join(dict.fromkeys(said)) or None
    if origin is Literal:
        return f"one of {', '.join(map(str, within))}"
    if origin in LISTS or kind in LISTS:
        return "a list, as in [1, 2]"
    if origin in SECTIONS or kind in SECTIONS:
        return "a section: write section.key=value"
    if kind in KINDS:
        return KINDS[kind]
    return None if default is MISSING or default is None else _words(type(default))


KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a name"}
LISTS = (list, tuple, Sequence, Collection)
SECTIONS = (dict, Mapping)
