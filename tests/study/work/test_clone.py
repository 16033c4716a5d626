"""`work` in clones of the project: killed again and again, beside `dvc repro`, and where only training can run."""

import csv
import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from metamemory.study.parameters import Parameters
from metamemory.study.runs import Run, finished

pytestmark = pytest.mark.slow

_spec = importlib.util.spec_from_file_location("project_copy", Path(__file__).parents[1] / "project.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

PIPELINE = "notebooks/babu2021/online_few_shot/dvc.yaml"
RUNS = [Run("smoke", "online_few_shot", method, "omniglot") for method in ("counting", "lstm")]
KILLS, LATEST = 10, 12.0  # seconds after a start
EQUAL = ("metrics.json", "scores.csv", "example.json")
# What pyproject.toml names, and what these need in turn; of the rest nothing can be imported.
NEEDED = {
    *("torch", "torchvision", "numpy", "yaml", "_yaml", "tqdm", "safetensors", "metamemory"),
    *("torchgen", "functorch", "triton", "nvidia", "PIL", "typing_extensions", "filelock", "fsspec", "sympy", "mpmath"),
    *("networkx", "jinja2", "markupsafe", "setuptools", "pkg_resources", "cuda", "packaging"),
}
BARE = f"""
import sys
from importlib.machinery import PathFinder

NEEDED = {sorted(NEEDED)} + [*sys.stdlib_module_names]


class Needed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        top = name.partition(".")[0]
        return super().find_spec(name, path, target) if top in NEEDED or top.startswith("_") else None


sys.meta_path = [Needed if each is PathFinder else each for each in sys.meta_path]
"""


class Clone(_module.Project):
    """The project with two runs."""

    def _cut_down(self, scale):
        parameters, path = Parameters(self.root), self.root / "params" / "babu2021.yaml"
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        section = parameters.expanded("online_few_shot")
        methods = {run.method: section["methods"][run.method] for run in RUNS}
        setting = dict(section["settings"]["omniglot"])
        if "methods" in setting:
            setting["methods"] = {name: each for name, each in setting["methods"].items() if name in methods}
        kept = {**section, "methods": methods, "settings": {"omniglot": setting}}
        values["experiments"] = {"online_few_shot": json.loads(json.dumps(kept))}
        path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
        front = {
            **parameters.values,
            "scale": scale,
            "priority": [],
            "papers": ["babu2021"],
            "headline": {},
            "seeds": [0],
        }
        front.pop("keep", None)
        front.pop("experiments", None)
        for pipeline in (self.root / "notebooks").glob("*/*/dvc.yaml"):
            if pipeline != self.root / PIPELINE:
                shutil.rmtree(pipeline.parent)
        (self.root / "params.yaml").write_text(yaml.safe_dump(front, sort_keys=False), encoding="utf-8")


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    return Clone(tmp_path_factory.mktemp("origin") / "metamemory")


@pytest.fixture
def clone(origin, tmp_path):
    """Clones the project as it was committed, with its data."""

    def make(name):
        root = tmp_path / name
        origin.run("git", "clone", "-q", str(origin.root), str(root))
        shutil.copytree(origin.root / "data", root / "data")
        copy = object.__new__(Clone)
        copy.root = root
        return copy

    return make


def work(project, *words, environment=None):
    command = [sys.executable, "-m", "metamemory", "work", "--minutes", "5", "--scale", "smoke", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    environment = environment or project.environment
    return subprocess.Popen(command, cwd=project.root, env=environment, start_new_session=True, **pipes)


def bare(project, folder):
    """An environment with Python and a C compiler, and no other program or package than training needs."""
    (folder / "site").mkdir(parents=True)
    (folder / "site" / "sitecustomize.py").write_text(BARE, encoding="utf-8")
    (folder / "bin").mkdir()
    for name in ("cc", "as", "ld"):
        if found := shutil.which(name):
            (folder / "bin" / name).symlink_to(found)
    source = str(project.root / "src")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("GIT", "DVC"))},
        "PATH": str(folder / "bin"),
        "PYTHONPATH": os.pathsep.join([str(folder / "site"), source]),
        "OMP_NUM_THREADS": "1",
    }


def left(project, run):
    """Files of a finished run that do not tell the time."""
    here = Run(run.scale, run.experiment, run.method, run.setting, root=project.root)
    assert finished(here)
    rows = csv.DictReader(here.result("history.csv").read_text(encoding="utf-8").splitlines())
    history = [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
    return {each: here.result(each).read_bytes() for each in EQUAL}, history, here.model.read_bytes()


def require_done(project):
    """DVC has nothing to do."""
    project.run("dvc", "repro", "--quiet", "digests")
    assert json.loads(project.run("dvc", "status", "--json", PIPELINE)) == {}
    assert "Running stage" not in project.run("dvc", "repro", PIPELINE)


def test_after_ten_kills_the_results_are_those_of_dvc_repro(clone):
    """Of the command alone, whose runs then stop by themselves, or of all its processes at once."""
    broken, whole = clone("broken"), clone("whole")
    chance = random.Random(0)
    for number in range(KILLS):
        process = work(broken, "--jobs", "2")
        time.sleep(chance.uniform(0, LATEST))
        (os.killpg if number % 2 else os.kill)(process.pid, signal.SIGKILL)
        process.communicate()
    for _ in range(10):
        process = work(broken, "--jobs", "2")
        said = process.communicate(timeout=300)[0]
        if process.returncode != 3:  # else a run whose command was killed is still about to stop
            break
        time.sleep(1)
    assert process.returncode == 0, said
    assert said.endswith("left: nothing\n") or said == "Nothing is left to do\n"
    require_done(broken)
    whole.run("dvc", "repro", PIPELINE)
    assert all(left(broken, run) == left(whole, run) for run in RUNS)


def test_runs_come_home_from_where_nothing_but_training_is_installed(clone, tmp_path):
    away, home = clone("away"), clone("home")
    environment = bare(away, tmp_path / "bare")
    for package in ("dvc", "papermill", "git", "matplotlib"):
        failed = subprocess.run([sys.executable, "-c", f"import {package}"], env=environment, capture_output=True)
        assert failed.returncode == 1, package
    out, back = tmp_path / "out", tmp_path / "back"
    process = work(away, "--export", str(out), "--only", "lstm", environment=environment)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0 and f"{out}: 1 finished, 0 unfinished" in said, said
    assert "1 imported, 0 already here, 0 refused" in home.run("python", "-m", "metamemory", "import", str(out))
    lstm, counting = RUNS[1], RUNS[0]
    assert left(home, lstm) == left(away, lstm)
    said = home.run("python", "-m", "metamemory", "work", "--scale", "smoke", "--export", str(back))
    assert "finished: 1 run" in said and f"{back}: 2 finished, 0 unfinished" in said
    require_done(home)
    words = [sys.executable, "-m", "metamemory", "import", str(back)]
    done = subprocess.run(words, cwd=away.root, env=environment, capture_output=True, encoding="utf-8")
    assert done.returncode == 0 and "1 imported, 1 already here, 0 refused" in done.stdout, done.stdout + done.stderr
    assert left(home, counting) == left(away, counting)
    manifest = json.loads((away.root / f"results/{lstm.place}.manifest.json").read_text(encoding="utf-8"))
    assert manifest["git"] == {"commit": None, "dirty": None}
