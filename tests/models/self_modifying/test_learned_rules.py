"""What holds for every learning rule of networks."""

import pytest
import torch
from torch.nn import functional as fn

from metamemory.models import TaskDescription, available, build, learner_class

RULES = [name for name in available() if learner_class(name).answers == "rule"]
SHAPE = (1, 4, 4)
OF_ONE_SAMPLE = {name: {"normalised_over": "layer"} for name in ("blur", "blur_evolved")}  # one has no deviation


@pytest.fixture(params=RULES)
def rule(request):
    torch.manual_seed(0)
    settings = {"minibatch": 4, "hidden": [6], **OF_ONE_SAMPLE.get(request.param, {})}
    return build(request.param, TaskDescription(SHAPE, 3, 2), settings).eval()


def stream(length, batch=2, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(length, batch, *SHAPE, generator=draw), torch.randint(3, (length, batch), generator=draw)


@torch.no_grad()
def test_a_support_set_is_learned_minibatch_by_minibatch(rule):
    x, y = stream(8)
    network = rule.start(2)
    for part in range(2):
        chosen = slice(4 * part, 4 * part + 4)
        logits, network = rule.learn(x[chosen], y[chosen], network)
        assert logits.shape == (4, 2, 3)
    torch.testing.assert_close(rule.answer_queries(x, y, x[:3]), rule.answer(x[:3], network))


@torch.no_grad()
def test_steps_are_the_stream_with_labels_that_come_late(rule):
    x, y = stream(7)
    shown = torch.cat([torch.full((2, 2), -1), y[:5]])
    whole, state = rule(x, shown), rule.initial_state(2)
    for t in range(7):
        answer, state = rule.step(x[t], shown[t], state)
        torch.testing.assert_close(answer, whole[t], rtol=1e-4, atol=1e-5)
    network = rule.start(2)
    for t in range(5):
        network = rule.learn(x[t : t + 1], y[t : t + 1], network)[1]
    torch.testing.assert_close(whole[6], rule.answer(x[6:], network)[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(rule.predict(x[:1], state, y[5])[0], _after(rule, network, x, y, x[:1]))


def _after(rule, network, x, y, query):
    return rule.answer(query, rule.learn(x[5:6], y[5:6], network)[1])[0]


@torch.no_grad()
def test_a_null_label_changes_nothing_and_a_label_does(rule):
    x, y = stream(5)
    null = torch.full((5, 2), -1)
    network = rule.start(2)
    before, after = rule(x, null), rule(x, y)
    for t in range(5):
        torch.testing.assert_close(before[t], rule.answer(x[t : t + 1], network)[0])
    assert not torch.equal(before, after)


@torch.no_grad()
def test_networks_of_tests_are_the_same_whatever_was_drawn_before(rule):
    torch.manual_seed(1)
    first = rule.start(3)
    torch.rand(7)
    assert all(torch.equal(*each) for each in zip(first, rule.start(3), strict=True))
    rule.train()
    assert not any(torch.equal(one, other) for one, other in zip(first, rule.start(3), strict=True) if one.any())


@torch.no_grad()
def test_networks_do_not_see_each_other(rule):
    x, y = stream(4, batch=3)
    network = rule.start(3)
    logits, learned = rule.learn(x, y, network)
    alone, apart_learned = rule.learn(x[:, 1:2], y[:, 1:2], tuple(each[1:2] for each in network))
    torch.testing.assert_close(alone[:, 0], logits[:, 1], rtol=1e-4, atol=1e-5)
    for one, all_of_them in zip(apart_learned, learned, strict=True):
        torch.testing.assert_close(one[0], all_of_them[1], rtol=1e-4, atol=1e-5)


def test_gradients_reach_the_rule_through_all_that_was_learned(rule):
    rule.train()
    x, y = stream(12)
    loss = fn.cross_entropy(rule.answer_queries(x, y, x[:6]).flatten(0, 1), y[:6].flatten())
    if rule.trained_by == "nothing":
        assert not list(rule.parameters()) and rule.candidates > 1
        return
    loss.backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in rule.parameters())


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_sgd_networks_are_those_of_torch(momentum):
    """Three steps of torch's own optimiser."""
    settings = {"minibatch": 4, "hidden": [6], "rates": [0.1, 0.3], "momenta": [0.0, 0.5]}
    rule = build("sgd_network", TaskDescription(SHAPE, 3), settings).eval()
    rule.choose(2 + int(momentum > 0))
    assert rule.rate_and_momentum == (0.3, momentum)
    x, y = stream(12)
    network = rule.start(2)
    module = torch.nn.Sequential(torch.nn.Linear(16, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    with torch.no_grad():
        for each, value in zip(module.parameters(), network, strict=False):
            each.copy_(value[1].T if value.dim() == 3 else value[1])
    optimiser = torch.optim.SGD(module.parameters(), lr=0.3, momentum=momentum)
    for part in range(3):
        chosen = slice(4 * part, 4 * part + 4)
        network = rule.learn(x[chosen], y[chosen], network)[1]
        optimiser.zero_grad()
        fn.cross_entropy(module(x[chosen, 1].flatten(1)), y[chosen, 1]).backward()
        optimiser.step()
    torch.testing.assert_close(rule.answer(x, network)[:, 1], module(x[:, 1].flatten(1)).detach())
