"""A temporary copy of the project that tests can run and break."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from metamemory.study.parameters import Parameters, project_root

PARTS = (
    "src",
    "notebooks",
    "book",
    "pretrained",
    "params.yaml",
    "params",
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
        parameters = Parameters(self.root)
        front = parameters.values
        for paper in parameters.papers:
            path = self.root / "params" / f"{paper}.yaml"
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
            values["experiments"] = {name: _one_run(parameters, name) for name in values["experiments"]}
            # by way of JSON, so that what comes twice is written twice; and with the stand-in of the data set that no
            # mirror has, so that no test waits for its host, and another in place of the largest
            text = json.dumps(values).replace('"name": "fss1000"', '"name": "silhouettes"')
            text = text.replace('"name": "mini_imagenet"', '"name": "cifar_fs"').replace('"ravi"', '"bertinetto"')
            path.write_text(yaml.safe_dump(json.loads(text), sort_keys=False), encoding="utf-8")
        (self.root / "params.yaml").write_text(
            yaml.safe_dump({**front, "scale": scale, "priority": []}, sort_keys=False), encoding="utf-8"
        )

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {path}"
        (self.root / path).write_text(text.replace(old, new, 1), encoding="utf-8")

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
            words,
            cwd=self.root,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        if check:
            assert done.returncode == 0, done.stdout
        else:
            assert done.returncode != 0, done.stdout
        return done.stdout


def _looked_at(parameters: Parameters, experiment: str) -> tuple[list[str], list[str]]:
    """Settings of an experiment whose trained weights others look at, and the methods of these that are kept."""
    scales = {name: parameters.expanded(name)["scales"]["smoke"] for name in parameters.experiments}
    paths = {name: each["trained"].split("/") for name, each in scales.items() if "trained" in each}
    found = {name: setting for name, (_, _, looked_at, _, setting, *_) in paths.items() if looked_at == experiment}
    return list(found.values()), [parameters.methods(name)[-1] for name in found]


def _one_run(parameters: Parameters, experiment: str) -> dict:
    """An experiment with its last method and its last setting only, and those that others look at; the first one with
    its first setting."""
    section = parameters.expanded(experiment)
    first = experiment == parameters.experiments[0]
    methods, settings = (list(section[part]) for part in ("methods", "settings"))
    of_others = _looked_at(parameters, experiment)
    kept = methods if first else list(dict.fromkeys([*of_others[1], methods[-1]]))
    chosen = settings[:1] if first else [*of_others[0], settings[-1]]
    of_settings = {setting: dict(section["settings"][setting]) for setting in dict.fromkeys(chosen)}
    for each in of_settings.values():
        if "methods" in each:
            each["methods"] = {name: values for name, values in each["methods"].items() if name in kept}
    return {
        **section,
        "methods": {name: section["methods"][name] for name in kept},
        "settings": of_settings,
    }
