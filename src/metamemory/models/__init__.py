"""The learners, one a file, by family. A file `models/<family>/name.py` holds one subclass of `Learner`.

from metamemory.models import CLLSTM            any learner's class, by its own name
learner_class("cl_lstm")                        the same, by the name of its file
"""

import importlib
import inspect
import pkgutil
from typing import Any

from metamemory.errors import UserError
from metamemory.models.learner import Learner


def available() -> list[str]:
    """Names of all learners."""
    return sorted(_modules())


def _modules() -> dict[str, str]:
    """Name of a learner -> its module."""
    families = [each.name for each in pkgutil.iter_modules(__path__) if each.ispkg]
    found = {}
    for family in families:
        for module in pkgutil.iter_modules([f"{__path__[0]}/{family}"]):
            if module.name not in BASES:
                found[module.name] = f"{__name__}.{family}.{module.name}"
    return found


BASES = ("online_sgd", "image_network", "resnet", "vgg", "mann_base", "cnn_lstm_base")


def learner_class(name: str) -> type[Learner]:
    """The learner defined in `models/<family>/<name>.py`.

    Imported when asked for, so that a run depends on the code of its own learner and of no other.
    """
    if name not in available():
        raise UserError(f"no learner {name!r} (file src/metamemory/models/<family>/{name}.py); there are {available()}")
    module = importlib.import_module(_modules()[name])
    classes = [
        each
        for each in vars(module).values()
        if inspect.isclass(each) and issubclass(each, Learner) and each.__module__ == module.__name__
    ]
    if len(classes) != 1:
        raise UserError(f"models/{name}.py: define one subclass of Learner, not {len(classes)}")
    return classes[0]


def build(name: str, input_shape: tuple[int, int, int], n_way: int, delay: int, settings: dict[str, Any]) -> Learner:
    """The learner `name` with its settings; those it does not know are refused.

    Only a learner that asks for the delay (one that stores samples until their label comes) is told it.
    """
    cls = learner_class(name)
    known = set(inspect.signature(cls).parameters) - {"input_shape", "n_way", "delay"}
    if unknown := set(settings) - known:
        raise UserError(f"{name}: unknown setting {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}")
    told = {"delay": delay} if "delay" in inspect.signature(cls).parameters else {}
    return cls(input_shape, n_way, **told, **settings)


def __getattr__(name: str) -> type[Learner]:
    for learner in available():
        cls = learner_class(learner)
        if cls.__name__ == name:
            return cls
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
