"""Every setting has a kind and a range, beside the class that it is of; what is not of them is one line."""

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Annotated, Literal, Union, get_args, get_origin

import pytest

from metamemory.models import available, settings_of
from metamemory.protocols.sections import known_sections, model_settings, stage_settings, task_settings
from metamemory.settings import (
    RANGES,
    Among,
    Count,
    Decay,
    Declared,
    Items,
    Named,
    Number,
    Order,
    Positive,
    SettingError,
    Several,
    check_value,
    declared,
    parameters_of,
)
from metamemory.study.parameters import Parameters, project_root

NAMES = (
    "learner",
    "protocol",
    "data.name",
    "data.folder",
    "data.other",
    "data.split",
    "other.split",
    "trained",
)  # checked where they are looked up
PARAMETERS = Parameters(project_root(), checked=False)


def within(name, known):
    """Settings of a section, and of the sections in it."""
    kind = known.kind.settings if isinstance(known.kind, Named | Several) else known.kind
    if dataclasses.is_dataclass(kind):
        kind = declared(kind)
    if isinstance(kind, Mapping):
        for key, each in kind.items():
            yield from within(f"{name}.{key}", each)
    elif kind not in (dict, list):  # `task` and `curriculum`, which have settings of their own
        yield name, known


def every_setting():
    """Name -> setting: of all learners, and of all sections, tasks and stages of all protocols."""
    found = {}
    for learner in available():
        found |= dict(within(learner, Declared(model_settings(learner))))
    protocols = {PARAMETERS.protocol(each): each for each in PARAMETERS.experiments}
    for protocol, experiment in protocols.items():
        run = next(iter(PARAMETERS.combinations(experiment)))
        sections = known_sections(PARAMETERS.configuration(*run, {}))
        sections.pop("model", None)
        for name, each in sections.items():
            found |= {f"{protocol}: {key}": one for key, one in within(name, each)}
        found |= dict(within(f"{protocol}: task", Declared(task_settings(protocol))))
        found |= dict(within(f"{protocol}: stage", Declared(stage_settings(protocol))))
    return {name: each for name, each in found.items() if name.partition(": ")[2] not in NAMES}


SETTINGS = every_setting()


def ranged(kind):
    """Whether all values that a kind allows are in ranges."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Annotated and any(isinstance(each, RANGES) for each in inside[1:]):
        item = get_args(inside[0])
        return not item or all(map(ranged, item))
    if origin in (Union, types.UnionType):
        return all(ranged(each) for each in inside if each is not types.NoneType)
    return kind is bool or origin is Literal or (origin in (list, Annotated) and all(map(ranged, inside[:1])))


def test_settings_are_found():
    assert {"cl_lstm.pool_after", "snail.attention", "mann.strength"} <= set(SETTINGS)
    assert {"online_few_shot: training.clip_norm", "online_few_shot: stage.pretrain.k_shot"} <= set(SETTINGS)
    assert {"support_query: test.n_way", "continual: evaluation.longer.every", "binding: task.length"} <= set(SETTINGS)
    assert len(SETTINGS) > 200


@pytest.mark.parametrize("kind", [int, float, str, list[int], Annotated[int, "length"], int | None, list[str]])
def test_a_setting_without_a_range_is_found(kind):
    assert not ranged(kind)


def test_every_setting_has_a_range():
    assert not [name for name, each in SETTINGS.items() if not ranged(each.kind)]


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, -(10**400), "yes", "", "1e-3", -1e9, [-1], [[]], {"a": 1}]
)
def test_what_is_no_value_of_any_setting_is_refused(value):
    """Lists may be empty, and None stands for nothing; all else is refused by every setting, in one line that names
    it."""
    for name, each in SETTINGS.items():
        with pytest.raises(SettingError) as error:
            check_value(name, value, each)
        assert str(error.value).startswith(f"{name} is ") and len(str(error.value).splitlines()) == 1


def test_true_is_no_number_and_no_number_is_true():
    for name, each in SETTINGS.items():
        for value in (True,) if each.kind is not bool else (0, 1, 1.0, "true"):
            with pytest.raises(SettingError):
                check_value(name, value, each)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Count, [1, 10**9], [0, -1, 1.0, True, "1", None, 10**10, 10**20]),  # of what sizes are made
        (Decay, [0, 0.999], [1, 1.5, -0.1]),
        (Positive, [1, 1e-9, 1e12], [0, -1, math.nan, math.inf, 10**400, 1e-200, 1e200]),
        (Number, [-2.5, 0, 3], [math.nan, 1e7]),
        (Order, [1, 2], [0, 3, True, 1.0]),
        (Literal["adam", "sgd"], ["adam"], ["Adam", 1, None, ["adam"]]),
        (Annotated[str, Among("a", "b")], ["a"], ["c", 1, None]),
        (Annotated[list[Count], Items(1, 2, distinct=True)], [[1], [1, 2]], [[], [1, 1], [1, 2, 3], [0], 1, "1"]),
        (Count | None, [1, None], [0, "none"]),
    ],
)
def test_what_a_kind_allows(kind, good, bad):
    for value in good:
        check_value("it", value, Declared(kind))
    for value in bad:
        with pytest.raises(SettingError, match="^it is "):
            check_value("it", value, Declared(kind))


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (Annotated[str, Among("a", "b")], "c", "it is 'c', and must be one of a, b"),
        (
            Annotated[list[Count], Items(distinct=True)],
            [0],
            "a list, each a whole number from 1 to 1e.09, none of them twice",
        ),
        (Annotated[list[Count], Items(3, 3)], [1], "a list, each a whole number from 1 to 1e.09, 3 of them"),
    ],
)
def test_words(kind, value, words):
    with pytest.raises(SettingError, match=words):
        check_value("it", value, Declared(kind))


def test_one_that_inherits_its_constructor_has_its_settings():
    """What it is called with is its parent's `__init__`, whatever takes the `__new__` of both."""

    class First:
        def __new__(cls, *given, **named):
            return super().__new__(cls)

    class Second(First):
        def __init__(self, width: Count = 3):
            self.width = width

    class Third(Second):
        pass

    assert [each.name for each in parameters_of(Third)] == ["width"]
    assert declared(Third) == {"width": Declared(Count, 3)}
    assert settings_of("srwm") == settings_of("delta_net")
