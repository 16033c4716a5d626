"""What is refused before any training: settings that nobody reads, and settings that a learner cannot do.

Each setting is checked where it is declared (`settings`, `protocols.sections`). What is here beside needs more than one
of them: whether the learner built for a task can do every stage before it.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from metamemory.errors import UserError, closest
from metamemory.models import learner_class
from metamemory.protocols.sections import known_sections, model_settings, sections_of, stage_settings, task_settings
from metamemory.settings import NEEDED, SettingError, check, check_value
from metamemory.study.layers import SCALES

NAME = r"[^/{}\0]*[^/{}\0.][^/{}\0]*"  # of an experiment, a method, a setting
TRAINED = re.compile(
    rf"runs/({'|'.join(SCALES)})/{NAME}/({NAME}|{{method}})/{NAME}/seed(\d+|{{seed}})/model\.safetensors"
)


def require_possible(config: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> None:
    """Refuse a configuration that would fail, or mean nothing, once training has begun.

    Args:
        config: all that decides the run but its seed.
        before: the same without what was given by hand.

    Raises:
        UserError: there is no such learner or protocol. A setting is unknown, missing, of another kind or out of range.
            A stage of the curriculum has more ways than the learner has labels, or another delay than the learner
            stores samples for; no label would ever be of use.
    """
    try:
        _require_declared(config)
    except SettingError as error:
        present = _at(before or {}, error.key)
        if present is None or present == _at(config, error.key):
            raise
        raise SettingError(f"{error}; it was {present!r}", error.key) from None
    _require_weights_of_a_run(config.get("trained"))
    task = config["task"]
    stages = list(_stages(config))
    for name, stage in stages:
        ways = task.get("n_way")
        if ways is not None and stage.get("n_way", ways) > ways:
            raise SettingError(
                f"{name}: n_way is {stage['n_way']}, but the learner knows {_counted(ways, 'label')}", "curriculum"
            )
        stores = stores_samples(config["learner"])
        if stores and stage.get("delay", task.get("delay")) != task.get("delay"):
            raise SettingError(
                f"{name}: delay is {stage['delay']}, but {config['learner']} stores samples until their labels come, "
                f"which it expects {_counted(task.get('delay', 1), 'step')} later",
                "curriculum",
            )
    _require_told("task", task, "task")
    for name, stage in stages:
        _require_told(name, {**task, **stage}, "curriculum")


def _require_declared(config: Mapping[str, Any]) -> None:
    """Refuse settings that are not as they are declared."""
    for name in ("learner", "protocol"):
        if not isinstance(config.get(name), str):
            raise SettingError(f"{name} is {config.get(name)!r}, and must be a name", name)
    protocol = config["protocol"]
    learner_class(config["learner"])
    check(known_sections(config), config)
    given = sections_of(protocol).given
    check(task_settings(protocol), config["task"], "task.", given=given)
    known = stage_settings(protocol)
    for number, stage in enumerate(config.get("curriculum") or (), start=1):
        try:
            check({}, {} if isinstance(stage, Mapping) else stage, f"curriculum, stage {number}: ")
            for key, value in stage.items():
                _require_of_stage(known, key, value, f"curriculum, stage {number}: ")
            for key in given if "pretrain" not in stage else ():  # of the task itself, not of a stage before it
                if key not in stage and key not in config["task"] and known[key].default is NEEDED:
                    raise SettingError(f"curriculum, stage {number}: {key} is missing", "curriculum")
        except SettingError as error:
            raise SettingError(str(error), "curriculum") from None


def _require_of_stage(known: Mapping[str, Any], key: str, value: Any, prefix: str) -> None:
    """Refuse one setting of a stage; those of support sets are all there, those of the task need not be."""
    if key == "pretrain" and key in known:
        check(known[key].kind, value, f"{prefix}{key}: ")
    elif key in known:
        check_value(f"{prefix}{key}", value, known[key])
    else:
        check(known, {key: value}, prefix, given=known)


def _require_weights_of_a_run(path: str | None) -> None:
    """Refuse a place where no run leaves its weights."""
    if path is not None and not TRAINED.fullmatch(path):
        raise SettingError(
            f"trained is {path!r}, and must be the weights of a run, as in "
            "runs/laptop/<experiment>/{method}/<setting>/seed{seed}/model.safetensors",
            "trained",
        )


def _at(config: Mapping[str, Any], key: str) -> Any:
    """The setting "section.key"; None where it is not there."""
    found: Any = config
    for each in key.split("."):
        found = found.get(each) if isinstance(found, Mapping) else None
    return found


def _require_told(name: str, task: Mapping[str, Any], key: str) -> None:
    """In episodes of the online protocol some label must come before another sample of its class."""
    if not {"n_way", "samples_per_class", "delay"} <= set(task):
        return
    if task["samples_per_class"] == 1:
        raise SettingError(
            f"{name}: samples_per_class is 1, so that no label comes before a drawing of its class; at least 2", key
        )
    length = task["n_way"] * task["samples_per_class"]
    if task["delay"] >= length:
        raise SettingError(
            f"{name}: delay is {task['delay']}, but an episode ends after {length} steps, before any label", key
        )


def _stages(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The stages of the curriculum but pre-training, with their names."""
    for number, stage in enumerate(config.get("curriculum") or (), start=1):
        if "pretrain" not in stage:
            yield f"curriculum, stage {number}", stage


def stores_samples(learner: str) -> bool:
    """Whether a learner is told the delay, to keep so many samples until their labels come; others have to find out."""
    return learner_class(learner).needs_delay


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def require_method(method: Any, where: str) -> None:
    """Refuse a `Method` whose settings its learner does not have, whether or not an experiment has it.

    Raises:
        UserError: with `where` it is declared.
    """
    try:
        known = model_settings(method.learner)
        check(known, method.model, "model.", given=known)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    except Exception:  # of a learner's file that is being written: its own runs say it
        return


def require_valid(parameters: Any) -> None:
    """Refuse `Parameters` of which any run could not be done.

    Raises:
        UserError: the first fault, with the file and the place in it.
    """
    for experiment in parameters.experiments:
        for run in parameters.combinations(experiment):
            values, origins = parameters.traced(*run, {})
            try:
                require_possible(values)
            except SettingError as error:
                text = f"no setting {error.key!r}{meant}" if (meant := _scale_meant(error.key, values)) else str(error)
                raise UserError(f"{parameters.file_of(experiment)}: {_place(origins, error.key)}: {text}") from None
            except UserError as error:
                raise UserError(f"{parameters.file_of(experiment)}: experiments.{experiment}: {error}") from None
            except Exception:  # of a learner's file that is being written: its own runs say it, the others go on
                continue


def _scale_meant(key: str, config: Mapping[str, Any]) -> str:
    """The end of an error about a key of an entry that is almost a scale, and no section; else nothing."""
    (nearest, *_) = get_close_matches(key, [*SCALES, *known_sections(config)], n=1) or [""]
    return closest(key, SCALES) if nearest in SCALES and key not in SCALES else ""


def _place(origins: Any, key: str) -> str:
    """Where a setting is written or, if it is not, one that is in the same section."""
    for each in key.split("."):
        if isinstance(origins, Mapping) and each in origins:
            origins = origins[each]
    while isinstance(origins, Mapping) and origins:
        origins = next(iter(origins.values()))
    return origins if isinstance(origins, str) else key
