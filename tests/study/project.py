"""A temporary copy of the project that tests can run and break."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from metamemory.study.parameters import project_root

PARTS = (
    "src",
    "notebooks",
    "book",
    "params.yaml",
    "dvc.yaml",
    ".dvcignore",
    ".gitignore",
    "pyproject.toml",
    "Makefile",
)


class Project:
    """The copy, and commands in it, run by the interpreter that runs the tests."""

    def __init__(self, root: Path, scale: str = "smoke"):
        self.root = root
        for part in PARTS:
            source = project_root() / part
            if source.is_dir():
                shutil.copytree(source, root / part, ignore=shutil.ignore_patterns("__pycache__", "_build", "dvc.lock"))
            else:
                shutil.copy(source, root / part)
        self._cut_down(scale)
        (root / ".dvc").mkdir()
        shutil.copy(project_root() / ".dvc" / "config", root / ".dvc" / "config")
        self.run("git", "init", "-q")
        self.commit("start")
        self.run("python", "-m", "metamemory", "data")
        self.run("dvc", "add", "-q", "data")
        self.commit("data")

    def _cut_down(self, scale: str) -> None:
        """All methods of the first experiment on its first data set, and one run of each other experiment."""
        values = yaml.safe_load((self.root / "params.yaml").read_text())
        values["scale"] = scale
        first, *others = values["experiments"].values()
        first["settings"] = dict(list(first["settings"].items())[:1])
        for other in others:
            for part in ("methods", "settings"):
                other[part] = dict(list(other[part].items())[-1:])
        # by way of JSON, so that what the file writes once and refers to is written out; and with the stand-in of the
        # data set that no mirror has, so that no test waits for its host
        text = json.dumps(values).replace('"name": "fss1000"', '"name": "silhouettes"')
        (self.root / "params.yaml").write_text(yaml.safe_dump(json.loads(text), sort_keys=False))

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text()
        assert old in text, f"{old!r} is not in {path}"
        (self.root / path).write_text(text.replace(old, new, 1))

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", message, "--allow-empty")

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.root / "src"),
            "OMP_NUM_THREADS": "1",
        }

    def run(self, *words: str, check: bool = True) -> str:
        """Run a command in the copy; its standard output, and errors with it."""
        done = subprocess.run(
            words, cwd=self.root, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if check:
            assert done.returncode == 0, done.stdout
        else:
            assert done.returncode != 0, done.stdout
        return done.stdout
