"""The project copied once and run at smoke scale through DVC and papermill, for all tests that look at it."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from metamemory.data import store
from metamemory.study.parameters import Parameters

_spec = importlib.util.spec_from_file_location("project_copy", Path(__file__).with_name("project.py"))
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A copy in which the study has run once: through `dvc repro` one run and the book; beside it, in a quarter of the
    time, all others."""
    copy = _module.Project(tmp_path_factory.mktemp("study") / "metamemory")
    parameters = Parameters(copy.root)
    first, *others = parameters.experiments
    beside = [f"{first}/{method}" for method in parameters.methods(first) if method != "lstm"]
    copy.run("python", "-m", "metamemory", "work", "--pipeline", "--jobs", "1", "--only", *beside, *others)
    copy.run("dvc", "repro")
    copy.commit("results")
    return copy


@pytest.fixture(scope="session")
def drawings():
    """Writes a data set of few small drawings into a folder, where preparing a real one would take its time."""

    def write(folder):
        folder.mkdir(parents=True)
        pixels = np.random.default_rng(0).integers(0, 2, (60, 20, 28, 28)).astype(np.uint8) * 255
        parts = {"train": range(20), "validation": range(20, 40), "test": range(40, 60)}
        split = {"vinyals": {part: list(each) for part, each in parts.items()}}
        classes = ((f"letters/{number}", images) for number, images in enumerate(pixels))
        store.write(folder, "glyphs", classes, lambda names: split, packed=True)

    return write
