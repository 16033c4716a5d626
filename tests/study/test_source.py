"""What a run depends on is what it imports, in the digest and in dvc.yaml alike."""

import ast
from pathlib import Path

import pytest
import yaml

from metamemory.models import available
from metamemory.study.parameters import project_root
from metamemory.study.runs import Run
from metamemory.study.source import PACKAGE, closure, digest, essence

STAGES = yaml.safe_load((project_root() / "dvc.yaml").read_text())["stages"]
# shared by learners: a stage names the folder, the digest only what is imported
SHARED_FOLDERS = ("nn/", "kernels/", "models/bases/")


def names(paths):
    return {str(path.relative_to(PACKAGE)) for path in paths}


def test_the_closure_follows_imports_and_takes_one_learner_only():
    found = names(closure(Run("smoke", "online_few_shot", "cl_lstm", "omniglot").modules))
    assert {
        "models/cl_lstm.py",
        "nn/conv_lstm.py",
        "kernels/conv_lstm.py",
        "kernels/gates.c",
        "kernels/product.h",
        "training/loop.py",
        "data/store.py",
    } <= found
    assert not {"models/lstm.py", "models/nearest_neighbour.py", "study/runs.py"} & found
    other = names(closure(Run("smoke", "online_few_shot", "lstm", "omniglot").modules))
    assert "models/lstm.py" in other and "nn/conv_lstm.py" not in other


@pytest.mark.parametrize("experiment", sorted(STAGES))
@pytest.mark.parametrize("method", available())
def test_a_stage_depends_on_what_it_imports(experiment, method):
    """Every imported file is a dependency; every dependency is imported, but in folders that learners share."""
    declared = set()
    for dependency in STAGES[experiment]["deps"]:
        path = Path(dependency.replace("${item.method}", method))
        if path.is_relative_to("src/metamemory"):
            inside = path.relative_to("src/metamemory")
            absolute = PACKAGE / inside
            files = [file for ending in ("py", "c", "h") for file in absolute.rglob(f"*.{ending}")] or [absolute]
            declared |= names(files)
    imported = names(closure(Run("smoke", experiment, method, "").modules))
    package_names = {"__init__.py", "study/__init__.py", "training/__init__.py"}  # docstrings and a version
    assert imported - declared <= package_names
    unused = {each for each in declared - imported if not each.startswith(SHARED_FOLDERS)}
    assert unused <= {"training/graph.py"}  # on a GPU only, imported by name


def test_a_comment_changes_no_digest_and_a_number_does(tmp_path):
    code = '"""Doc."""\n\nx = 1  # one\n\n\ndef f():\n    """Says nothing."""\n    return "# not a comment"\n'
    assert essence(code) == 'x = 1\ndef f():\n    return "# not a comment"'
    other = '"""Other."""\nx = 1\ndef f():\n    # why\n    return "# not a comment"\n'
    assert essence(code) == essence(other) != essence(code.replace("1", "2"))


def test_the_digest_names_files():
    files = closure(["metamemory.models.recurrent.lstm"])
    assert digest(files) != digest(files[:-1]) and digest(files) == digest(files)


def test_dependencies_point_one_way():
    """study -> training -> models -> nn -> kernels, and tasks -> data; training and study may use any below them."""
    allowed = {
        "kernels": set(),
        "nn": {"kernels", "errors"},
        "models": {"nn", "errors"},
        "data": {"errors"},
        "tasks": {"data", "errors"},
        "training": {"models", "kernels", "tasks", "errors"},
        "study": {"training", "models", "tasks", "data", "nn", "errors"},
    }
    for path in PACKAGE.rglob("*.py"):
        layer = path.relative_to(PACKAGE).parts[0]
        if layer not in allowed:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("metamemory."):
                target = node.module.split(".")[1]
                assert target == layer or target in allowed[layer], f"{path} imports {node.module}"
