"""Tables and claims of rules that are cloned, evolved, or only executed."""

import matplotlib.pyplot as plt
import pytest
import torch

from metamemory.papers import claims_of
from metamemory.papers.learned_rules import cloning, evolution, fitness
from metamemory.protocols import Context, protocol_class
from metamemory.study import results
from metamemory.study.parameters import Parameters, project_root
from metamemory.study.results import Group, Result, largest_of_each
from metamemory.study.runs import Run
from metamemory.tasks.data_set import cropped

EVOLVED = ["evolved_synapses", "evolved_updates"]
SIZED = ("laptop", "paper")  # scales at which claims are judged


def group_of(experiment, method, setting, manifest, **own):
    kept = type("Kept", (Result,), own)
    return Group([kept(Run("laptop", experiment, method, setting, 0), {"data": {"title": "MNIST"}, **manifest})])


@pytest.fixture(autouse=True)
def none_is_stale(monkeypatch):
    monkeypatch.setattr("metamemory.study.tables.stale", lambda run: None)


def cells(table):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


@pytest.mark.parametrize("topic", [cloning, evolution, fitness])
def test_claims_are_of_what_the_parameters_have(topic, tmp_path):
    assert claims_of(topic)(tmp_path).count("not run") == 2 * len(topic.claims())
    parameters = Parameters(project_root())
    for claim in topic.claims():
        for side in claim.pairs[0]:
            if side == 0.0:
                continue
            config = parameters.configuration("laptop", *side[:3], {})
            if topic is not fitness:
                assert side.quantity.test in config["tests"] and side.quantity.step in config["evaluation"]["at"]


@pytest.mark.parametrize("scale", ["smoke", "laptop", "paper"])
@pytest.mark.parametrize("experiment", ["update_rules", "shared_synapses", "cloned_synapses", *EVOLVED])
def test_images_of_every_scale_can_be_made(experiment, scale, tmp_path):
    parameters, context = Parameters(project_root()), Context(torch.device("cpu"), tmp_path)
    for method in parameters.methods(experiment):
        config = parameters.configuration(scale, experiment, method, "digits", {})
        protocol, side = protocol_class(config["protocol"])(config, 0, context), config["data"]["size"]
        pixels = torch.zeros(1, 1, 1, side, side, dtype=torch.uint8)
        sizes = [protocol._size(test) for test in protocol.tests.values()]
        for crop, size in [(config["task"]["crop"], config["task"]["size"]), *sizes]:
            assert cropped(pixels, crop, size).shape[-1] == size


def test_cloned_and_sgd_networks_are_compared_after_as_many_examples():
    parameters = Parameters(project_root())
    for claim in cloning.claims():
        examples = {
            side.quantity.step * parameters.configuration("laptop", *side[:3], {})["task"]["minibatch"]
            for side in claim.pairs[0]
        }
        assert examples == {500}


def test_errors_are_shares(monkeypatch):
    metrics = {"error_y": 0.01, "error_back": 0.02, "error_of_w": 0.1, "error_of_b": 0.5}
    group = group_of(cloning.EXPERIMENT, cloning.RULE, "digits", {}, metrics=metrics)
    monkeypatch.setattr(cloning, "groups", lambda experiment, setting, root: [group])
    assert cells(cloning.errors())[0][2:] == ["1.0 %", "2.0 %", "10.0 %", "50.0 %"]


def test_pay_and_its_rise_are_over_searches(monkeypatch):
    example = {"by_search": {"paid": [[0.1, 0.3], [0.2, 0.6]], "best": [[0.2, 0.4], [0.5, 0.5]]}}
    scores = [{"lifetimes": 5}, {"lifetimes": 9}]
    group = group_of("fitness", "fitness_monotonic", "bandit", {"test_episodes": 2}, example=example, scores=scores)
    for module in (fitness, results):
        monkeypatch.setattr(module, "groups", lambda _, setting, __: [group] if setting == "bandit" else [])
    ((*_, best, best_rise, paid, paid_rise, searches),) = cells(fitness.table())
    numbers = [each.partition("\N{NO-BREAK SPACE}")[0] for each in (best, best_rise, paid, paid_rise)]
    assert numbers == ["50.0", "20.0", "40.0", "20.0"] and searches == "2"
    figure = fitness.curves(largest_of_each(fitness.EXPERIMENT, fitness.SETTINGS))
    lines = [axes.lines[0] for axes in figure.axes[:2]]
    assert [line.get_xdata().tolist() for line in lines] == [[5, 9]] * 2
    assert lines[0].get_ydata() == pytest.approx([30, 50]) and lines[1].get_ydata() == pytest.approx([20, 40])
    plt.close("all")


def test_claims_of_a_rise_are_since_every_place_of_a_scale():
    since = [side.quantity.since for claim in fitness.claims()[:2] for side, _ in claim.pairs]
    assert since == list(range(fitness.PLACES))
    places = [Parameters(project_root()).configuration(scale, "fitness", fitness.RULE, "bandit", {}) for scale in SIZED]
    assert min(len(config["evaluation"]["at"]) for config in places) == fitness.PLACES
    group = group_of("fitness", "fitness_monotonic", "bandit", {}, example={"by_search": {"paid": [[0], [4], [1]]}})
    assert [fitness.Rise("paid", since)(group.results[0]).mean for since in range(3)] == [1, -3, 0]


def test_of_a_single_row_there_is_no_rise():
    group = group_of("fitness", "fitness_monotonic", "bandit", {}, example={"by_search": {"paid": [[0.1, 0.3]]}})
    assert fitness.Rise("paid")(group.results[0])[:3] == (0.0, 0.0, 0.0)
