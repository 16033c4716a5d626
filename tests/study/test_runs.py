"""A run finds out beforehand what would fail at its end, keeps what it has trained, and goes on where it stopped."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from metamemory.__main__ import main
from metamemory.errors import UserError
from metamemory.study import runs
from metamemory.study.parameters import project_root
from metamemory.study.runs import Run, execute
from metamemory.training import loop

TINY = {
    "training": {"episodes": 128, "batch_size": 16, "validations": 2, "validation_episodes": 10},
    "evaluation": {"episodes": 10, "batch_size": 5},
}


@pytest.fixture(scope="module")
def top(tmp_path_factory, drawings):
    """A project with a small data set."""
    root = tmp_path_factory.mktemp("project")
    shutil.copy(project_root() / "params.yaml", root)
    shutil.copytree(project_root() / "params", root / "params")
    drawings(root / "data" / "glyphs")
    return root


@pytest.fixture
def project(top):
    """The same with nothing run."""
    yield top
    for folder in ("results", "runs", ".resume"):
        path = top / folder
        path.unlink() if path.is_symlink() or path.is_file() else shutil.rmtree(path, ignore_errors=True)


def run_of(root, method="lstm", **overrides):
    return Run("smoke", "online_few_shot", method, "omniglot", overrides={**TINY, **overrides}, root=root)


@pytest.fixture
def updates(monkeypatch):
    """How many updates were made."""
    made, update = [], loop.update
    monkeypatch.setattr(loop, "update", lambda *arguments: (made.append(1), update(*arguments))[1])
    return made


def test_numbers_too_small_to_matter_are_zero_in_a_run(project, monkeypatch):
    seen = []
    conduct = lambda *_: seen.append((torch.tensor(1e-38) * 1e-3).item())  # noqa: E731
    monkeypatch.setattr(runs, "load_images", lambda *_: None)
    monkeypatch.setattr(runs, "conduct", conduct)
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor cannot choose")
    assert not execute(Run("smoke", "online_few_shot", "counting", "omniglot", root=project))
    assert seen == [0.0]


def a_file(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("", encoding="utf-8")


def a_dangling_link(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(path.with_name("nowhere") / "at all")


@pytest.mark.parametrize("obstacle", [a_file, a_dangling_link])
@pytest.mark.parametrize(
    "place", ["results", "runs", ".resume", "results/smoke", "runs/smoke/online_few_shot", "results/{place}/.."]
)
def test_folders_that_cannot_be_made_are_known_before_training(project, updates, place, obstacle):
    run = run_of(project)
    obstacle(Path(os.path.normpath(project / place.format(place=run.place))))
    with pytest.raises(UserError, match=r"^cannot write [^\n]*; a file is where its folder has"):
        execute(run)
    assert not updates


@pytest.mark.parametrize("ending", [*runs.ENDINGS, "model"])
def test_a_folder_in_the_place_of_a_file_is_known_before_training(project, updates, ending):
    run = run_of(project)
    path = run.model if ending == "model" else run.result(ending)
    path.mkdir(parents=True)
    with pytest.raises(UserError, match=f"cannot write {re.escape(str(path))}: Is a directory; a folder is where"):
        execute(run)
    assert not updates


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_too_small_for_the_checkpoint_is_known_before_training(project, updates, monkeypatch, number):
    def refuse(handle, begin, size):
        if size > 100_000:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(UserError, match=rf"cannot write .*\.pt: {os.strerror(number)}; make room and run again"):
        execute(run_of(project))
    assert not updates and not list(project.rglob("*.tmp"))


def test_a_training_that_no_validation_could_judge_is_refused(project, updates):
    with pytest.raises(UserError, match=r"^validation: accuracy_8_shot cannot be worked out, for none of its 10"):
        execute(run_of(project, task={"delay": 20}, curriculum=[]))
    assert not updates


def test_what_was_trained_is_kept_where_its_record_fails(project, updates, monkeypatch, capsys):
    run = run_of(project)
    with monkeypatch.context() as patch:
        patch.setattr(runs, "record", lambda *_: (_ for _ in ()).throw(UserError("cannot write: the disk is full")))
        with pytest.raises(UserError, match="the disk is full"):
            execute(run)
    assert len(updates) == 8 and "begins" in capsys.readouterr().out
    assert execute(run)
    assert len(updates) == 8 and "going on" in capsys.readouterr().out  # it is tested and recorded only
    kept = run.model.read_bytes(), run.result("scores.csv").read_bytes()
    assert not list((project / ".resume").iterdir())
    assert execute(run, again=True) and len(updates) == 16
    assert kept == (run.model.read_bytes(), run.result("scores.csv").read_bytes())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_run_is_recorded_comes_too_late(project, monkeypatch, number):
    """It would be told as stopped though it is finished."""
    run, record = run_of(project), runs.record
    monkeypatch.setattr(runs, "record", lambda *given: (os.kill(os.getpid(), number), record(*given)))
    assert execute(run) and runs.finished(run)
    assert not list((project / ".resume").iterdir())


def test_again_begins_afresh_once(project, updates, capsys):
    run = run_of(project)
    assert execute(run)
    updates.clear()
    capsys.readouterr()
    slices = 1
    while not execute(run, minutes=0.0, again=True):
        slices += 1
    said = capsys.readouterr().out
    *_, ours, theirs = said.splitlines()
    assert theirs == f"{ours} in the results that these replace; `git diff results` shows all"
    assert len(updates) == slices == 8
    assert said.count(": begins on ") == 1 and said.count(": going on on ") == 7
    updates.clear()
    assert not execute(run, minutes=0.0, again=True) and len(updates) == 1  # finished, so that it is afresh once more
    assert execute(run) and len(updates) == 1  # what is finished stays so


def test_where_a_note_is_damaged_it_is_said_that_training_begins_afresh(project, updates, capsys):
    run = run_of(project)
    assert not execute(run, minutes=0.0, again=True)
    (note,) = (project / ".resume").glob("*.json")
    note.write_text("", encoding="utf-8")
    assert not execute(run, minutes=0.0, again=True)
    assert f"{note} is damaged: " in capsys.readouterr().out


def test_what_could_not_begin_leaves_no_note(project):
    with pytest.raises(UserError):
        execute(run_of(project, task={"n_way": 10000}))
    assert not list((project / ".resume").glob("*"))


def test_again_does_not_go_on_with_what_it_did_not_begin(project, updates, capsys):
    run = run_of(project)
    assert not execute(run, minutes=0.0)
    assert not execute(run, minutes=0.0, again=True)
    assert capsys.readouterr().out.count("begins on") == 2
    assert execute(run) and len(updates) == 1 + 8
    assert "going on" in capsys.readouterr().out


@pytest.mark.parametrize("lost", [*runs.ENDINGS, "model"])
def test_a_run_of_which_a_file_is_damaged_is_done_again(project, updates, capsys, lost):
    run = run_of(project)
    assert execute(run)
    path = run.model if lost == "model" else run.result(lost)
    whole = path.read_bytes()
    path.write_bytes(whole[:10] + b"#" + whole[11:])
    updates.clear()
    assert execute(run) and len(updates) == 8
    said = capsys.readouterr().out
    assert f"{path} is damaged (" in said and "so the run is done again" in said
    assert lost == "manifest.json" or path.read_bytes() == whole or lost == "history.csv"  # which has seconds
    assert execute(run) and len(updates) == 8 and "finished before" in capsys.readouterr().out


def test_results_of_other_code_say_so(project, capsys):
    run = run_of(project)
    assert execute(run)
    path = run.result("manifest.json")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["digests"]["source"] = manifest["fingerprint"] = "source/2:" + "0" * 64
    del manifest["sha256"]
    path.write_text(json.dumps(manifest), encoding="utf-8")
    assert execute(run)
    assert "finished before, but with other code: so the run is done again" in capsys.readouterr().out


def test_weights_that_another_run_has_not_left_are_refused(project):
    """Inspection looks at the weights of online few-shot learning."""
    trained = Run("smoke", "online_few_shot", "lstm", "omniglot", root=project)
    inspection = Run("smoke", "inspection", "lstm", "omniglot", root=project)
    with pytest.raises(
        UserError, match=r"model.safetensors is missing: do the run smoke/online_few_shot/lstm/omniglot"
    ):
        execute(inspection)
    trained.model.parent.mkdir(parents=True)
    trained.model.write_bytes(b"half a file")
    with pytest.raises(UserError, match=r"model.safetensors is damaged \(.*\): do the run"):
        execute(inspection)
    shutil.copytree(
        (project_root() / "results/laptop/online_few_shot/lstm"), project / "results/smoke/online_few_shot/lstm"
    )
    with pytest.raises(UserError, match=r"model.safetensors is damaged \(it is not what the run left\): do the run"):
        execute(inspection)


WORDS = ["run", "online_few_shot", "--method", "lstm", "--scale", "smoke"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_command_in_one_line(project, monkeypatch, capsys, number, code):
    monkeypatch.chdir(project)
    update = loop.update
    monkeypatch.setattr(loop, "update", lambda *each: (signal.raise_signal(number), update(*each))[1])
    assert main(WORDS) == code
    assert capsys.readouterr().err.splitlines()[-1].startswith("interrupted; the same command goes on")
    assert len(list((project / ".resume").glob("*.pt"))) == 1
    monkeypatch.setattr(runs, "conduct", lambda *_: signal.raise_signal(number))  # and where nothing is trained
    assert main(WORDS) == code
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_report_elsewhere_than_in_a_project_is_an_error(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["report"]) == 1
    assert capsys.readouterr().err == "error: params.yaml is not here: run from the top of the project\n"


@pytest.mark.slow
def test_killed_again_and_again_it_gives_the_same_bits(project):
    """kill -9 at any moment of training, of the writing of checkpoints and results, and then SIGTERM."""
    script = project / "killed.py"
    script.write_text(
        "import sys\nfrom metamemory.training import loop\nfrom metamemory.__main__ import main\n"
        "loop.CHECKPOINT_SECONDS = 0\nsys.exit(main(sys.argv[1:]))\n",
        encoding="utf-8",
    )
    words = [sys.executable, str(script), *WORDS, "--set", "training.episodes=1600"]
    environment = {**os.environ, "PYTHONPATH": str(project_root() / "src"), "OMP_NUM_THREADS": "1"}

    def call(number, seconds):
        with subprocess.Popen(words, cwd=project, env=environment, stdout=subprocess.PIPE, encoding="utf-8") as child:
            for line in child.stdout:
                if "begins" in line or "going on" in line:
                    break
            time.sleep(seconds)
            child.send_signal(number)
            return child.wait(60)

    for seconds in (0.3, 0.7, 1.1):
        assert call(signal.SIGKILL, seconds) in (-signal.SIGKILL, 0)
    assert call(signal.SIGTERM, 0.5) in (143, 0)
    subprocess.run(words, cwd=project, env=environment, check=True)
    (model,) = (project / "runs").rglob("model.safetensors")
    resumed = model.read_bytes()
    subprocess.run([*words, "--again"], cwd=project, env=environment, check=True)
    assert model.read_bytes() == resumed and not list(project.rglob("*.tmp"))
