"""A temporary copy of the project that tests can run and break."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

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
                shutil.copytree(source, root / part, ignore=shutil.ignore_patterns("__pycache__", "_build"))
            else:
                shutil.copy(source, root / part)
        self.edit("params.yaml", "scale: laptop", f"scale: {scale}")
        (root / ".dvc").mkdir()
        shutil.copy(project_root() / ".dvc" / "config", root / ".dvc" / "config")
        self.run("git", "init", "-q")
        self.commit("start")
        self.run("python", "-m", "metamemory", "data")
        self.run("dvc", "add", "-q", "data")
        self.commit("data")

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
