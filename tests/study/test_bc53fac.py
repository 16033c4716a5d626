"""What the migration from commit bc53fac takes for the same under another name (`migrations/bc53fac`)."""

from pathlib import Path

import pytest

from metamemory.study import runs
from metamemory.study.before import before_of
from metamemory.study.parameters import Parameters, project_root
from metamemory.study.runs import Run

ROOT = project_root()


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    tree = tmp_path_factory.mktemp("before")
    (tree / "src/metamemory/models").mkdir(parents=True)
    (tree / "src/metamemory/models/mann_strength.py").write_text(
        "class Base:\n    pass\n\n\nclass Strong(Base):\n    pass\n",
        encoding="utf-8",
    )
    return before_of(tree, ROOT / "migrations/bc53fac")


def test_settings_and_learners_have_other_names(before):
    run = Run("laptop", "mann_classification", "mann_strength", "five", root=ROOT)
    former = {"task": {"length": 50}, "label_gain": 10.0, "curriculum": [{"n_way": 2, "drawings": 1}]}
    assert before.configuration(run, former) == {
        "learner": "mann",
        "protocol": "binding",
        "task": {"length": 50},
        "curriculum": [{"n_way": 2, "images_per_class": 1}],
        "model": {"strength": 10.0, "label_gain": 10.0},
    }
    today = runs.configuration(run)
    assert before.configuration(run, today) == today
    unread = Run("laptop", "mann_strings", "nearest_neighbour", "five", root=ROOT)
    assert "model" not in before.configuration(unread, {"label_gain": 10.0, "task": {"presentations": 3}})


def test_variants_that_were_files_are_the_methods_of_today(before):
    """A learner and settings are the same in the migration and in params/, for the papers that there were."""
    parameters = Parameters(ROOT)
    for experiment in parameters.experiments:
        if parameters.paper_of(experiment) in ("babu2021", "santoro2016"):
            for name in set(parameters.methods(experiment)) - {"mann_value_strength"}:  # which came later
                method = parameters.method(name)
                found = before.configuration(Run("smoke", experiment, name, "", root=ROOT), {})
                assert (found["learner"], found.get("model", {})) == (method.learner, dict(method.model))


def test_instances_are_one_more_than_shots(before):
    metrics = {"accuracy_instance_1": 0.1, "accuracy_instance_11": 0.2, "accuracy_20_classes_instance_2": 0.3}
    names = ["accuracy_0_shot", "accuracy_10_shot", "accuracy_1_shot_20_way"]
    renamed = dict(zip(names, metrics.values(), strict=True))
    assert before.renamed("metrics", metrics) == renamed
    assert before.renamed("history", [{"loss": 1.0, **metrics}]) == [{"loss": 1.0, **renamed}]
    assert before.renamed("scores", [metrics]) == [metrics]


def test_files_and_roots_are_those_of_that_tree(before):
    run = Run("laptop", "mann_classification", "mann_strength", "five", root=Path("x"))
    assert before.former(run, "scores.csv").name == "seed0.shots.csv"
    assert before.former(run, "metrics.json").name == "seed0.json"
    assert before.roots(run, {}) == [
        ("metamemory.study.experiments.mann_classification", "conduct"),
        ("metamemory.data", "load"),
        ("metamemory.models.mann_strength", "Strong"),
    ]
