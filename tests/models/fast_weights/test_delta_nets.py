"""DeltaNet and the self-referential weight matrix against loops over steps, episodes and heads."""

import pytest
import torch
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.models.fast_weights.delta_net import DeltaNet
from metamemory.models.fast_weights.srwm import SRWM
from metamemory.training.flops import flops_per_step

LEARNERS = [DeltaNet, SRWM]


def normed(norm, z):
    centred = z - z.mean()
    return centred / (centred.square().mean() + 1e-5).sqrt() * norm.weight + norm.bias


def positive(x):
    x = torch.where(x > 0, x + 1, x.exp())
    return x / x.sum()


def delta_rule_by_steps(layer, z):
    """z: a list of vectors [W], one a step -> the same, after the layer."""
    memory = [torch.zeros(layer.size, layer.size).double() for _ in range(layer.heads)]
    out = []
    for each in z:
        told, answers = layer.told.weight @ normed(layer.norm, each), []
        for head, part in enumerate(told.chunk(layer.heads)):
            q, k, v, rate = part.split([layer.size, layer.size, layer.size, 1])
            q, k = positive(q), positive(k)
            memory[head] = memory[head] + rate.sigmoid() * torch.outer(v - memory[head] @ k, k)
            answers.append(memory[head] @ q)
        out.append(each + layer.out.weight @ torch.cat(answers))
    return out


def self_reference_by_steps(layer, z):
    weights = [each.T.clone() for each in layer.start]  # [3 D + 4, D]
    size, out = layer.size, []
    for each in z:
        answers = []
        for head, x in enumerate(each.chunk(layer.heads)):
            w = weights[head]
            y, q, k, b = (w @ x).split([size, size, size, 4])
            new, old = w @ q.softmax(0), w @ k.softmax(0)
            rates = torch.cat([b[n].sigmoid().expand(size if n < 3 else 4) for n in range(4)])
            weights[head] = w + torch.outer(rates * (new - old), k.softmax(0))
            answers.append(y)
        out.append(normed(layer.norm, each) + layer.out.weight @ torch.cat(answers))
    return out


@torch.no_grad()
@pytest.mark.parametrize("learner_class", LEARNERS)
def test_an_episode_equals_the_definition_step_by_step(learner_class):
    torch.manual_seed(0)
    learner = learner_class((1, 8, 8), 3, layers=2, width=12, heads=3, expansion=2, filters=4).double().eval()
    for parameter in learner.parameters():
        parameter.mul_(1.5)
    x, y_seen = torch.rand(7, 2, 1, 8, 8).double(), torch.randint(-1, 3, (7, 2))
    logits = learner(x, y_seen)
    by_steps = delta_rule_by_steps if learner_class is DeltaNet else self_reference_by_steps
    for b in range(2):
        z = []
        for t, label in enumerate(y_seen[:, b].tolist()):
            written = torch.zeros(3).double() if label < 0 else fn.one_hot(torch.tensor(label), 3).double()
            z.append(learner.token.weight @ torch.cat([learner.encoder(x[t, b]), written]) + learner.token.bias)
        for fast, slow in zip(learner.fast, learner.slow, strict=True):
            z = by_steps(fast, z)
            hidden = [(slow.up.weight @ normed(slow.norm, each) + slow.up.bias).clamp(min=0) for each in z]
            z = [each + slow.down.weight @ h + slow.down.bias for each, h in zip(z, hidden, strict=True)]
        for t, each in enumerate(z):
            torch.testing.assert_close(logits[t, b], learner.classifier.weight @ each + learner.classifier.bias)


@torch.no_grad()
@pytest.mark.parametrize("learner_class", LEARNERS)
def test_a_support_set_is_streamed_with_its_own_labels(learner_class):
    torch.manual_seed(0)
    learner = learner_class((1, 8, 8), 3, layers=1, width=12, heads=3, filters=4).eval()
    support, queries, y = torch.rand(3, 2, 1, 8, 8), torch.rand(4, 2, 1, 8, 8), torch.randint(3, (3, 2))
    answers = learner.answer_queries(support, y, queries)
    for n in range(4):
        stream = torch.cat([support, queries[n : n + 1]])
        alone = learner(stream, torch.cat([y, torch.full((1, 2), -1)]))[-1]
        torch.testing.assert_close(answers[n], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("learner_class", LEARNERS)
def test_parameters_and_flops_are_those_of_the_closed_formulas(learner_class):
    width, heads, layers, ways, size = 256, 16, 2, 5, 16
    learner = learner_class((1, 28, 28), ways)
    encoder = 9 * 64 * (1 + 3 * 64) + 4 * 2 * 64
    ends = (64 + ways + 1) * width + (width + 1) * ways
    told = width * heads * (3 * size + 1) if learner_class is DeltaNet else heads * size * (3 * size + 4)
    slow = 2 * 4 * width**2 + 5 * width + 2 * width
    layer = told + width**2 + 2 * width + slow
    assert sum(each.numel() for each in learner.parameters()) == encoder + ends + layers * layer
    conv = 9 * 64 * (28**2 + 64 * (14**2 + 7**2 + 3**2))
    fast = told + heads * 3 * size**2 if learner_class is DeltaNet else 3 * heads * size * (3 * size + 4)
    products = (64 + ways) * width + width * ways + layers * (fast + width**2 + 8 * width**2)
    assert flops_per_step(learner, (1, 28, 28)) == 2 * (conv + products)


def test_a_width_that_heads_cannot_share_is_refused():
    with pytest.raises(UserError, match="srwm: width is 12 and must be a multiple of 5"):
        SRWM((1, 8, 8), 3, width=12, heads=5)
