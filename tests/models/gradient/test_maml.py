"""MAML, its first-order form and ANIL against a plain loop, task by task: answers, and the gradients that train it."""

import pytest
import torch
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.models.gradient.maml import MAML
from metamemory.nn.episode_network import EpisodeNetwork
from metamemory.training.flops import flops_of

SHAPE = (1, 12, 12)
RATE, STEPS = 0.3, 2


def episodes(batch=3, support=6, queries=5, seed=0):
    """Images, and labels 0, 1, 3 of four."""
    generator = torch.Generator().manual_seed(seed)
    x, query = (torch.rand(n, batch, *SHAPE, generator=generator, dtype=torch.float64) for n in (support, queries))
    names = torch.tensor([0, 1, 3])
    y, query_y = (names[torch.arange(n) % 3][:, None].expand(-1, batch) for n in (support, queries))
    return x, y, query, query_y


def small(**settings):
    torch.manual_seed(0)
    learner = MAML(SHAPE, 4, filters=3, inner_steps=STEPS, inner_rate=RATE, **settings).double()
    with torch.no_grad():
        for each in (*learner.net.gains, *learner.net.biases):
            each += 0.3 * torch.randn_like(each)
    return learner


def network(weights, x, strided, average, of=None):
    """The network written out, for one task: x [N, ...] -> logits; statistics of the first `of` of x."""
    maps = x
    for block in range(4):
        maps = fn.conv2d(maps, weights[f"net.weights.{block}"], stride=2 if strided else 1, padding=1)
        told = maps[:of]
        mean = told.mean(dim=(0, 2, 3), keepdim=True)
        variance = (told - mean).square().mean(dim=(0, 2, 3), keepdim=True)
        gain, bias = (weights[f"net.{name}.{block}"][:, None, None] for name in ("gains", "biases"))
        maps = ((maps - mean) / (variance + 1e-5).sqrt() * gain + bias).clamp(min=0)
        if not strided and min(maps.shape[-2:]) > 1:
            maps = fn.max_pool2d(maps, 2)
    features = maps.mean(dim=(2, 3)) if average else maps.flatten(1)
    return features @ weights["net.linear.weight"].T + weights["net.linear.bias"]


def answers_of_one(weights, x, y, query, order, adapted, strided, average, transductive):
    """One task: inner steps by hand, then its queries."""
    names = [name for name in weights if adapted == "all" or "linear" in name]
    own, there = dict(weights), sorted(set(y.tolist()))
    for _ in range(STEPS):
        if order == 1:  # the same value, cut off from where it came from
            own = {name: each.detach().requires_grad_() if name in names else each for name, each in own.items()}
        logits = network(own, x, strided, average)[:, there]
        loss = fn.cross_entropy(logits, torch.tensor([there.index(each) for each in y.tolist()]))
        gradients = torch.autograd.grad(loss, [own[name] for name in names], create_graph=order == 2, retain_graph=True)
        if order == 1:
            gradients = [each.detach() for each in gradients]
        own |= {name: own[name] - RATE * each for name, each in zip(names, gradients, strict=True)}
    if transductive:
        return network(own, query, strided, average), own
    return network(own, torch.cat([x, query]), strided, average, len(x))[len(x) :], own


CASES = [
    {"order": 2},
    {"order": 2, "transductive": False},
    {"order": 2, "strided": False, "average": False},
    {"order": 2, "adapted": "head"},
    {"order": 2, "adapted": "head", "transductive": False, "average": False},
]


@pytest.mark.parametrize("settings", CASES, ids=str)
def test_answers_and_meta_gradients_are_those_of_a_plain_loop(settings):
    learner, (x, y, query, query_y) = small(**settings), episodes()
    weights = dict(learner.named_parameters())
    chosen = {"adapted": "all", "strided": True, "average": True, "transductive": True, **settings}
    expected = [answers_of_one(weights, x[:, b], y[:, b], query[:, b], **chosen)[0] for b in range(x.shape[1])]
    expected = torch.stack(expected, dim=1)
    found = learner.answer_queries(x, y, query)
    torch.testing.assert_close(found, expected)
    losses = [fn.cross_entropy(each.flatten(0, 1), query_y.flatten()) for each in (found, expected)]
    gradients = [torch.autograd.grad(loss, list(weights.values())) for loss in losses]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)
        assert other.abs().max() > 0


@pytest.mark.parametrize("adapted", ["all", "head"])
def test_the_first_order_is_the_gradient_at_the_adapted_weights(adapted):
    """FOMAML: of one task, what the queries' loss has for a gradient where the steps have led."""
    learner, (x, y, query, query_y) = small(order=1, adapted=adapted), episodes(batch=1)
    weights = dict(learner.named_parameters())
    chosen = {"order": 1, "adapted": adapted, "strided": True, "average": True, "transductive": True}
    answers, there = answers_of_one(weights, x[:, 0], y[:, 0], query[:, 0], **chosen)
    expected = torch.autograd.grad(fn.cross_entropy(answers, query_y[:, 0]), list(there.values()))
    loss = fn.cross_entropy(learner.answer_queries(x, y, query)[:, 0], query_y[:, 0])
    for one, other in zip(torch.autograd.grad(loss, list(weights.values())), expected, strict=True):
        torch.testing.assert_close(one, other)
    second = small(order=2, adapted=adapted)
    second_loss = fn.cross_entropy(second.answer_queries(x, y, query)[:, 0], query_y[:, 0])
    torch.testing.assert_close(second_loss, loss)
    assert not torch.allclose(torch.autograd.grad(second_loss, second.net.weights[0])[0], expected[0], rtol=1e-2)


def test_tests_take_their_own_number_of_steps():
    x, y, query, _ = episodes()
    learner = small(test_steps=5)
    trained = learner.answer_queries(x, y, query)
    tested = learner.eval().answer_queries(x, y, query)
    learner.inner_steps = 5
    torch.testing.assert_close(learner.train().answer_queries(x, y, query), tested)
    assert not torch.allclose(trained, tested, atol=1e-3)
    same = small().eval()
    torch.testing.assert_close(same.answer_queries(x, y, query), trained)


@torch.no_grad()
@pytest.mark.parametrize("adapted", ["all", "head"])
def test_what_an_answer_depends_on(adapted):
    """On all queries of its episode where that is declared; else on itself. Never on other episodes or an order."""
    x, y, query, _ = episodes()
    for transductive in (True, False):
        learner = small(adapted=adapted, transductive=transductive).eval()
        assert learner.transductive is transductive
        answers = learner.answer_queries(x, y, query)
        changed = query.clone()
        changed[0, 0] += 1
        moved = (learner.answer_queries(x, y, changed) - answers).abs().amax(dim=-1)
        assert (moved[1:, 0] > 1e-6).all() == transductive and moved[:, 1:].max() < 1e-12
        if not transductive:
            assert moved[1:].max() < 1e-12
            torch.testing.assert_close(learner.answer_queries(x, y, query[2:3])[0], answers[2])
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(learner.answer_queries(x[order], y[order], query), answers)


@torch.no_grad()
def test_outputs_of_labels_that_are_not_there_do_not_move():
    x, y, query, _ = episodes()
    learner = small().eval()
    before = learner.net.linear.bias.clone()
    learner.net.linear.bias[2] = 7.0
    changed = learner.answer_queries(x, y, query)
    learner.net.linear.bias.copy_(before)
    answers = learner.answer_queries(x, y, query)
    torch.testing.assert_close(changed[..., [0, 1, 3]], answers[..., [0, 1, 3]])


@torch.no_grad()
def test_in_a_stream_each_sample_is_normalised_on_its_own():
    """One step of gradient descent for each label, by hand; then the answer to the new sample."""
    learner, (x, y, _, _) = small(rate=0.2).eval(), episodes(batch=1)

    def layer_by_layer(weights, sample):
        maps = sample
        for block in range(4):
            maps = fn.conv2d(maps, weights[f"net.weights.{block}"], stride=2, padding=1)
            maps = (maps - maps.mean()) / (maps.var(correction=0) + 1e-5).sqrt()
            gain, bias = (weights[f"net.{name}.{block}"][:, None, None] for name in ("gains", "biases"))
            maps = (maps * gain + bias).clamp(min=0)
        return maps.mean(dim=(2, 3)) @ weights["net.linear.weight"].T + weights["net.linear.bias"]

    weights = dict(learner.named_parameters())
    shown = torch.cat([torch.full_like(y[:1], -1), y[:-1]])
    answers = learner(x, shown)
    for t in range(len(x)):
        if t > 0:
            own = {name: each.detach().requires_grad_() for name, each in weights.items()}
            with torch.enable_grad():
                loss = fn.cross_entropy(layer_by_layer(own, x[t - 1]), y[t - 1])
            gradients = torch.autograd.grad(loss, list(own.values()))
            weights = {name: own[name] - 0.2 * each for name, each in zip(own, gradients, strict=True)}
        torch.testing.assert_close(answers[t], layer_by_layer(weights, x[t]))


def test_parameters_and_flops_are_those_of_the_closed_formulas():
    """The paper's network: with a bias of each convolution, which the normalisation takes away, it would be 112,261."""
    learner = MAML((1, 28, 28), 5)
    parameters = sum(each.numel() for each in learner.parameters())
    assert parameters == 9 * 64 + 3 * 9 * 64 * 64 + 4 * 2 * 64 + 64 * 5 + 5 == 112_261 - 4 * 64
    pixels = [14 * 14, 7 * 7, 4 * 4, 2 * 2]
    products = sum(9 * 64 * c * area for c, area in zip((1, 64, 64, 64), pixels, strict=True))
    x = torch.empty(1, 1, 1, 28, 28, device="meta")
    found = flops_of(learner, lambda ghost: ghost.net.features(ghost.net.body(), x))
    assert found == 2 * products
    assert EpisodeNetwork((3, 84, 84), 5, 32, strided=False, average=False).out_features == 800


def test_settings_out_of_range_are_refused():
    with pytest.raises(UserError, match="MAML: order is 3, and must be one of 1, 2"):
        MAML(SHAPE, 3, order=3)
