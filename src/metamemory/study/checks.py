"""What is refused before any training: settings that nobody reads, and settings that a learner cannot do.

Learners, tasks and the training loop refuse what each of them can see alone. What is here needs more than one of
them: whether an experiment reads a key, and whether the learner built for a task can do every stage before it.
"""

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from metamemory.errors import UserError, closest
from metamemory.models import learner_class
from metamemory.protocols import protocol_class
from metamemory.study.layers import merge
from metamemory.tasks.support_query import SupportQuery
from metamemory.training.update import Training

OF_ITS_TASK = ("input_shape", "n_way", "delay")  # what a learner is told of it
OF_ITS_DATA = ("images", "device", "episodes")  # what a task is given
OF_A_STAGE = ("episodes", "pretrain")  # beside the changes to its task
COUNTS = {  # whole numbers from 1 on
    "data": ("size",),
    "training": ("episodes", "batch_size", "validations", "validation_episodes"),
    "evaluation": ("episodes", "batch_size"),
}


def require_known(overrides: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuse an override of a key that the run does not read, or of another kind than what it replaces.

    Args:
        overrides: as given, section by section.
        config: the configuration without them. What the learner, the loop and the tasks of the protocol can be told
            besides is known too.

    Raises:
        UserError: the first such key, and what may have been meant.
    """
    told = {
        "model": _defaults(learner_class(config["learner"]), OF_ITS_TASK),
        "training": _defaults(Training),
        "task": dict.fromkeys(_task_settings(config["protocol"])),
        "curriculum": [],
    }
    _require_known(overrides, merge(told, config), "")


def _require_known(overrides: Mapping[str, Any], config: Mapping[str, Any], place: str) -> None:
    for key, value in overrides.items():
        name = f"{place}{key}"
        if key not in config:
            raise UserError(f"no setting {name!r}{closest(key, config)}")
        if isinstance(value, Mapping) and isinstance(config[key], Mapping):
            _require_known(value, config[key], f"{name}.")
        else:
            _require_same_kind(name, value, config[key])


KINDS: dict[tuple[type, ...], str] = {
    (bool,): "true or false",
    (int,): "a whole number",
    (int, float): "a number",
    (str,): "a name",
    (list, tuple): "a list, as in [1, 2]",
    (dict,): "a section: write section.key=value",
}


def _require_same_kind(name: str, value: Any, present: Any) -> None:
    """A value that is not set yet may become anything."""
    for types, words in KINDS.items():
        if isinstance(present, types):
            if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
                raise UserError(f"{name} is {value!r}, and must be {words}; it was {present!r}")
            return


def require_possible(config: Mapping[str, Any]) -> None:
    """Refuse a configuration that would fail, or mean nothing, once training has begun.

    Args:
        config: all that decides the run but its seed.

    Raises:
        UserError: a stage of the curriculum has a setting that no task knows, more ways than the learner has labels,
            or another delay than the learner stores samples for; no label would ever be of use; a count is not a whole
            number from 1 on.
    """
    for section, keys in COUNTS.items():
        for key in keys:
            if key in config.get(section, {}):
                _require_count(f"{section}.{key}", config[section][key])
    task = config.get("task", {})
    stages = list(_stages(config))
    for name, stage in stages:
        ways = task.get("n_way")
        if ways is not None and stage.get("n_way", ways) > ways:
            raise UserError(f"{name}: n_way is {stage['n_way']}, but the learner knows {_counted(ways, 'label')}")
        stores = stores_samples(config["learner"])
        if stores and stage.get("delay", task.get("delay")) != task.get("delay"):
            raise UserError(
                f"{name}: delay is {stage['delay']}, but {config['learner']} stores samples until their labels come, "
                f"which it expects {_counted(task['delay'], 'step')} later"
            )
    for name, each in [("task", task), *((name, {**task, **stage}) for name, stage in stages)]:
        _require_told(name, each)


def _require_told(name: str, task: Mapping[str, Any]) -> None:
    """In episodes of the online protocol some label must come before a drawing of its class."""
    if not {"n_way", "samples_per_class", "delay"} <= set(task):
        return
    if task["samples_per_class"] == 1:
        raise UserError(
            f"{name}: samples_per_class is 1, so that no label comes before a drawing of its class; at least 2"
        )
    length = task["n_way"] * task["samples_per_class"]
    if task["delay"] >= length:
        raise UserError(f"{name}: delay is {task['delay']}, but an episode ends after {length} steps, before any label")


def _require_count(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"{name} is {value!r}, and must be a whole number from 1 on")


def _stages(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The stages of the curriculum but pre-training, with their names; their keys are known."""
    known = [*OF_A_STAGE, *_task_settings(config["protocol"])]
    for number, stage in enumerate(config.get("curriculum") or (), start=1):
        name = f"curriculum, stage {number}"
        _require_among(name, stage, known)
        if "pretrain" in stage:
            _require_among(f"{name}: pretrain", stage["pretrain"], _defaults(SupportQuery, OF_ITS_DATA))
        else:
            for key, value in stage.items():
                if key == "episodes":
                    _require_count(f"{name}: {key}", value)
                elif key in config["task"]:
                    _require_same_kind(f"{name}: {key}", value, config["task"][key])
            yield name, stage


def _require_among(name: str, section: Any, known: Collection[str]) -> None:
    if not isinstance(section, Mapping):
        raise UserError(f"{name} is {section!r}, and must be settings, as in {{n_way: 2}}")
    for key in section:
        if key not in known:
            raise UserError(f"{name}: no setting {key!r}{closest(key, known)}")


def _task_settings(protocol: str) -> list[str]:
    """What the tasks of a protocol can be told."""
    tasks = protocol_class(protocol).tasks
    return [*dict.fromkeys(name for task in tasks for name in _defaults(task, OF_ITS_DATA))]


def _defaults(of: Callable, but: Sequence[str] = ()) -> dict[str, Any]:
    """What it can be told, `but` some, and what it takes where it is not; None where it must be."""
    arguments = inspect.signature(of).parameters.values()
    needed = inspect.Parameter.empty
    return {each.name: None if each.default is needed else each.default for each in arguments if each.name not in but}


def stores_samples(learner: str) -> bool:
    """Whether a learner is told the delay, to keep so many samples until their labels come; others have to find out."""
    return learner_class(learner).needs_delay


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
