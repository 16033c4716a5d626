"""The command line: helps, lists, and ends with one line when something is wrong."""

import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from metamemory.__main__ import main
from metamemory.data import preparation
from metamemory.study.parameters import Parameters, project_root
from metamemory.study.runs import planned


@pytest.fixture(autouse=True)
def at_the_top(monkeypatch):
    monkeypatch.chdir(project_root())


@pytest.mark.parametrize("command", [[], ["run"], ["config"], ["data"], ["report"], ["list"]])
def test_help_reads_within_a_terminal(capsys, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as done:
        main([*command, "--help"])
    text = capsys.readouterr().out
    assert done.value.code == 0 and text.startswith("usage: python -m metamemory")
    assert all(len(line) <= 100 for line in text.splitlines())


def test_list_names_every_run_and_the_headline(capsys):
    assert main(["list", "--scale", "paper"]) == 0
    assert "paper/online_few_shot/cl_lstm/omniglot/seed0" in capsys.readouterr().out
    assert main(["list", "--headline", "--stages", "--scale", "smoke"]) == 0
    methods = ("counting", "nearest_neighbour", "lstm", "cl_lstm")
    file = "notebooks/babu2021/online_few_shot/dvc.yaml"
    targets = [f"{file}:online_few_shot@smoke-{method}-omniglot-0" for method in methods]
    assert capsys.readouterr().out.split() == targets


def test_config_prints_each_setting_beside_the_place_where_it_is_written(capsys):
    words = "mann_classification --method mann_strength --scale smoke --set training.learning_rate=1e-3"
    assert main(["config", *words.split()]) == 0
    text = capsys.readouterr().out
    parameters = Parameters()
    name = ("smoke", "mann_classification", "mann_strength", "five")
    assert yaml.safe_load(text) == parameters.configuration(*name, {"training": {"learning_rate": 0.001}})
    origins = {line.split(":")[0].strip(): line.partition("  # ")[2] for line in text.splitlines()[1:]}
    experiment = "experiments.mann_classification"
    assert origins["learner"] == origins["strength"] == "methods.mann_strength" and origins["protocol"] == experiment
    assert origins["hidden"] == f"{experiment}.methods.mann.smoke" and origins["learning_rate"] == "overrides"
    assert origins["n_way"] == f"{experiment}.settings.five" and origins["curriculum"] == f"{experiment}.scales.smoke"
    assert main(["config", *words.replace("learning_rate", "learning_rat").split()]) == 1
    assert "did you mean learning_rate?" in capsys.readouterr().err


def test_calls_are_arguments_of_run(capsys, monkeypatch):
    assert main(["list", "--calls", "--scale", "smoke"]) == 0
    calls = capsys.readouterr().out.splitlines()
    runs = planned(Parameters(), "smoke", Parameters().experiments)
    assert len(calls) == len(runs)
    done = []
    monkeypatch.setattr("metamemory.study.runs.execute", lambda run, *_: done.append(run))
    assert all(main(["run", *call.split()]) == 0 for call in calls[::7])  # each reads the parameters anew
    assert done == runs[::7]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run few_shot --method lstm", "error: params.yaml: no experiment 'few_shot'"),
        ("run online_few_shot --method ltsm", "error: params/babu2021.yaml: no method 'ltsm'; did you mean lstm?"),
        ("run online_few_shot --method lstm --scale big", "error: params/babu2021.yaml: no scale 'big'"),
        ("run online_few_shot --method lstm --set episodes", "error: --set episodes: write it as section.key=value"),
    ],
)
def test_what_is_not_known_is_one_line(capsys, words, message):
    assert main(words.split()) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(message) and len(printed.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--minutes -3", "-3 is not a number from 0 on"),
        ("--minutes nan", "nan is not"),
        ("--seed -1", "-1 is not from 0"),
        ("--seed 1.5", "'1.5' is not a whole number"),
        ("--minutes five", "'five' is not a number"),
    ],
)
def test_impossible_numbers_are_refused(capsys, words, message):
    with pytest.raises(SystemExit):
        main(f"run online_few_shot --method lstm {words}".split())
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("option", ["--again", "--minutes 1"])
def test_a_notebook_takes_no_slices(capsys, option):
    assert main(f"run online_few_shot --method lstm --notebook {option}".split()) == 1
    assert "--notebook goes with neither --again nor --minutes" in capsys.readouterr().err


def test_missing_data_says_how_to_get_them(capsys, tmp_path, monkeypatch):
    shutil.copy("params.yaml", tmp_path)
    shutil.copytree("params", tmp_path / "params")
    monkeypatch.chdir(tmp_path)
    assert main(["run", "online_few_shot", "--method", "lstm", "--scale", "smoke"]) == 1
    assert "run `make data`" in capsys.readouterr().err


def test_data_prepares_what_the_runs_need_or_what_is_named(monkeypatch):
    prepared = []
    monkeypatch.setattr(preparation, "prepare", lambda names, root, mirror, own: prepared.append((names, root, mirror)))
    assert main(["data"]) == 0
    assert main(["data", "cifar_fs", "scenes", "--mirror", "there"]) == 0
    assert prepared == [
        (Parameters().data_sets, Path("data"), None),
        (["cifar_fs", "scenes"], Path("data"), "there"),
    ]


def test_training_imports_nothing_of_the_book():
    """A bare GPU machine has torch, numpy, PyYAML, tqdm and safetensors, and no more."""
    code = (
        "import sys, metamemory.study.runs, metamemory.protocols.online_few_shot, metamemory.study.tables\n"
        "from metamemory.models import available, learner_class\n"
        "[learner_class(name) for name in available()]\n"
        "print([name for name in ('matplotlib', 'seaborn', 'papermill', 'dvc', 'IPython') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8")
    assert done.stdout.strip() == "[]"


def test_a_file_that_cannot_be_written_is_told_before_it_is_made(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("metamemory.study.pretrained.load", lambda *_: pytest.fail("it was loaded"))
    (tmp_path / "file").touch()
    for path, told in (
        (tmp_path, "a folder is where the file has to be"),
        (tmp_path / "file/x", "a file is where its"),
    ):
        assert main(["export", "cl_lstm", "omniglot", "--to", str(path)]) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"error: cannot write {path}: ") and told in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--set", "training.episodes=5\n---\n6"], r"error: --set training.episodes=5\n---\n6: 5\n---\n6 is not YAML"),
        (["--set", "training={episodes: 5, episodes: 6}"], "is not YAML as it is read here (episodes is there twice)"),
        (["--set", "training={1: 5}"], "is not YAML as it is read here (1 is no name)"),
        (["--set", "data.split='\x1b[2J'"], "is not YAML"),
        (["--setting", ""], "no setting ''"),
        (["--setting", "a\r\x1b[2J\udcff"], "no setting"),
        (["--scale", ""], "no scale ''"),
    ],
)
def test_an_error_is_one_line_whatever_was_given(capsys, words, told):
    assert main(["config", "online_few_shot", "--method", "lstm", *words]) == 1
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1 and said[:-1].isprintable()


def test_output_that_cannot_be_written_is_one_line(capfd, monkeypatch):
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr("sys.stdout", full)
        monkeypatch.setattr("metamemory.__main__._print_no_more", lambda: monkeypatch.setattr("sys.stdout", None))
        assert main(["config", "online_few_shot", "--method", "lstm"]) == 1
        with suppress(OSError):
            full.close()
    said = capfd.readouterr().err
    assert said == "error: what is printed, or another file: No space left on device; mend that and run again\n"


def test_without_standard_streams_nothing_is_printed(monkeypatch):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", None)
    assert main(["config", "online_few_shot", "--method", "lstm"]) == 0
    assert not sys.stderr.isatty() and sys.stdin.read() == ""
    for name in ("stdin", "stdout", "stderr"):
        getattr(sys, name).close()
    monkeypatch.undo()
