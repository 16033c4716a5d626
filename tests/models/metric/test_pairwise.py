"""Matching and Siamese networks against plain loops in NumPy, and what their answers must not depend on."""

import numpy as np
import pytest
import torch
from torch.nn import functional as fn

from metamemory.models.metric.matching import Matching
from metamemory.models.metric.siamese import Siamese

SHAPE = (1, 8, 8)
VARIANTS = {
    "matching": (Matching, {}),
    "matching, euclidean": (Matching, {"distance": "euclidean"}),
    "matching, full context": (Matching, {"full_context": True, "steps": 3}),
    "siamese": (Siamese, {"features": 7}),
}


def episode(n_way=3, k_shot=2, n_query=4, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n_way).repeat(k_shot)[:, None].expand(-1, batch)
    x, queries = (torch.rand(n, batch, *SHAPE, generator=generator) for n in (len(y), n_query))
    return x, y, queries


def built(name, n_way=3, delay=1):
    torch.manual_seed(0)
    cls, settings = VARIANTS[name]
    learner = cls(SHAPE, n_way, delay, filters=5, **settings)
    x, _, queries = episode(seed=1)
    learner.train()
    for _ in range(3):  # running statistics of normalisation that are not what they began as
        learner.encoder(torch.cat([x, queries]))
    if name == "siamese":
        learner.alpha.data.copy_(torch.randn(7))
        learner.b.data.fill_(0.3)
    return learner.eval()


def softmax(values):
    found = np.exp(values - np.max(values))
    return found / found.sum()


def sigmoid(value):
    return 1 / (1 + np.exp(-value))


def lstm(w, suffix, x, h, c, prefix):
    gates = w[f"{prefix}.weight_ih{suffix}"] @ x + w[f"{prefix}.bias_ih{suffix}"]
    gates = gates + w[f"{prefix}.weight_hh{suffix}"] @ h + w[f"{prefix}.bias_hh{suffix}"]
    i, f, g, o = np.split(gates, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def in_context(w, z, query):
    """Their section 2.1.2, one sample and one query after the other: z [S, D], query [D]."""
    zeros = np.zeros_like(query)
    found = [[], []]
    for way, suffix in enumerate(("_l0", "_l0_reverse")):
        h = c = zeros
        for each in z if way == 0 else z[::-1]:
            h, c = lstm(w, suffix, each, h, c, "g")
            found[way].append(h)
    g = np.array([a + b + each for a, b, each in zip(found[0], found[1][::-1], z, strict=True)])
    h, c, read = query, zeros, zeros
    for _ in range(3):
        h, c = lstm(w, "", np.concatenate([query, read]), h, c, "f")
        h = h + query
        read = softmax(g @ h) @ g
    return g, h


@torch.no_grad()
@pytest.mark.parametrize("name", VARIANTS)
def test_answers_by_loops(name):
    learner = built(name)
    x, y, queries = episode()
    logits = learner.answer_queries(x, y, queries).log_softmax(dim=-1)
    w = {key: each.double().numpy() for key, each in learner.named_parameters()}
    z, z_query = learner.encoder(x).double().numpy(), learner.encoder(queries).double().numpy()
    for b in range(2):
        for q in range(len(queries)):
            samples, query = z[:, b], z_query[q, b]
            if "full context" in name:
                samples, query = in_context(w, samples, query)
            if name == "siamese":
                odds = [w["alpha"] @ np.abs(sigmoid(query) - sigmoid(each)) + w["b"] for each in samples]
                of_class = [max(odds[s] for s in range(len(x)) if y[s, b] == k) for k in range(3)]
                expected = np.log(softmax(np.array(of_class)))
            else:
                if "euclidean" in name:
                    c = [-sum((query - each) ** 2) for each in samples]
                else:
                    c = [query @ each / np.linalg.norm(query) / np.linalg.norm(each) for each in samples]
                a = softmax(np.array(c))
                expected = np.log([sum(a[s] for s in range(len(x)) if y[s, b] == k) for k in range(3)])
            assert logits[q, b].tolist() == pytest.approx(expected.tolist(), rel=1e-3, abs=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("name", VARIANTS)
def test_no_query_or_episode_sees_another_and_labels_are_names(name):
    learner = built(name)
    x, y, queries = episode()
    logits = learner.answer_queries(x, y, queries)
    close = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(learner.answer_queries(x, y, queries[2:3])[0], logits[2], **close)
    torch.testing.assert_close(learner.answer_queries(x[:, 1:], y[:, 1:], queries[:, 1:])[:, 0], logits[:, 1], **close)
    wide = built(name, n_way=9)
    wide.load_state_dict(learner.state_dict())
    names = torch.tensor([7, 0, 4])
    found = wide.answer_queries(x, names[y], queries)
    torch.testing.assert_close(found[..., names], logits, **close)
    assert (found[..., [1, 2, 3, 5, 6, 8]] == -1e9).all() and not learner.transductive


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in VARIANTS if "context" not in name])
def test_without_context_the_support_set_has_no_order(name):
    learner = built(name)
    x, y, queries = episode()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    expected = learner.answer_queries(x, y, queries)
    torch.testing.assert_close(learner.answer_queries(x[order], y[order], queries), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("delay", [1, 2])
@pytest.mark.parametrize("name", VARIANTS)
def test_a_stream_is_a_growing_support_set(name, delay):
    learner = built(name, delay=delay)
    x, y, queries = episode()
    shown = torch.cat([y, y[:delay]])  # a label at every step of the stream but the first
    stream = torch.cat([x, torch.zeros(delay, *x.shape[1:])])
    state = learner.initial_state(2)
    if "context" not in name:  # there the samples without a label, which come first, are read too
        shown = torch.cat([torch.full((delay, 2), -1), y])
        logits, state = learner.run(stream, shown, state)
        assert torch.isfinite(logits).all()
        expected = learner.answer_queries(x, y, queries)
        torch.testing.assert_close(learner.predict(queries, state), expected, rtol=1e-4, atol=1e-5)
    else:
        logits, _ = learner.run(stream, shown, state)
        assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", VARIANTS)
def test_gradients_are_finite_where_a_class_has_no_sample(name):
    learner = built(name).train()
    x, y, queries = episode()
    target = torch.tensor([0, 1, 1, 0])[:, None].expand(4, 2)
    logits = learner.answer_queries(x, y.clamp(max=1), queries)
    fn.cross_entropy(logits.flatten(0, 1), target.flatten()).backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in learner.parameters())
    assert sum(each.grad.abs().sum() > 0 for each in learner.parameters()) > 8
