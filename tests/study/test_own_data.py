"""A data set of one's own, from a folder of class folders to a trained learner, as the book shows it."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml
from PIL import Image

from metamemory.errors import UserError
from metamemory.study.parameters import Parameters, project_root

ROOT = project_root()
PAGE = (ROOT / "book/own_data.md").read_text(encoding="utf-8")


@pytest.fixture
def copy(tmp_path):
    """The package, the parameters with the setting of the page, the folder; what a command in it prints."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "params", tmp_path / "params")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "notebooks/babu2021", tmp_path / "notebooks/babu2021")
    (setting,) = re.findall(r"```yaml\n# params/babu2021.yaml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "params/babu2021.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    of_page = yaml.safe_load(setting)["experiments"]["online_few_shot"]["settings"]
    values["experiments"]["online_few_shot"]["settings"].update(of_page)
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    generator = np.random.default_rng(0)
    for number in range(30):
        folder = tmp_path / "photos/leaves" / f"species {number}"
        folder.mkdir(parents=True)
        for name in range(10 + number % 2):
            pixels = generator.integers(0, 256, (20, 24, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}.png")
    (description,) = re.findall(r"```yaml\n# photos/leaves/data_set.yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "photos/leaves/data_set.yaml").write_text(description, encoding="utf-8")

    def run(*words):
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
        done = subprocess.run(
            [sys.executable, "-m", "metamemory", *words],
            **{"cwd": tmp_path, "env": environment, "text": True, "encoding": "utf-8", "capture_output": True},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.root = tmp_path
    return run


def test_a_learner_is_trained_on_it(copy):
    told = copy("data", "leaves")
    assert told.startswith("leaves: from photos/leaves: 30 classes of 10 images in colour, 15 images beyond")
    assert "already" in copy("data", "leaves")
    of_run = ("--method", "lstm", "--setting", "leaves", "--scale", "smoke")
    assert "accuracy_1_shot" in copy("run", "online_few_shot", *of_run)
    (path,) = copy.root.glob("results/smoke/online_few_shot/lstm/leaves/seed0.manifest.json")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    assert manifest["data"]["title"] == "Leaves of the park" and manifest["data"]["name"] == "leaves"
    assert manifest["digests"]["data"] == manifest["data"]["digest"]
    assert "finished before" in copy("run", "online_few_shot", *of_run)
    description = copy.root / "photos/leaves/data_set.yaml"
    text = description.read_text(encoding="utf-8")
    assert text.count("seed: 0") == 1
    description.write_text(text.replace("seed: 0", "seed: 1"), encoding="utf-8")
    copy("data", "leaves")
    assert "begins" in copy("run", "online_few_shot", *of_run)  # on other classes, it is another run


def test_one_name_has_one_folder(copy):
    path = copy.root / "params/babu2021.yaml"
    text = path.read_text(encoding="utf-8")
    assert Parameters(copy.root, checked=False).data_folders == {"leaves": "photos/leaves"}
    values = yaml.safe_load(text)
    settings = values["experiments"]["online_few_shot"]["settings"]
    settings["others"] = {"data": {**settings["leaves"]["data"], "folder": "elsewhere"}}
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    with pytest.raises(UserError, match="data set leaves: its folder is photos/leaves in one place and elsewhere"):
        _ = Parameters(copy.root, checked=False).data_folders
