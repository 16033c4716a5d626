"""The tree before a change, as `lineage` asks it: by what it says itself, in a process of its own."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metamemory.errors import UserError
from metamemory.study import runs, source
from metamemory.study.runs import Run

IDENTITIES = """
import json, sys
from metamemory.study import runs
print(json.dumps([runs.identity(runs.configuration(runs.Run(**each))) for each in json.load(sys.stdin)]))
"""


class Before:
    """The tree before the change, with the interface of today; a subclass says what was otherwise in its own."""

    through: Path | None = None  # the file that does a run there: see `shortened.perform`

    def __init__(self, tree: Path):
        self.tree = tree.resolve()
        self.package = self.tree / "src" / source.PACKAGE.name
        if not self.package.is_dir():
            raise UserError(f"{tree} is no checkout of the project: it has no src/{source.PACKAGE.name}")
        found = subprocess.run(
            ["git", "-C", str(self.tree), "rev-parse", "HEAD"], capture_output=True, text=True, encoding="utf-8"
        )
        self.commit = found.stdout.strip() or "unknown"

    def identities(self, named: list[dict[str, Any]]) -> list[dict[str, str]]:
        """Digests of configuration and source of runs, worked out by the tree itself."""
        return json.loads(self.run("-c", IDENTITIES, given=json.dumps(named)))

    def roots(self, run: Run, config: Mapping[str, Any]) -> list[source.Root]:
        """Of the run in that tree, whose configuration this is."""
        return runs.roots(config)

    def configuration(self, run: Run, config: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration of that tree, as today's would write it."""
        return dict(config)

    def renamed(self, part: str, value: Any) -> Any:
        """A part of a result of that tree (one of PARTS), with today's names."""
        return value

    def former(self, run: Run, ending: str) -> Path:
        """The file of a result as that tree names it."""
        return run.result(ending)

    def run(self, *arguments: str, given: str, tree: Path | None = None) -> str:
        """What Python prints in that tree.

        Raises:
            UserError: it failed.
        """
        tree = tree or self.tree
        environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
        words = [sys.executable, "-P", *arguments]
        done = subprocess.run(
            words, cwd=tree, env=environment, input=given, capture_output=True, text=True, encoding="utf-8"
        )
        if done.returncode:
            raise UserError(f"{tree}: {(done.stderr.strip().splitlines() or ['it failed'])[-1]}")
        return done.stdout


def before_of(tree: Path, through: Path | None = None) -> Before:
    """The tree before the change; `through` is a folder with a file before.py, whose class `Before` reads it.

    Raises:
        UserError: there is no tree, or no such class.
    """
    if through is None:
        return Before(tree)
    path = through / "before.py"
    if not path.exists():
        raise UserError(f"{path} is not there: --through is a folder such as migrations/bc53fac")
    spec = importlib.util.spec_from_file_location("before", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Before(tree)
