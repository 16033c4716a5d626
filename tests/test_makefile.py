"""What `make` does where the environment is not as expected; nothing is installed or run, for `.venv` is a stub."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("python", "python3", "dvc", "ruff", "pytest", "nbstripout", "jupyter-book", "papermill")
STUB = """#!/bin/sh
printf '%s %s\\n' "$(basename "$0")" "$*" >> calls
case "$*" in
  *--stages*) echo 'stage' ;;
  *work*) exit "$(cat outcome 2> /dev/null || echo 0)" ;;
esac
"""


class Copy:
    """A folder with the Makefile and a `.venv` of stubs that write down how they are called."""

    def __init__(self, root: Path, git: bool = True):
        self.root = root
        (root / ".venv/bin").mkdir(parents=True)
        for name in ("Makefile", "requirements.lock", "pyproject.toml", "data.dvc"):
            shutil.copy(ROOT / name, root)
        for name in ("src", "tests", "notebooks"):
            (root / name).mkdir()
        for name in TOOLS:
            self.stub(name, STUB)
        (root / ".venv/.ready").touch()
        if git:
            (root / ".git").touch()  # as in a worktree

    def stub(self, name: str, text: str) -> None:
        path = self.root / ".venv/bin" / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def make(self, *words: str, check: bool = True, **environment: str | None) -> str:
        """Its output; `None` takes a variable away."""
        without = {name for name, value in environment.items() if value is None} | {"MAKEFLAGS", "MAKELEVEL"}
        given = {name: value for name, value in environment.items() if value is not None}
        done = subprocess.run(
            ["make", *words],
            **{"cwd": self.root, "env": {k: v for k, v in os.environ.items() if k not in without} | given},
            **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "encoding": "utf-8"},
        )
        assert (done.returncode == 0) == check, done.stdout
        return done.stdout

    @property
    def calls(self) -> list[str]:
        path = self.root / "calls"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def variable(self, name: str, *words: str, **environment: str | None) -> str:
        found = re.findall(rf"^{name} :?= (.*)$", self.make("-pn", "help", *words, **environment), re.MULTILINE)
        return found[-1] if found else ""


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path / "a folder, für 学习")


@pytest.fixture
def unpacked(tmp_path):
    """As from a ZIP: without `.git`."""
    return Copy(tmp_path / "metamemory-main", git=False)


@pytest.mark.parametrize(
    "target", ["data", "study", "book", "lint", "test", "test-all", "test-mutations", "verify", "bench", "clean"]
)
def test_recipes_call_what_is_in_venv_by_its_path(copy, target):
    """GNU make 3.81 looks up what it calls itself in the PATH of the shell, where there may be no python."""
    for each in (copy.make("-n", target), copy.make("-n", target, "ALL=1", "JOBS=2")):
        begins = r"(?:^|[|&;({`]|\bthen\b|\bdo\b|xargs(?: -[PL] \d+)*)\s*(?:[A-Z_]+=\S* )*"
        assert not re.findall(rf"{begins}(?:{'|'.join(TOOLS)})(?=\s|$).*", each, re.MULTILINE), each


def test_it_works_where_the_path_has_no_python(copy, tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    needed = "sh sed grep xargs env nproc getconf cat tr mkdir id date basename make ls touch"
    for name in needed.split(" "):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    copy.make("data", PATH=str(tools))
    assert copy.calls == ["python -m metamemory data"]
    (copy.root / "data.dvc").unlink()
    copy.make("data", PATH=str(tools))
    assert copy.calls[1:] == ["python -m metamemory data", "dvc add --quiet data"]


def test_with_git_dvc_does_the_study(copy):
    told = copy.make("study", "JOBS=2")
    assert ".git" not in told
    assert "dvc repro stage" in copy.calls and "dvc repro --single-item book" in copy.calls


def test_without_git_that_is_said_first_and_runs_are_done_without_dvc(unpacked):
    told = unpacked.make("study", "JOBS=2").splitlines()
    assert told[0].startswith("There is no .git here, so DVC is left out")
    assert [each for each in unpacked.calls if "--stages" not in each] == [
        "python -m metamemory data",
        "python -m metamemory pipeline --scale laptop --seeds 1",
        "python -m metamemory work --pipeline --weights --jobs 2 --headline",
        "python -m metamemory data",
        "python -m metamemory digests",
        "jupyter-book build --all -W -n --keep-going -q book",
    ]


def test_without_git_data_needs_no_dvc(unpacked):
    (unpacked.root / "data.dvc").unlink()
    unpacked.make("data")
    assert unpacked.calls == ["python -m metamemory data"]


@pytest.mark.parametrize("code", [1, 130])
def test_without_git_a_run_that_fails_fails_the_study(unpacked, code):
    (unpacked.root / "outcome").write_text(str(code), encoding="utf-8")
    unpacked.make("study", check=False)
    assert not [each for each in unpacked.calls if each.startswith("jupyter-book")]


def test_with_git_a_run_that_fails_is_left_to_dvc_and_a_signal_stops(copy):
    (copy.root / "outcome").write_text("1", encoding="utf-8")
    copy.make("study")
    assert "dvc repro stage" in copy.calls
    (copy.root / "calls").unlink()
    (copy.root / "outcome").write_text("130", encoding="utf-8")
    copy.make("study", check=False)
    assert not [each for each in copy.calls if each.startswith("dvc")]


@pytest.mark.parametrize(
    ("files", "cores", "room"),
    [
        ({}, None, None),
        ({"cpu.max": "max 100000\n", "memory.max": "max\n"}, None, None),
        ({"cpu.max": "100000 100000\n", "memory.max": "2147483648\n"}, 1, 1),
        ({"cpu.max": "50000 100000\n", "memory.max": "1000\n"}, 1, 0),
        ({"cpu.max": "99900000 100000\n", "memory.max": "999999999999999\n"}, None, None),
        ({"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1, None),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None, None),
    ],
)
def test_as_many_side_by_side_as_a_container_has_cores_and_memory_for(copy, tmp_path, files, cores, room):
    """None: as without limits."""
    (tmp_path / "none").mkdir()
    for name, text in files.items():
        path = tmp_path / "limits" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name, expected in (("CORES", cores), ("ROOM", room)):
        free = copy.variable(name, f"CGROUP={tmp_path / 'none'}")
        limited = copy.variable(name, f"CGROUP={tmp_path / 'limits'}")
        assert limited == (free if expected is None else str(expected))


def test_cores_are_those_that_may_be_used_whatever_openmp_is_told(copy, tmp_path):
    free = copy.variable("CORES", f"CGROUP={tmp_path}", OMP_NUM_THREADS=None)
    assert copy.variable("CORES", f"CGROUP={tmp_path}", OMP_NUM_THREADS="1") == free
    if hasattr(os, "sched_getaffinity"):
        assert free == str(len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("home", [None, "", "/nonexistent", "/etc/passwd"])
def test_where_home_cannot_be_written_to_tools_have_another(copy, home):
    assert copy.variable("HOME", HOME=home) == f"{copy.root}/.cache/home"
    assert (copy.root / ".cache/home").is_dir()


def test_a_home_that_can_be_used_is(copy, tmp_path):
    assert copy.variable("HOME", HOME=str(tmp_path)) == str(tmp_path)


@pytest.mark.parametrize("locale", ["zh_CN.GBK", "ja_JP.eucJP", "C", "POSIX", "de_DE.ISO-8859-1"])
def test_tools_read_and_write_utf_8_whatever_the_locale(copy, locale):
    copy.stub("python", '#!/bin/sh\nprintf "%s" "$PYTHONUTF8" > utf8\n')
    copy.make("data", LC_ALL=locale)
    assert (copy.root / "utf8").read_text(encoding="utf-8") == "1"
