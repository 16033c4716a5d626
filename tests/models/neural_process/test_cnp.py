"""The conditional neural process against plain loops, and what its answers must not depend on."""

import pytest
import torch
from torch.nn import functional as fn

from metamemory.models.neural_process.cnp import CNP

SHAPE = (1, 8, 8)


def episodes(support=6, queries=5, batch=2, seed=0):
    """Images, and labels 0, 1, 3 of four."""
    generator = torch.Generator().manual_seed(seed)
    x, query = (torch.rand(n, batch, *SHAPE, generator=generator, dtype=torch.float64) for n in (support, queries))
    names = torch.tensor([0, 1, 3])
    y, query_y = (names[torch.arange(n) % 3][:, None].expand(-1, batch) for n in (support, queries))
    return x, y, query, query_y


def small(n_way=4, delay=1):
    torch.manual_seed(0)
    return CNP(SHAPE, n_way, delay, filters=5, features=6, hidden=7, layers=3).double().eval()


def decoded(learner, z, r):
    """g written out: a layer on both side by side, two more, then one number."""
    weight = torch.cat([learner.of_query.weight, learner.of_class.weight], dim=1)
    maps = (weight @ torch.cat([z, r]) + learner.of_query.bias).clamp(min=0)
    for number in (1, 3):
        maps = (learner.decoder[number].weight @ maps + learner.decoder[number].bias).clamp(min=0)
    return (learner.decoder[5].weight @ maps + learner.decoder[5].bias)[0]


def test_answers_and_gradients_are_those_of_loops():
    learner, (x, y, query, query_y) = small(), episodes()
    found = learner.answer_queries(x, y, query)
    expected = torch.zeros_like(found)
    for b in range(2):
        z, z_query = learner.encoder(x[:, b]), learner.encoder(query[:, b])
        for k in range(4):
            own = [z[s] for s in range(len(x)) if y[s, b] == k]
            r = sum(own) / len(own) if own else torch.zeros_like(z[0])
            for q in range(len(query)):
                expected[q, b, k] = decoded(learner, z_query[q], r)
    torch.testing.assert_close(found, expected)
    losses = [fn.cross_entropy(each.flatten(0, 1), query_y.flatten()) for each in (found, expected)]
    gradients = [torch.autograd.grad(loss, list(learner.parameters()), allow_unused=True) for loss in losses]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-10)


@torch.no_grad()
def test_neither_set_has_an_order_and_labels_are_names():
    learner, (x, y, query, _) = small(), episodes()
    answers = learner.answer_queries(x, y, query)
    assert not learner.transductive
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(learner.answer_queries(x[order], y[order], query), answers)
    torch.testing.assert_close(learner.answer_queries(x, y, query[2:3])[0], answers[2])
    torch.testing.assert_close(learner.answer_queries(x[:, 1:], y[:, 1:], query[:, 1:])[:, 0], answers[:, 1])
    exchanged = torch.tensor([3, 2, 1, 0])
    torch.testing.assert_close(learner.answer_queries(x, exchanged[y], query)[..., exchanged], answers)
    wide = small(n_way=9)
    wide.load_state_dict(learner.state_dict())
    torch.testing.assert_close(wide.answer_queries(x, y, query)[..., :4], answers)


@torch.no_grad()
@pytest.mark.parametrize("delay", [1, 2])
def test_a_stream_has_running_means(delay):
    learner, stream, (x, y, query, _) = small(), small(delay=delay), episodes(support=9)
    shown = torch.cat([torch.full((delay, 2), -1), y])
    longer = torch.cat([x, torch.zeros(delay, *x.shape[1:], dtype=x.dtype)])
    answers, state = stream.run(longer, shown, stream.initial_state(2))
    known = 8 - delay
    torch.testing.assert_close(answers[7], learner.answer_queries(x[:known], y[:known], x[7:8])[0])
    torch.testing.assert_close(stream.predict(query, state), learner.answer_queries(x, y, query))


def test_parameters_are_those_of_the_closed_formula():
    """The encoder with its linear layer; five layers of the decoder, the first of which reads two vectors."""
    learner = CNP((1, 28, 28), 5)
    encoder = 9 * 64 * (1 + 3 * 64) + 4 * 2 * 64 + 64 * 128 + 128
    decoder = 256 * 128 + 128 + 3 * (128 * 128 + 128) + 128 + 1
    assert sum(each.numel() for each in learner.parameters()) == encoder + decoder
