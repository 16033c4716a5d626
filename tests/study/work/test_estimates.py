"""How long a run will take, from those that have finished."""

from types import SimpleNamespace

import pytest

from metamemory.study.runs import Run
from metamemory.study.work.estimates import AT_LEAST, Estimates
from metamemory.study.work.queue import Job


def finished(method, setting, seconds, operations=0, experiment="probes", hardware="here"):
    run = {"scale": "laptop", "experiment": experiment, "method": method, "setting": setting}
    configuration = {"learner": method}
    told = {"run": run, "configuration": configuration, "hardware": hardware, "seconds": seconds}
    return {**told, "training_flops": operations}


@pytest.fixture
def seconds(tmp_path, monkeypatch):
    """Of a run of so many operations after those that have finished, and where they come from."""

    def of(method, setting, operations, *manifests):
        today = SimpleNamespace(root=tmp_path, configuration=lambda run: {"learner": run.method})
        estimates = Estimates(today, "here")
        estimates.manifests = list(manifests)
        for manifest in manifests:
            estimates._learn_from(manifest)
        monkeypatch.setattr(estimates, "operations", lambda run: operations)
        job = estimates.of(Job(Run("laptop", "probes", method, setting, root=tmp_path), "a claim", "not run"))
        return job.seconds, job.measured

    return of


def test_a_finished_run_of_the_same_setting_counts_most(seconds):
    runs = [finished("lstm", "two", 50, 100), finished("lstm", "one", 20, 100), finished("lstm", "one", 30, 100)]
    assert seconds("lstm", "one", 400, *runs) == (25, "a finished run")
    assert seconds("lstm", "one", 0, *runs) == (25, "a finished run")


def test_operations_over_the_rate_of_the_learner(seconds):
    runs = [finished("lstm", "two", 50, 100), finished("snail", "two", 1, 100)]
    assert seconds("lstm", "one", 400, *runs) == (AT_LEAST + 200, "its learner")
    assert seconds("maml", "one", 51, *runs) == (AT_LEAST + 1, "other learners")


def test_where_nothing_is_trained_other_settings_and_then_other_methods_count(seconds):
    runs = [finished("lstm", "two", 50), finished("snail", "two", 10), finished("mann", "two", 9, experiment="other")]
    assert seconds("lstm", "one", 0, *runs) == (50, "another setting")
    assert seconds("maml", "one", 0, *runs) == (30, "another method")
    elsewhere = finished("lstm", "one", 70, hardware="elsewhere")
    assert seconds("lstm", "one", 0, elsewhere, runs[1]) == (10, "another method")
