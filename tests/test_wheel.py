"""A wheel in an environment with nothing but what it asks for: models, tasks, training, and the command."""

import importlib.metadata as metadata
import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from metamemory.study.parameters import project_root

ROOT = project_root()
COPIED = ("src", "pyproject.toml", "README.md", "LICENSE")
TOOLS = ("dvc", "papermill", "matplotlib", "seaborn", "jupyter_book", "ray", "pytest", "jaxtyping", "IPython")
USE = """
import importlib.util, torch
missing = [name for name in {tools!r} if importlib.util.find_spec(name) is not None]
assert not missing, missing
import metamemory
from importlib.resources import files
assert files(metamemory).joinpath("py.typed").is_file() and "site-packages" in metamemory.__file__
from metamemory.models import available, learner_class, CLLSTM
[learner_class(name) for name in available()]
from metamemory.protocols import Context
from metamemory.protocols.conduct import conduct
from metamemory.data import ImageSet
from pathlib import Path
images = torch.randint(0, 256, (60, 20, 1, 8, 8), dtype=torch.uint8)
parts = dict(zip(("train", "validation", "test"), torch.arange(60).split(20)))
data = ImageSet("mine", None, "0", images, tuple(map(str, range(60))), {{"own": parts}}, "mine")
config = dict(
    learner="cl_lstm", protocol="online_few_shot", data=dict(name="mine", split="own", size=8),
    task=dict(n_way=2, samples_per_class=3), model=dict(filters=4, hidden=8, pool_after=[1]),
    training=dict(episodes=16, batch_size=8, learning_rate=0.01, validations=1, validation_episodes=8),
    evaluation=dict(episodes=8, batch_size=8),
)
outcome = conduct(config, 0, Context(torch.device("cpu"), Path("c.pt"), images=data))
assert isinstance(outcome.learner, CLLSTM) and 0 <= outcome.metrics["accuracy_1_shot"] <= 1
"""


def needed(names, found=None):
    """Distributions that these need, with all that those need in turn, as they are installed here."""
    found = {} if found is None else found
    for name in names:
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # of another platform
            continue
        key = distribution.metadata["Name"].lower()
        if key not in found:
            found[key] = distribution
            requirements = map(Requirement, distribution.requires or ())
            wanted = [each.name for each in requirements if not each.marker or each.marker.evaluate({"extra": ""})]
            needed(wanted, found)
    return found


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A virtual environment with the wheel and, by links, with what it asks for."""
    top = tmp_path_factory.mktemp("wheel")
    source = top / "source"
    source.mkdir()
    for each in COPIED:
        subprocess.run(["cp", "-R", str(ROOT / each), str(source)], check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    without = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    build = ["wheel", "--no-deps", "--no-build-isolation", "-w", str(top), str(source)]
    subprocess.run([*pip, *build], check=True, env=without)
    (wheel,) = top.glob("*.whl")
    venv.create(top / "venv", with_pip=False)
    python = top / "venv" / "bin" / "python"
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", str(wheel)], check=True, env=without)
    (site,) = (top / "venv" / "lib").glob("python*/site-packages")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for distribution in needed([Requirement(each).name for each in project["dependencies"]]).values():
        for first in {each.parts[0] for each in distribution.files or () if each.parts[0] not in ("..", "__pycache__")}:
            link = site / first
            if not link.exists():
                link.symlink_to(Path(distribution.locate_file(first)).resolve())
    return top / "venv" / "bin", without


def test_a_wheel_has_models_tasks_and_training_without_the_studys_tools(environment, tmp_path):
    programs, variables = environment
    done = subprocess.run(
        [programs / "python", "-c", USE.format(tools=TOOLS)],
        **{"cwd": tmp_path, "env": variables, "capture_output": True, "text": True, "encoding": "utf-8"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wheel_brings_the_command(environment, tmp_path):
    programs, variables = environment

    def call(*words):
        command = [programs / "metamemory", *words]
        options = {"cwd": tmp_path, "env": variables, "capture_output": True, "text": True, "encoding": "utf-8"}
        return subprocess.run(command, **options)

    told = call("--help")
    assert told.returncode == 0 and told.stdout.startswith("usage: metamemory [-h] COMMAND")
    refused = call("list")
    assert (
        refused.returncode == 1
        and refused.stderr == "error: params.yaml is not here: run from the top of the project\n"
    )
    nothing = call("verify")
    assert nothing.returncode == 1 and nothing.stderr.startswith("error: pretrained holds no weights: run from the top")
