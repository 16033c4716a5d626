"""Notebooks and pages run in the interpreter that asks for them.

Jupyter looks for the kernel `python3` in JUPYTER_PATH and, often, among the user's own before those of the environment;
and one that the user has registered under this name may be of any other environment. As an extension of Sphinx, this
module sees to it when the book is built.
"""

import os
import sys
from typing import Any


def prefer_own_kernel() -> None:
    """Let Jupyter look among the kernels of this environment first."""
    own = os.path.join(sys.prefix, "share", "jupyter")
    others = [each for each in os.environ.get("JUPYTER_PATH", "").split(os.pathsep) if each and each != own]
    os.environ["JUPYTER_PATH"] = os.pathsep.join([own, *others])


def setup(app: Any) -> dict[str, bool]:
    """As Sphinx calls it."""
    prefer_own_kernel()
    return {"parallel_read_safe": True, "parallel_write_safe": True}
