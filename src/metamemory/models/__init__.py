"""The learners, one a file, by family: `models/<family>/<name>.py` holds one subclass of `Learner`.

from metamemory.models import CLLSTM                       a learner's class, by its own name
learner_class("cl_lstm")                                   the same, by the name of its file
build("cl_lstm", TaskDescription((1, 28, 28), 5), {})      a learner, by name, for a task
"""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any

from metamemory.errors import UserError
from metamemory.models.learner import Learner, TaskDescription

OF_ITS_TASK = ("input_shape", "n_way", "delay")  # what a constructor is told of the task, beside its settings


def available() -> list[str]:
    """Names of all learners, in order of the alphabet."""
    return sorted(name for names in families().values() for name in names)


@functools.cache
def families() -> dict[str, list[str]]:
    """Family -> names of its learners."""
    found: dict[str, list[str]] = {}
    for name, family in sorted(_files().items()):
        if _learners_in(f"{__name__}.{family}.{name}"):
            found.setdefault(family, []).append(name)
    return found


def learner_class(name: str) -> type[Learner]:
    """The learner defined in `models/<family>/<name>.py`, which is imported when it is asked for.

    Raises:
        UserError: there is no such file, it defines no learner or more than one, or one without a title or a paper.
    """
    family = _files().get(name)
    classes = _learners_in(f"{__name__}.{family}.{name}") if family else []
    if not classes:
        raise UserError(f"no learner {name!r} (file src/metamemory/models/<family>/{name}.py); there are {available()}")
    where = f"models/{family}/{name}.py"
    if len(classes) != 1:
        raise UserError(f"{where}: define one subclass of Learner, not {len(classes)}")
    for attribute in ("title", "paper"):
        if not getattr(classes[0], attribute, ""):
            raise UserError(f"{where}: {classes[0].__name__} has no {attribute}; write `{attribute} = ...` in it")
    return classes[0]


def settings_of(name: str) -> dict[str, Any]:
    """The settings that a learner can be given, with their defaults."""
    parameters = inspect.signature(learner_class(name)).parameters.values()
    return {each.name: each.default for each in parameters if each.name not in OF_ITS_TASK}


def build(learner: str, task: TaskDescription, settings: Mapping[str, Any]) -> Learner:
    """The learner of this name for a task, with its settings.

    Raises:
        UserError: it has no such setting, or cannot do the task.
    """
    cls, known = learner_class(learner), settings_of(learner)
    if unknown := set(settings) - set(known):
        raise UserError(
            f"{learner}: unknown setting {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}"
        )
    told = {"delay": task.delay} if cls.needs_delay else {}
    return cls(task.input_shape, task.labels, **told, **settings)


@functools.cache
def _files() -> dict[str, str]:
    """Name of each file in a family's folder -> the family."""
    found: dict[str, str] = {}
    for family in (each.name for each in pkgutil.iter_modules(__path__) if each.ispkg):
        for module in pkgutil.iter_modules([f"{__path__[0]}/{family}"]):
            if module.name in found:
                raise UserError(f"models/{family}/{module.name}.py: {found[module.name]} has a file of the same name")
            found[module.name] = family
    return found


def _learners_in(module: str) -> list[type[Learner]]:
    """The learners that a module defines, without what is abstract or imported."""
    members = vars(importlib.import_module(module)).values()
    classes = [each for each in members if inspect.isclass(each) and issubclass(each, Learner)]
    return [each for each in classes if each.__module__ == module and not each.abstract]


def __getattr__(name: str) -> type[Learner]:
    for learner in available():
        cls = learner_class(learner)
        if cls.__name__ == name:
            return cls
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
