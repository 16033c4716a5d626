"""Whose Python runs notebooks and pages, and on how many processors runs compute."""

import json
import os
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from jupyter_client.kernelspec import KernelSpecManager

from metamemory.study import notebooks, own_kernel, processors
from metamemory.study.parameters import project_root


@pytest.fixture
def of_the_user(tmp_path, monkeypatch):
    """A kernel that the user has registered as `python3`, which leaves a mark and fails."""
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    mark = tmp_path / "started"
    argv = ["sh", "-c", f"touch '{mark}'; exit 1", "{connection_file}"]
    specification = {"argv": argv, "display_name": "mine", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(specification), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    return mark


def test_a_kernel_of_the_user_is_not_taken_for_ours(of_the_user, tmp_path):
    assert "touch" in " ".join(KernelSpecManager().get_kernel_spec("python3").argv)
    cells = [nbformat.v4.new_code_cell("name = ''"), nbformat.v4.new_code_cell("import sys; print(sys.executable)")]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "page.ipynb")
    notebooks.execute(tmp_path / "page.ipynb", tmp_path / "executed.ipynb", {"name": "x"})
    assert not of_the_user.exists()
    executed = nbformat.read(tmp_path / "executed.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0]["text"].strip() == sys.executable


def test_the_book_is_built_with_ours(of_the_user):
    configuration = yaml.safe_load((project_root() / "book/_config.yml").read_text(encoding="utf-8"))
    assert own_kernel.__name__ in configuration["sphinx"]["config"]["extensions"]
    own_kernel.setup(None)
    own_kernel.setup(None)
    assert os.environ["JUPYTER_PATH"].split(os.pathsep) == [f"{sys.prefix}/share/jupyter", str(of_the_user.parent)]
    assert "ipykernel_launcher" in KernelSpecManager().get_kernel_spec("python3").argv


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "400000 100000\n"}, 4),
        ({"cpu.max": "150000 100000"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "6400000 100000\n"}, 8),
        ({"cpu.max": "nonsense"}, 8),
        ({"cpu.max": ""}, 8),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({}, 8),
    ],
)
def test_what_a_container_keeps_from_us_is_not_used(tmp_path, monkeypatch, files, expected):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(processors, "CGROUP", Path(tmp_path))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert processors.usable() == expected
