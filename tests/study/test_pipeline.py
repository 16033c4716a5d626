"""The whole study at smoke scale, as `make study` does it, and what happens when something in it changes."""

import json
import os
import re
import signal
import subprocess
import time

import pytest
from safetensors.torch import load_file

from metamemory.study.locks import read_stages
from metamemory.study.parameters import Parameters, project_root
from metamemory.study.results import finished
from metamemory.study.runs import planned

EXPERIMENT = "notebooks/babu2021/online_few_shot/dvc.yaml"  # its stages only: the book takes a minute
LSTM = "src/metamemory/models/recurrent/lstm.py"

# the learner that the page on extending the study shows
LEARNER = re.search(
    r"```python\n# src/metamemory/models/reference/last_label.py\n(.*?)```",
    (project_root() / "book/extend.md").read_text(encoding="utf-8"),
    re.S,
)[1]


def changed_stages(project):
    """Stages whose code, configuration, notebook or data have changed, once the digests are up to date."""
    project.run("dvc", "repro", "--quiet", "digests")
    return {
        name.rpartition(":")[2]
        for name, changes in json.loads(project.run("dvc", "status", "--json")).items()
        if name != "book" and any("changed deps" in change or "changed command" in change for change in changes)
    }


def in_stream(result):
    """Of an experiment that names characters or photographs in a stream."""
    assert len(result.scores) == 9 and len(result.example["y"]) == 45
    assert result.metrics["accuracy_5_shot"] == pytest.approx(result.scores[5]["accuracy"], abs=1e-5)
    assert result.manifest["data"]["title"].partition(" (")[0] in ("Omniglot", "glyphs", "CIFAR-FS", "scenes")
    if result.manifest["parameters"]:
        assert result.manifest["training_flops"] > 3 * 48 * result.manifest["flops_per_step"]


def of_inspection(result):
    assert len(result.scores) == 9
    assert set(result.example) == {"calibration_error", "confidence", "reset", "frozen", "frozen_after", "moved"}


def of_continual_learning(result, subtasks=5):
    assert 0 <= result.metrics[f"accuracy_{subtasks}_subtasks"] <= 1
    assert {"seen", "first", "last"} <= set(result.scores[0]) and len(result.example["known"]) == subtasks


def of_continual_labels(result):
    of_continual_learning(result, result.manifest["configuration"]["task"]["subtasks"])


def of_segmentation(result):
    assert len(result.scores) == 9 and len(result.example["wanted"]) == 18


def of_segmentation_injection(result):
    of_segmentation(result)


def of_support_query(result):
    assert result.metrics["accuracy"] == pytest.approx(result.scores[0]["accuracy"], abs=1e-5)
    tests = result.manifest["configuration"]["test"]
    assert len(result.scores) == (len(tests) if isinstance(tests, list) else 1)
    first = tests[0] if isinstance(tests, list) else tests
    assert len(result.example["query_y"]) == result.scores[0]["n_way"] * first["n_query"]


def of_probes_characters(result):
    assert [row["k_shot"] for row in result.scores] == [1, 2, 1, 1]
    assert 0 <= result.metrics["changed_wrong_label"] <= 1 and result.metrics["flops_to_adapt"] > 0


def of_probes_photographs(result):
    of_probes_characters(result)


def of_turned_streams(result):
    assert [row["turned"] for row in result.scores] == [0] * 9 + [1] * 9
    assert result.metrics["accuracy_5_shot_turned"] == pytest.approx(result.scores[14]["accuracy"], abs=1e-5)


def of_turned_queries(result):
    assert [(row["n_way"], row["turned"]) for row in result.scores] == [(5, 0), (5, 1), (20, 0), (20, 1)]


def of_two_tasks(result):
    assert [(row["other_first"], row["second"]) for row in result.scores] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert {len(each) for each in result.example["by_step"].values()} == {24}
    assert " and " in result.manifest["data"]["title"]


def of_in_context(result):
    assert [row["kind"] for row in result.scores] == [0, 1, 2]
    assert {len(each) for each in result.example["by_step"].values()} == {10}
    assert result.metrics["accuracy_other_data"] == pytest.approx(result.scores[2]["accuracy"], abs=1e-5)


def of_function_regression(result):
    assert [row["context"] for row in result.scores] == [0, 3, 10]
    assert len(result.example["mean"]) == 3


def of_image_completion(result):
    assert [(row["context"], row["ordered"]) for row in result.scores] == [
        (known, ordered) for ordered in (0, 1) for known in (1, 10, 64)
    ]


def of_one_shot_omniglot(result):
    assert result.metrics["accuracy"] == pytest.approx(result.scores[0]["accuracy"], abs=1e-5)
    assert len(result.example["query_y"]) % result.scores[0]["n_way"] == 0


def of_one_shot_variations(result):
    of_one_shot_omniglot(result)


def of_one_shot_mini_imagenet(result):
    of_one_shot_omniglot(result)


def of_omniglot_to_mnist(result):
    of_one_shot_omniglot(result)
    assert result.manifest["data"]["title"].partition(", then ")[2] in ("MNIST", "digits (stand-in for MNIST)")


def of_reverse_transfer(result):
    assert len(result.scores) > 1 and all({"change", "low", "high"} <= set(row) for row in result.scores)


def of_fast_weights(result):
    assert result.example and all(0 <= row["accuracy"] <= 1 for row in result.scores)


def of_fixed_networks(result):
    assert len(result.scores) == 1 + len(result.manifest["configuration"]["others"])


def of_update_rules(result):
    """A row a test and number of steps."""
    tests, at = (result.manifest["configuration"][name] for name in ("tests", "evaluation"))
    assert [row["step"] for row in result.scores] == at["at"] * len(tests)
    assert set(result.example["tests"]) == set(tests) and all(0 <= each <= 1 for each in result.metrics.values())


def of_update_rules_ablation(result):
    of_update_rules(result)


def of_shared_synapses(result):
    of_update_rules(result)


def of_cloned_synapses(result):
    """As well, how far synapses are from what they are to compute."""
    tests, at = (result.manifest["configuration"][name] for name in ("tests", "evaluation"))
    assert [row["step"] for row in result.scores] == at["at"] * len(tests)
    if result.manifest["configuration"]["learner"] == "cloned_backpropagation":
        assert {"error_y", "error_back", "error_of_w", "error_of_b"} <= set(result.metrics)


def of_evolved_synapses(result):
    of_update_rules(result)


def of_evolved_updates(result):
    of_update_rules(result)


def of_fitness(result):
    """A row for each number of generations, after the lifetimes of the first networks."""
    config = result.manifest["configuration"]
    spent = [config["search"]["candidates"] + each for each in config["evaluation"]["at"]]
    assert [row["lifetimes"] for row in result.scores] == spent
    assert {"paid", "best", "rise"} <= set(result.metrics) and result.example["by_search"]["paid"]


def of_supervised_learning(result):
    assert result.metrics["accuracy"] == pytest.approx(result.scores[0]["accuracy"], abs=1e-5)
    assert result.manifest["data"]["title"] in ("CIFAR-100", "scenes (stand-in for CIFAR-100)")
    assert result.manifest["training_images"] == 45_000 and len(result.example["answer"]) == 12


def test_every_run_leaves_its_results(project):
    parameters = Parameters(project.root)
    runs = planned(parameters, "smoke", parameters.experiments, project.root)
    assert {result.run.place for result in finished(project.root)} == {run.place for run in runs}
    for result in finished(project.root):
        manifest = result.manifest
        assert result.metrics and manifest["data"]["title"] and len(result.history) <= 200
        assert result.scores and all(row.get("low", 0) <= row.get("high", 1) for row in result.scores)
        if manifest.get("parameters"):
            assert sum(each.numel() for each in load_file(result.run.model).values()) >= manifest["parameters"]
            episodes = manifest["configuration"]["training"]["episodes"]
            assert manifest["training_episodes"] == episodes == result.history[-1]["episodes"]
        if not result.run.experiment.startswith("mann_"):
            globals().get(f"of_{result.run.experiment}", in_stream)(result)


def test_the_book_is_built_and_shows_the_runs(project):
    """By `dvc repro`, with warnings as errors; and it opens without a network."""
    html = project.root / "book/_build/html"
    page = (html / "babu2021/online_few_shot.html").read_text(encoding="utf-8")
    assert "CL+LSTM" in page and "smoke" in page and "Traceback" not in page
    title = "Omniglot" if (project.root / "data/omniglot").exists() else "glyphs (stand-in for Omniglot)"
    assert title in page and title in (html / "babu2021/protocol.html").read_text(encoding="utf-8")
    for path in html.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|link|img)[^>]+(?:src|href)=\"(https?://[^\"]+)", path.read_text(encoding="utf-8")
        )
        assert not [url for url in loaded if "canonical" not in url], path.name


def test_a_second_repro_does_nothing(project):
    assert "Data and pipelines are up to date" in project.run("dvc", "repro")
    assert project.run("git", "status", "--porcelain") == ""


def test_metrics_and_plots_are_shown(project):
    shown = project.run("dvc", "metrics", "show")
    assert "accuracy_5_shot" in shown and "cl_lstm" in shown
    page = project.run("dvc", "plots", "show").strip().splitlines()[-1]
    assert "dvc_plots" in page and (project.root / "dvc_plots" / "index.html").stat().st_size > 10_000


@pytest.mark.slow
def test_a_docstring_runs_the_digests_and_nothing_else(project):
    project.edit(LSTM, "LSTM baseline", "The LSTM baseline")
    assert set(json.loads(project.run("dvc", "status", "--json"))) == {"digests"}
    assert re.findall(r"Running stage '(.*)'", project.run("dvc", "repro")) == ["digests"]
    project.edit(LSTM, "The LSTM baseline", "LSTM baseline")
    project.run("dvc", "repro")


def test_editing_a_learner_changes_its_own_stage_only(project):
    project.edit(LSTM, "self.classifier(h)", "2 * self.classifier(h)")
    assert changed_stages(project) == {"online_few_shot@smoke-lstm-omniglot-0"}
    output = project.run("dvc", "repro", EXPERIMENT)
    assert "lstm/omniglot/seed0: begins" in output and "cl_lstm/omniglot" not in output
    project.edit(LSTM, "2 * self.classifier(h)", "self.classifier(h)")
    project.run("dvc", "repro", EXPERIMENT)


@pytest.mark.slow
def test_a_learner_that_cannot_be_read_stops_its_own_stage_only(project):
    project.edit(LSTM, "class LSTM", "clas LSTM")
    assert changed_stages(project) == {"online_few_shot@smoke-lstm-omniglot-0"}
    assert "SyntaxError" in (project.root / "digests/smoke/online_few_shot/lstm/omniglot.json").read_text(
        encoding="utf-8"
    )
    project.edit(LSTM, "clas LSTM", "class LSTM")
    assert changed_stages(project) == set()


def test_runs_done_beside_dvc_are_recorded(project):
    """The entries that `record` writes are those that DVC has written, and stand in for them."""
    locks = {path: read_stages(path) for path in (project.root / "notebooks").glob("*/*/dvc.lock")}
    assert len(locks) == len(Parameters(project.root).experiments)
    for path in locks:
        path.unlink()
    project.run("python", "-m", "metamemory", "record")
    assert {path: read_stages(path) for path in locks} == locks
    assert changed_stages(project) == set()


@pytest.mark.slow
def test_changing_one_methods_parameters_changes_its_own_stage_only(project):
    narrow = "      lstm:\n        smoke:\n          model:\n            hidden: 16\n"
    project.edit("params/babu2021.yaml", narrow, narrow.replace("16", "12"))
    assert changed_stages(project) == {"online_few_shot@smoke-lstm-omniglot-0"}
    project.edit("params/babu2021.yaml", narrow.replace("16", "12"), narrow)
    project.edit("params/babu2021.yaml", "episodes: 800000", "episodes: 800001")  # at a scale that is not run
    assert changed_stages(project) == set()
    project.edit("params/babu2021.yaml", "episodes: 800001", "episodes: 800000")


@pytest.mark.slow
def test_a_learner_is_added_with_one_file_and_one_line(project):
    (project.root / "src/metamemory/models/reference/last_label.py").write_text(LEARNER, encoding="utf-8")
    before = "      nearest_neighbour: {}\n"
    project.edit("params/babu2021.yaml", before, f"{before}      last_label: {{}}\n")
    assert changed_stages(project) == {"online_few_shot@smoke-last_label-omniglot-0"}
    assert "last_label" in project.run("dvc", "repro", EXPERIMENT)
    report = project.run("python", "-m", "metamemory", "report")
    rows = [line for line in report.splitlines() if line.startswith("| The last label ")]
    assert len(rows) == 2 and "smoke scale" in rows[0]
    project.edit("params/babu2021.yaml", "      last_label: {}\n", "")
    (project.root / "src/metamemory/models/reference/last_label.py").unlink()


@pytest.mark.slow
def test_an_experiment_of_dvc_changes_a_parameter(project):
    change = "params/babu2021.yaml:experiments.online_few_shot.methods.lstm.smoke.model.hidden=12"
    output = project.run("dvc", "exp", "run", "-S", change, "-n", "narrow", EXPERIMENT)
    assert "narrow" in output
    manifest = json.loads(
        (project.root / "results/smoke/online_few_shot/lstm/omniglot/seed0.manifest.json").read_text(encoding="utf-8")
    )
    assert manifest["configuration"]["model"]["hidden"] == 12
    assert len(re.findall(r"Running stage '.*online_few_shot@.*'", output)) == 1
    project.run("git", "checkout", "-q", "--", ".")
    project.run("dvc", "checkout", "-q")
    assert changed_stages(project) == set()


def test_unknown_parameters_of_a_notebook_are_refused(project):
    code = (
        "from pathlib import Path; from metamemory.study.notebooks import execute; "
        "execute(next(Path('notebooks').glob('*/*/online_few_shot.ipynb')), Path('out.ipynb'), {'methd': 'lstm'})"
    )
    assert "no parameter methd in its `parameters` cell" in project.run("python", "-c", code, check=False)


def test_an_error_in_a_notebook_is_one_line(project):
    command = "python -m metamemory run online_few_shot --notebook --method lstm --scale smoke --set model.hiden=3"
    output = project.run(*command.split(), check=False)
    assert output.strip().splitlines()[-1].startswith("error: no setting 'model.hiden'; did you mean hidden?")


RUN = "python -m metamemory run online_few_shot --scale smoke --method cl_lstm"


def test_without_what_checks_shapes_everything_is_imported_and_a_run_is_trained(project):
    """jaxtyping and beartype serve tests; a bare GPU machine does not have them."""
    code = (
        "import sys\n"
        "for name in ('jaxtyping', 'beartype', 'wadler_lindig'):\n"
        "    sys.modules[name] = None  # as if it were not installed\n"
        "import importlib, pkgutil, metamemory\n"
        "for each in pkgutil.walk_packages(metamemory.__path__, 'metamemory.'):\n"
        "    if not each.name.endswith(('__main__', '_triton')):\n"
        "        importlib.import_module(each.name)\n"
        "from metamemory.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    output = project.run("python", "-c", code, *RUN.split()[3:], "--set", "training.episodes=320")
    assert "begins on" in output and "accuracy_5_shot" in output


def test_killed_in_training_it_goes_on_to_the_same_weights(project):
    """kill -9 after a checkpoint, then the same command: bit for bit what an unbroken run gives."""
    long = "--set training.episodes=1600 --set training.validations=8"
    script = project.root / "killed.py"
    script.write_text(  # checkpoints at every update, so that one is there whenever the kill comes
        "import sys\nfrom metamemory.training import loop\nfrom metamemory.__main__ import main\n"
        "loop.CHECKPOINT_SECONDS = 0\nsys.exit(main(sys.argv[1:]))\n",
        encoding="utf-8",
    )
    words = f"python killed.py {RUN.split(' ', 3)[3]} {long}".split()
    victim = subprocess.Popen(words, cwd=project.root, env=project.environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list((project.root / ".resume").glob("*.pt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.5)
    os.kill(victim.pid, signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    models = project.root / "runs/smoke/online_few_shot/cl_lstm"
    assert not list(models.glob("*episodes=1600*/seed0/model.safetensors")), "it finished before it was killed"
    assert "going on" in project.run(*f"{RUN} {long}".split())
    (model,) = models.glob("*episodes=1600*/seed0/model.safetensors")
    resumed = model.read_bytes()
    assert "begins on" in project.run(*f"{RUN} {long} --again".split())
    assert model.read_bytes() == resumed


def test_minutes_stop_at_a_checkpoint(project):
    command = f"{RUN} --set training.episodes=3200 --minutes 0.01"
    assert "the same command goes on" in project.run(*command.split())
    assert "going on" in project.run(*command.split())


@pytest.mark.slow
def test_every_experiment_trains_through_its_notebook(project):
    """Its last run again, by its stage of DVC, to the weights that it had."""
    for lock in sorted((project.root / "notebooks").glob("*/*/dvc.lock")):
        stage = list(read_stages(lock))[-1]
        scale, method, setting, seed = stage.partition("@")[2].split("-")
        place = f"{lock.parent.name}/{method}/{setting}/seed{seed}"
        model = project.root / "runs" / scale / place / "model.safetensors"
        weights = model.read_bytes()
        model.unlink()
        output = project.run("dvc", "repro", "--force", "--single-item", f"{lock.with_suffix('.yaml')}:{stage}")
        assert f"{place}: begins" in output
        assert model.read_bytes() == weights
