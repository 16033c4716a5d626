"""VSML's table and claims: which number is after how many examples."""

import matplotlib.pyplot as plt

from metamemory.papers import claims_of
from metamemory.papers.learned_rules import rules, vsml
from metamemory.study.parameters import Parameters, project_root
from metamemory.study.results import Group, Result
from metamemory.study.runs import Run


class Kept(Result):
    scores = [
        {"test": 0, "step": step, "accuracy": step / 100, "low": 0.0, "high": 1.0, "candidate": 0}
        for step in (0, 5, 10)
    ]


def test_rows_are_by_examples(monkeypatch, tmp_path):
    assert vsml.table(tmp_path) == ""
    manifest = {"data": {"title": "MNIST"}, "configuration": {"tests": {"plain": {}}, "task": {"minibatch": 10}}}
    group = Group([Kept(Run("laptop", vsml.EXPERIMENT, "vsml", vsml.SETTING, 0), manifest)])
    monkeypatch.setattr("metamemory.study.tables.stale", lambda run: None)
    monkeypatch.setattr(rules, "groups", lambda experiment, setting, root: [group])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in vsml.table().splitlines()[4:]]
    assert vsml.table().startswith("In per cent, at laptop scale, MNIST:\n\n| method")
    assert [(row[1], row[2].partition("\N{NO-BREAK SPACE}")[0]) for row in rows] == [
        ("50 examples", "5.0"),
        ("100 examples", "10.0"),
    ]
    figure = rules.learning_curves([group], by="example")
    assert figure.axes[0].lines[0].get_xdata().tolist() == [0, 50, 100]
    plt.close("all")


def test_claims_compare_as_many_examples(tmp_path):
    assert claims_of(vsml)(tmp_path).count("not run") == 2 * len(vsml.claims())
    parameters = Parameters(project_root())
    for claim in vsml.claims():
        examples = set()
        for side in claim.pairs[0]:
            for scale in ("laptop", "paper"):
                config = parameters.configuration(scale, side.experiment, side.method, side.setting, {})
                assert side.quantity.test in config["tests"] and side.quantity.step in config["evaluation"]["at"]
                examples.add(side.quantity.step * config["task"]["minibatch"])
        assert examples == {100}
