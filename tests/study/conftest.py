"""The project copied once and run at smoke scale through DVC and papermill, for all tests that look at it."""

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("project_copy", Path(__file__).with_name("project.py"))
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A copy in which `dvc repro` has run once."""
    copy = _module.Project(tmp_path_factory.mktemp("study") / "metamemory")
    copy.run("dvc", "repro")
    copy.commit("results")
    return copy
