"""How a run beside a busy process is measured, how long the tests take, and what the book says of both."""

import importlib.util
import json
import os
import subprocess
import sys
import time

import pytest

from metamemory.study.parameters import project_root
from metamemory.study.speed import durations_table, neighbours_table, pipeline_table

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/stat"), reason="Linux says in /proc how busy it is")


@pytest.fixture
def script(monkeypatch):
    """Loads a script of benchmarks/ by name."""
    monkeypatch.syspath_prepend(project_root() / "benchmarks")

    def load(name):
        spec = importlib.util.spec_from_file_location(name, project_root() / "benchmarks" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)  # dataclasses look themselves up
        spec.loader.exec_module(module)
        return module

    return load


def test_runs_are_measured_alone_and_beside_a_neighbour(script, tmp_path, monkeypatch, capsys):
    neighbours = script("neighbours")
    monkeypatch.setattr(neighbours, "LEAD_IN", 0.0)
    monkeypatch.setattr(neighbours, "QUIET", 99)
    kept = {"two threads, bound": (1, 1, {}), "two runs of one thread": (1, 2, {})}
    monkeypatch.setattr(neighbours, "VARIANTS", kept)  # on one thread, which is soon done beside other tests
    to = tmp_path / "speed" / "neighbours.json"
    monkeypatch.setattr(sys, "argv", ["neighbours.py", "--rounds", "1", "--seconds", "0.01", "--to", str(to)])
    begun, popen = [], subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **more: begun.append(popen(*words, **more)) or begun[-1])
    before = os.sched_getaffinity(0)
    try:
        neighbours.main()
    finally:
        os.sched_setaffinity(0, before)
    rows = json.loads(to.read_text(encoding="utf-8"))["rows"]
    assert [row["what"] for row in rows] == list(kept)
    assert rows[0]["alone / lone"] == 1 and all(row["alone"] > 0 and row["beside"] > 0 for row in rows)
    assert rows[0]["target"] == {"alone": 0.95, "beside": 0.45}
    assert "two threads, bound" in capsys.readouterr().out
    assert len(begun) >= 3 + 2 and all(process.returncode is not None for process in begun), "something is left running"


def test_the_neighbour_ends_with_the_process_that_began_it():
    """However that ends: a busy process that is left behind would disturb all that comes after."""
    code = (
        "import os, subprocess, sys, time; command = [sys.executable, sys.argv[1], '--busy', str(os.getpid())]; "
        "print(subprocess.Popen(command, start_new_session=True).pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(project_root() / "benchmarks/neighbours.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as parent:
        neighbour = int(parent.stdout.readline())
        assert running(neighbour)
        parent.kill()  # even before the neighbour has begun
    deadline = time.monotonic() + 60
    while running(neighbour) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(neighbour)


def running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_rows_are_shares_of_two_threads_alone(script):
    neighbours = script("neighbours")
    first = next(iter(neighbours.VARIANTS))
    rates = {first: ([100, 200, 100], [2, 2, 4]), "one thread": ([50, 100, 80], [40, 80, 80])}
    measured = {
        name: neighbours.Runs([], {"alone": alone, "beside": beside}, {"alone": [0, 0, 1], "beside": [0.5, 0, 0]})
        for name, (alone, beside) in rates.items()
    }
    spinning, one = neighbours.rows(measured)
    assert spinning["alone"] == 100 and spinning["alone / lone"] == 1 and spinning["beside / lone"] == 0.02
    assert one["alone / lone"] == 0.5 and one["alone / lone, range"] == [0.5, 0.8] and one["beside / lone"] == 0.4
    assert one["beside / alone"] == 0.8 and one["others beside"] == 0


def test_the_table_of_neighbours(tmp_path):
    assert "Not measured here" in neighbours_table(tmp_path)
    row = {"what": "two threads, bound", "alone": 99.6, "beside": 50.2, "alone / lone": 0.991, "beside / lone": 0.5}
    row |= {"target": {"beside": 0.45}, "others alone": 0.02, "others beside": 0.04}
    report = {"rows": [row], "rounds": 5, "processors": 2, "shape": "CL+LSTM", "hardware": "CPU, 2 threads"}
    write(tmp_path, "neighbours", report | {"torch": "2.14.1"})
    table = " ".join(neighbours_table(tmp_path).split())
    assert "| two threads, bound | 100 | 50 | 0.99 | 0.50 (aim: ≥ 0.45) |" in table
    assert "other programs took at most 0.04 processors" in table and "CPU, torch 2.14.1" in table


def test_the_table_of_tests(tmp_path, script):
    assert "Not measured here" in durations_table(tmp_path)
    counts = script("tests").counts(
        "....\n======= 1755 passed, 10 skipped, 3 deselected in 599.12s (0:09:59) =======\n"
    )
    assert counts == {"passed": 1755, "skipped": 10, "deselected": 3}
    rows = [{"target": "test", "passed": counts["passed"], "skipped": counts["skipped"], "minutes": 9.98}]
    report = {"rows": rows, "workers": 2, "others": 0.03, "hardware": "CPU, 2 threads", "torch": "2.14.1"}
    write(tmp_path, "tests", report)
    assert "| `make test` | 1,755 | 10 | 10.0 |" in " ".join(durations_table(tmp_path).split())


def write(root, name, report):
    path = root / "results" / "speed" / f"{name}.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(report), encoding="utf-8")


def test_the_book_says_what_dvc_needs(tmp_path):
    assert "benchmarks/pipeline.py" in pipeline_table(tmp_path)
    times = {"status": 12.34, "idle_repro": 23.45, "finished_stage": 0.56}
    form = {name: {"seconds": 99.0, "processor_seconds": each} for name, each in times.items()}
    report = {
        "hardware": "A processor, 2 threads",
        "dvc": "3.0",
        "load": [2.5, 1.0, 1.0],
        "stages": 500,
        "pipelines": 30,
        "longest": 102,
        "pass": {"seconds": 300.0, "processor_seconds": 200.0},
        "forms": {name: {**form, "longest_lock": 123_456} for name in ("digests", "files", "one lock")},
    }
    (tmp_path / "results" / "speed").mkdir(parents=True)
    (tmp_path / "results" / "speed" / "pipeline.json").write_text(json.dumps(report), encoding="utf-8")
    table = pipeline_table(tmp_path)
    assert "12.3 (aim: ≤ 20)" in table and "23.4 (aim: ≤ 30)" in table and "0.6 (aim: ≤ 1)" in table
    assert "123" in table and "it is 0.4 s" in table and "load 2.5" in table and "A processor, DVC 3.0" in table


@pytest.mark.slow
def test_what_dvc_needs_is_measured(script, tmp_path, capsys):
    to = tmp_path / "speed" / "pipeline.json"
    script("pipeline").main(["--times", "1", "--largest", "1", "--output", str(to)])
    report = json.loads(to.read_text(encoding="utf-8"))
    assert report["stages"] > 100 and report["pipelines"] == len(list(project_root().glob("notebooks/*/*/dvc.yaml")))
    assert {"digests", "files", "one lock"} == set(report["forms"])
    one, own = (report["forms"][name]["longest_lock"] for name in ("one lock", "digests"))
    assert one > 4 * own
    assert all(
        value["processor_seconds"] > 0
        for name in ("status", "idle_repro")
        for value in [report["forms"]["files"][name]]
    )
