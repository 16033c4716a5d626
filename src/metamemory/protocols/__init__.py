"""How learners are trained, evaluated and recorded, one protocol a file: `protocols/<name>.py` holds one subclass of
`Protocol`, and `conduct` does any of them.

    conduct(config, seed, context)              config["protocol"] and config["learner"] name the two

A file may say what DVC draws of its scores, as `SCORES_PLOT` (title, x, y; None: nothing); else it is accuracy by shot.
"""

import importlib
import inspect
import pkgutil

from metamemory.errors import UserError
from metamemory.protocols.protocol import Context, Findings, Outcome, Protocol

__all__ = ["Context", "Findings", "Outcome", "Protocol", "available", "protocol_class"]


def available() -> list[str]:
    """Names of all protocols."""
    return sorted(name for name in _modules() if _classes(name))


def protocol_class(name: str) -> type[Protocol]:
    """The protocol defined in `protocols/<name>.py`, which is imported when it is asked for.

    Raises:
        UserError: there is none of that name.
    """
    classes = _classes(name) if name in _modules() else []
    if not classes:
        raise UserError(f"no protocol {name!r} (file src/metamemory/protocols/<name>.py); there are {available()}")
    return classes[0]


def _modules() -> list[str]:
    return [each.name for each in pkgutil.iter_modules(__path__)]


def _classes(name: str) -> list[type[Protocol]]:
    """The protocols that a module defines."""
    members = vars(importlib.import_module(f"{__name__}.{name}")).values()
    classes = [each for each in members if inspect.isclass(each) and issubclass(each, Protocol)]
    return [each for each in classes if each.__module__ == f"{__name__}.{name}" and each is not Protocol]
