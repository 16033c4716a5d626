"""Ridge regression against a solution by gradient descent's own equations, and what its answers must not depend on."""

import math

import pytest
import torch
from torch.nn import functional as fn

from metamemory.models.metric.ridge import Ridge

SHAPE = (1, 8, 8)


def episodes(support=6, queries=5, batch=2, seed=0):
    """Images, and labels 0, 1, 3 of four."""
    generator = torch.Generator().manual_seed(seed)
    x, query = (torch.rand(n, batch, *SHAPE, generator=generator, dtype=torch.float64) for n in (support, queries))
    names = torch.tensor([0, 1, 3])
    y, query_y = (names[torch.arange(n) % 3][:, None].expand(-1, batch) for n in (support, queries))
    return x, y, query, query_y


def small(**settings):
    torch.manual_seed(0)
    learner = Ridge(SHAPE, 4, filters=5, **{"penalty": 0.2, **settings}).double()
    learner.train()
    for seed in range(3):  # running statistics of normalisation that are not what they began as
        learner.encoder(episodes(seed=seed)[0])
    return learner.eval()


def solved(learner, z, y, z_query):
    """One task by a loop: each output's own regression with its normal equations, of the mean squared error."""
    ones = torch.ones(len(z), 1, dtype=z.dtype)
    rows, asked = torch.cat([z, ones], dim=1), torch.cat([z_query, torch.ones(len(z_query), 1, dtype=z.dtype)], dim=1)
    normal = learner.log_penalty.exp() * torch.eye(rows.shape[1], dtype=z.dtype)
    for row in rows:
        normal = normal + torch.outer(row, row) / len(rows)
    outputs = []
    for k in range(4):
        right = sum(row * float(label == k) for row, label in zip(rows, y, strict=True)) / len(rows)
        outputs.append(asked @ torch.inverse(normal) @ right)
    return learner.scale * torch.stack(outputs, dim=1) + learner.bias


@pytest.mark.parametrize("support", [3, 6, 30])  # fewer samples than features, and more
def test_answers_and_gradients_are_those_of_the_normal_equations(support):
    learner, (x, y, query, query_y) = small(), episodes(support)
    with torch.no_grad():
        learner.bias += 0.3
    found = learner.answer_queries(x, y, query)
    expected = []
    for b in range(x.shape[1]):
        z, z_query = learner.encoder(x[:, b]), learner.encoder(query[:, b])
        expected.append(solved(learner, z, y[:, b], z_query))
    expected = torch.stack(expected, dim=1)
    torch.testing.assert_close(found, expected)
    losses = [fn.cross_entropy(each.flatten(0, 1), query_y.flatten()) for each in (found, expected)]
    names = [name for name, _ in learner.named_parameters()]
    gradients = [torch.autograd.grad(loss, list(learner.parameters())) for loss in losses]
    for name, one, other in zip(names, *gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-10)
        assert name == "bias" or other.abs().max() > 1e-9  # which is the same for all classes


def test_the_solution_is_where_the_loss_has_no_gradient():
    """Of the squared error, mean over samples, and lambda times the squared weights."""
    learner, (x, y, _, _) = small(), episodes()
    z = fn.pad(learner.encoder(x[:, 0]), (0, 1), value=1.0).detach()
    target = fn.one_hot(y[:, 0], 4).double()
    size = math.sqrt(len(z))
    w = learner._solved(z[None] / size, target[None] / size)[0].detach().requires_grad_()
    loss = (z @ w - target).square().sum() / len(z) + learner.log_penalty.exp().detach() * w.square().sum()
    assert torch.autograd.grad(loss, w)[0].abs().max() < 1e-12


@torch.no_grad()
def test_labels_are_names_and_no_query_sees_another():
    learner, (x, y, query, _) = small(), episodes()
    answers = learner.answer_queries(x, y, query)
    assert not learner.transductive
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(learner.answer_queries(x[order], y[order], query), answers)
    torch.testing.assert_close(learner.answer_queries(x, y, query[2:3])[0], answers[2])
    torch.testing.assert_close(learner.answer_queries(x[:, 1:], y[:, 1:], query[:, 1:])[:, 0], answers[:, 1])
    assert (answers[..., 2] == learner.bias).all()  # the label that no sample has
    exchanged = torch.tensor([3, 2, 1, 0])
    torch.testing.assert_close(learner.answer_queries(x, exchanged[y], query)[..., exchanged], answers)
    wide = Ridge(SHAPE, 9, filters=5).double().eval()
    wide.load_state_dict(learner.state_dict())
    torch.testing.assert_close(wide.answer_queries(x, y, query)[..., :4], answers)


@torch.no_grad()
@pytest.mark.parametrize("delay", [1, 2])
def test_a_stream_solves_for_what_was_labelled_so_far(delay):
    learner, (x, y, query, _) = small(), episodes(support=12)
    stream = Ridge(SHAPE, 4, delay, filters=5).double().eval()
    stream.load_state_dict(learner.state_dict())
    shown = torch.cat([torch.full((delay, 2), -1), y])
    longer = torch.cat([x, torch.zeros(delay, *x.shape[1:], dtype=x.dtype)])
    answers, state = stream.run(longer, shown, stream.initial_state(2))
    assert (answers[:delay] == learner.bias).all()
    for t in (delay, 7, 11):
        known = t + 1 - delay
        torch.testing.assert_close(answers[t], learner.answer_queries(x[:known], y[:known], x[t : t + 1])[0])
    torch.testing.assert_close(stream.predict(query, state), learner.answer_queries(x, y, query))


def test_parameters_are_those_of_prototypical_networks_and_three():
    learner = Ridge((1, 28, 28), 5)
    assert sum(each.numel() for each in learner.parameters()) == 9 * 64 * (1 + 3 * 64) + 4 * 2 * 64 + 3
    assert learner.log_penalty.exp().item() == pytest.approx(50) and learner.scale.item() == 10
