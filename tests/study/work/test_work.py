"""`work` from the command line, in a small project: with processes that are killed."""

import hashlib
import re
import signal
import time
from contextlib import nullcontext

import pytest

from metamemory.locking import locked
from metamemory.study import begun, runs
from metamemory.study.locks import read_stages
from metamemory.study.runs import Run
from metamemory.study.work import command
from metamemory.study.work.export import done
from metamemory.study.work.workers import lock_of

LONG = ("episodes: 64, batch_size: 8, validations: 2", "episodes: 400000, batch_size: 8, validations: 2")


def test_the_queue_is_done_in_order_and_recorded(little):
    out = little.run("work", "--jobs", "2")
    begun = re.findall(r"^(\S+): begins", out, re.M)
    assert begun[:3] == ["few_shot/lstm/two/seed0", "few_shot/lstm/one/seed1", "few_shot/lstm/two/seed1"]
    assert len(begun) == 9 and "finished: 9 runs\nleft: nothing" in out
    assert begun.index("looking/lstm/one/seed0") > begun.index("few_shot/lstm/one/seed0")
    assert len(little.weights()) == 9
    assert "few_shot@smoke-lstm-two-1" in read_stages(little.root / "notebooks/little/few_shot/dvc.lock")
    assert little.run("work") == "Nothing is left to do\n"
    assert "Nothing is left to do" in little.run("work", "--plan")


@pytest.mark.parametrize("place", ["cache", "/elsewhere"])
def test_models_are_in_dvcs_cache(little, tmp_path, place):
    """Without that DVC would do a recorded run again."""
    folder = tmp_path / "elsewhere" if place == "/elsewhere" else little.root / ".dvc" / "cache"
    (little.root / ".dvc").mkdir()
    (little.root / ".dvc/config").write_text("[core]\n    analytics = false\n    autostage = false\n", encoding="utf-8")
    if place == "/elsewhere":
        (little.root / ".dvc/config.local").write_text(f"[cache]\n    dir = {folder}\n", encoding="utf-8")
    little.run("work", "--only", "few_shot/lstm*/one/seed0")
    kept = {path.parent.name + path.name: path.read_bytes() for path in folder.rglob("files/md5/*/*")}
    assert set(kept.values()) == set(little.weights().values()) and len(kept) == 2
    assert all(hashlib.md5(content).hexdigest() == name for name, content in kept.items())


def test_a_run_gives_what_it_gives_alone(make_little):
    one, other = make_little("one"), make_little("other")
    one.run("work", "--jobs", "3", "--only", "few_shot/lstm*/one/seed0")
    for method in ("lstm", "lstm_large"):
        other.run("run", "few_shot", "--method", method)
    assert one.weights() == other.weights() and len(one.weights()) == 2
    for ending in ("metrics.json", "scores.csv", "example.json"):
        path = f"results/smoke/few_shot/lstm_large/one/seed0.{ending}"
        assert (one.root / path).read_bytes() == (other.root / path).read_bytes()


def test_a_run_that_fails_is_one_line_and_stops_no_other(little):
    (little.root / "results/smoke/few_shot/lstm_large/one/seed0.scores.csv").mkdir(parents=True)
    out = little.run("work", "--only", "few_shot/*/one/seed0", code=1)
    (line,) = [line for line in out.splitlines() if ": failed: " in line]
    assert line.startswith("few_shot/lstm_large/one/seed0: failed: ") and "scores.csv" in line
    assert "finished: 2 runs" in out and "left: only what failed" in out


@pytest.mark.parametrize(
    "how",
    [signal.SIGKILL, *(pytest.param(each, marks=pytest.mark.slow) for each in (signal.SIGTERM, signal.SIGINT))],
)
def test_after_a_signal_the_same_command_goes_on(make_little, how):
    """With the bits of unbroken runs; a process whose parent was killed stops by itself."""
    broken, whole = make_little("broken"), make_little("whole")
    words = ("work", "--jobs", "2", "--only", "few_shot/lstm*/one/seed0")
    for project in (broken, whole):
        project.edit("params/little.yaml", *LONG)
        project.edit("params/little.yaml", "episodes: 400000", "episodes: 20000")
    process = broken.start(*words)
    logs, until = broken.root / ".resume/work/logs", time.monotonic() + 60
    while sum("episodes/s" in log.read_text(encoding="utf-8") for log in logs.glob("*.log")) < 2:  # both are training
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(how)
    out = process.communicate(timeout=100)[0]
    if how != signal.SIGKILL:
        assert process.returncode == 128 + how and "left: 2 runs (2 at a checkpoint)" in out
    until = time.monotonic() + 60
    while any(_held(broken, method) for method in ("lstm", "lstm_large")) and time.monotonic() < until:
        time.sleep(0.1)
    out = broken.run(*words)
    assert "finished: 2 runs" in out and "busy" not in out
    whole.run(*words)
    assert broken.weights() == whole.weights() and len(whole.weights()) == 2


def _held(project, method):
    with locked(lock_of(Run("smoke", "few_shot", method, "one", root=project.root))) as ours:
        return not ours


def test_no_run_is_done_twice_at_the_same_time(little):
    run = Run("smoke", "few_shot", "lstm", "one", root=little.root)
    with locked(lock_of(run)):
        out = little.run("work", "--only", "few_shot/lstm/one/seed0", code=3)
        assert "another process does it" in out and not little.weights()
    assert "finished: 1 run\n" in little.run("work", "--only", "few_shot/lstm/one/seed0")


def test_the_end_of_the_minutes_leaves_a_checkpoint(little):
    little.edit("params/little.yaml", *LONG)
    out = little.run("work", "--minutes", "0.4", "--only", "few_shot/lstm/one/seed0", code=3)
    assert "left: 1 run (1 at a checkpoint)" in out
    assert list((little.root / ".resume").glob("*.pt"))
    assert re.search(r"few_shot/lstm/one/seed0 .* begun", little.run("work", "--plan", "--minutes", "1"))


def test_what_there_is_of_each_run_is_listed(little):
    """The same that `work` goes by; and checkpoints that nothing goes on from are named."""

    def listed():
        states = dict(line.split(None, 1) for line in little.run("list").splitlines() if line.startswith("smoke/"))
        return {place.removeprefix("smoke/"): state for place, state in states.items()}

    assert set(listed().values()) == {"not run", "not run   headline"}
    little.run("run", "few_shot", "--method", "lstm")
    little.run("run", "few_shot", "--method", "lstm_large", "--minutes", "0")
    little.run("run", "few_shot", "--method", "lstm", "--set", "training.warmup=8", "--minutes", "0")
    found = listed()
    assert (
        found["few_shot/lstm/one/seed0"] == "finished  headline" and found["few_shot/lstm_large/one/seed0"] == "begun"
    )
    assert ".resume" not in little.run("list")
    (path,) = (path for path in begun.places(little.root) if "large" in begun.places(little.root)[path])
    little.edit("params/little.yaml", "hidden: 8", "hidden: 9")
    little.edit("params/little.yaml", "lstm: {model: {hidden: 4}}", "lstm: {model: {hidden: 5}}")
    found = listed()
    assert found["few_shot/lstm/one/seed0"] == "stale: another configuration headline"
    assert found["few_shot/lstm_large/one/seed0"] == "not run"
    line = f".resume/{path.stem}.*: of smoke/few_shot/lstm_large/one/seed0 as it was decided before; "
    assert little.run("list").splitlines()[-1].startswith(line)
    little.edit("params/little.yaml", "hidden: 9", "hidden: 8")
    (little.root / "data/glyphs/classes.json").unlink()  # then it is taken at its word
    found = listed()
    assert found["few_shot/lstm/one/seed0"] == "stale: another configuration headline"
    assert found["few_shot/lstm_large/one/seed0"] == "begun"


def test_a_finished_run_whose_weights_are_elsewhere_is_done_when_they_are_asked_for(little):
    words = ("work", "--only", "few_shot/lstm/one/seed0")
    little.run(*words)
    run = Run("smoke", "few_shot", "lstm", "one", root=little.root)
    kept = run.model.read_bytes()
    run.model.unlink()
    assert little.run(*words) == "Nothing is left to do\n"
    assert "finished: 1 run" in little.run(*words, "--weights") and run.model.read_bytes() == kept
    run.model.unlink()
    assert "finished: 2 runs" in little.run("work", "--only", "looking")  # which looks at them
    run.result("scores.csv").unlink()
    assert "finished: 1 run" in little.run(*words) and runs.finished(run)


BROKEN = (b"", b"3", b"null", b"[1, 2]", b'{"run": {}, "hardware": 3}', b"\xff", b"[" * 100_000)


def test_what_only_helps_to_plan_may_be_damaged(little):
    """Manifests of other runs, operations that were counted, and what was finished here."""
    others = "results/smoke/few_shot/lstm/one/seed7.manifest.json"
    for content in BROKEN:
        for name in (others, ".resume/work/operations.json", ".resume/work/done.json"):
            (little.root / name).parent.mkdir(parents=True, exist_ok=True)
            (little.root / name).write_bytes(content)
        assert "at scale smoke" in little.run("work", "--plan", "--only", "few_shot/lstm/two")
        assert done(little.root) == ["1", "2"] * (content == b"[1, 2]")


@pytest.mark.parametrize(
    ("said", "threads"),
    [("3", 3), (" 2,1", 2), ("0", None), ("", None), ("-1", None), ("many", None), ("9" * 20, None)],
)
def test_threads_are_as_many_as_the_environment_says_if_it_says_a_number(monkeypatch, said, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert command._told_threads() == threads


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "lstn"], "error: --only: no run 'lstn'; did you mean lstm? There are few_shot, "),
        (["--only", "few_shot/lstm/three"], "error: --only: no run 'few_shot/lstm/three'"),
        (["--only", "few_shot/lstm/one/seed0/more"], "error: --only: no run"),
        (["--scale", "papr"], "error: params.yaml: no scale 'papr'; did you mean paper?"),
        (["--shard", "3/2"], "3/2 is not I/N with I from 1 to N"),
        (["--shard", "0/2"], "0/2 is not I/N"),
        (["--shard", "x"], "x is not I/N"),
        (["--jobs", "0"], "0 is not from 1 to 1000"),
        (["--minutes", "-1"], "-1 is not a number from 0 on"),
        (["--minutes", "nan"], "nan is not a number from 0 on"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(little, words, message):
    with pytest.raises(SystemExit) if message.endswith(TOLD_BY_PARSER) else nullcontext():
        assert message in little.run("work", *words, code=1)
    assert message in little.capsys.readouterr().err or not message.endswith(TOLD_BY_PARSER)
    assert not (little.root / "results").exists()


TOLD_BY_PARSER = ("is not I/N", "from 1 to N", "from 1 to 1000", "from 0 on")
