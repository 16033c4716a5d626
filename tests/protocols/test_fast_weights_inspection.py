"""A trained learner taken apart: what is measured, and that the learner stays whole."""

import copy
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from metamemory.analysis import fast_weights as inspection
from metamemory.errors import UserError
from metamemory.models.fast_weights.meta_networks import MetaNetworks
from metamemory.protocols.conduct import conduct
from metamemory.tasks.support_query import SupportQuery

MODEL = {"filters": 3, "hidden": 4, "generator_hidden": 4, "initialisation": "lecun", "ways": 3}
CONFIG = {
    "protocol": "fast_weights_inspection",
    "learner": "meta_networks",
    "data": {"name": "drawings", "split": "thirds", "size": 8},
    "task": {"n_way": 3, "k_shot": 1, "n_query": 2},
    "test": [{"n_way": 3}, {"n_way": 4}],
    "evaluation": {"episodes": 5, "batch_size": 2},
    "model": MODEL,
    "trained": "not looked at here",
}


def learner(**settings) -> MetaNetworks:
    torch.manual_seed(4)
    return MetaNetworks((1, 8, 8), 4, **{**MODEL, **settings}).eval()


@pytest.fixture
def looked_at(context, tmp_path):
    """`looked_at(learner, config)`: what is found of its weights."""

    def looked_at(of: MetaNetworks, config=CONFIG):
        save_file({name: each.contiguous() for name, each in of.state_dict().items()}, tmp_path / "model.safetensors")
        return conduct(copy.deepcopy(config), 0, replace(context(), trained=tmp_path / "model.safetensors"))

    return looked_at


@pytest.fixture
def episode(images):
    return SupportQuery(images, 3, 1, 2, labels=4).sample(2, torch.Generator().manual_seed(0))


def answers(of: MetaNetworks, episode):
    with torch.no_grad():
        return of.answer_queries(episode.support_x, episode.support_y, episode.query_x)


def test_what_is_found(looked_at):
    outcome = looked_at(learner())
    layers = ["conv5", "linear", "softmax"]
    assert outcome.example["layers"] == layers and [row["layer"] for row in outcome.scores] == [0, 1, 2]
    assert set(outcome.metrics) == {
        *(f"accuracy{end}" for end in ("", "_slow", "_fast", "_no_task_weights")),
        *(f"accuracy_without_{name}" for name in layers),
        "attention_to_own_class",
    }
    for row, name in zip(outcome.scores, layers, strict=True):
        assert row["slow"] > 0 and row["fast"] > 0 and 0 <= row["of_query"] <= 1
        assert round(row["accuracy"], 5) == outcome.metrics[f"accuracy_without_{name}"]
    attention = torch.tensor(outcome.example["attention"])
    assert attention.shape == (6, 3) and torch.allclose(attention.sum(dim=1), torch.ones(6), atol=1e-3)
    assert outcome.history == []


def test_what_is_inside_is_what_answers_are_made_of(episode):
    """The answer is computed again from it, by the layers alone."""
    of = learner()
    found = inspection.inside(of, episode)
    with torch.no_grad():
        logits = of.base.upper(of.base.lower(episode.query_x.transpose(0, 1)), [found.slow, found.fast])
    there = answers(of, episode).transpose(0, 1)  # by label; places of the labels that are there come in their order
    for task in range(2):
        labels = episode.support_y[:, task].sort().values
        assert torch.allclose(there[task][:, labels], logits[task, :, :3], atol=1e-6)


def test_nothing_is_left_of_what_is_taken_away(episode):
    of = learner()
    for other in inspection.alterations(of, ["conv5", "linear", "softmax"]).values():
        assert not answers(other, episode).allclose(answers(of, episode))
    none = of.altered(without=("conv5", "linear", "softmax"))
    assert answers(none, episode).equal(answers(of.altered(parts="slow"), episode))
    without = learner(task_weights="none")
    state = {name: each for name, each in of.state_dict().items() if name in without.state_dict()}
    without.load_state_dict(state)
    assert answers(of.altered(task_weights=False), episode).equal(answers(without, episode))
    assert inspection.inside(of.altered(task_weights=False), episode).task == {}


def test_the_learner_stays_whole(episode):
    of = learner()
    before = answers(of, episode)
    inspection.alterations(of, ["linear"])
    assert answers(of, episode).equal(before) and of.without == () and of.parts == "both"


def test_sizes_and_focus_by_a_loop(episode):
    found = inspection.inside(learner(), episode)
    slow, fast = inspection.norms([found, found])["linear"]
    assert slow == pytest.approx(found.slow["linear"].square().mean().sqrt().item(), rel=1e-5)
    assert fast == pytest.approx(found.fast["linear"].square().mean().sqrt().item(), rel=1e-5)
    differing = found.fast["linear"] - found.fast["linear"].mean(dim=1, keepdim=True)
    assert inspection.spread([found])["linear"] == pytest.approx(
        (differing.square().mean() / found.fast["linear"].square().mean()).sqrt().item(), rel=1e-4
    )
    own = [
        found.attention[task, query, sample].item()
        for task in range(2)
        for query in range(6)
        for sample in range(3)
        if episode.query_y[query, task] == episode.support_y[sample, task]
    ]
    assert inspection.focus([found], [episode]) == pytest.approx(sum(own) / 12, rel=1e-5)


def test_one_that_writes_none_is_refused(context):
    with pytest.raises(UserError, match="protonet: it writes no fast weights that could be looked at"):
        conduct({**copy.deepcopy(CONFIG), "learner": "protonet", "model": {"filters": 2}}, 0, context())
