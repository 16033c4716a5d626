"""Prototypical networks against plain loops in NumPy, and what their answers must not depend on."""

import numpy as np
import pytest
import torch
from torch.nn import functional as fn

from metamemory.models.metric.protonet import ProtoNet
from metamemory.training.flops import flops_per_step

SHAPE = (1, 8, 8)


def episode(n_way=3, k_shot=2, n_query=2, batch=2, seed=0):
    """Support [n_way k_shot, batch, ...], its labels, queries, their labels: each class of a brightness of its own."""
    generator = torch.Generator().manual_seed(seed)
    y, query_y = (torch.arange(n_way).repeat(n)[:, None].expand(-1, batch) for n in (k_shot, n_query))

    def drawn(y):
        noise = torch.rand(*y.shape, *SHAPE, generator=generator)
        return (y[..., None, None, None] + 0.7 * noise) / n_way

    return drawn(y), y, drawn(query_y), query_y


@pytest.fixture
def learner():
    torch.manual_seed(0)
    learner = ProtoNet(SHAPE, 3, filters=6)
    x, _, queries, _ = episode(seed=1)
    learner.train()
    for _ in range(3):  # running statistics of normalisation that are not what they began as
        learner.encoder(torch.cat([x, queries]))
    return learner.eval()


@torch.no_grad()
def test_answers_are_distances_to_class_means_by_loops(learner):
    x, y, queries, _ = episode()
    logits = learner.answer_queries(x, y, queries)
    z, z_query = learner.encoder(x).numpy().astype(float), learner.encoder(queries).numpy().astype(float)
    for b in range(2):
        for k in range(3):
            prototype = np.mean([z[s, b] for s in range(len(x)) if y[s, b] == k], axis=0)
            for q in range(len(queries)):
                distance = sum((z_query[q, b, d] - prototype[d]) ** 2 for d in range(z.shape[-1]))
                assert logits[q, b, k].item() == pytest.approx(-distance, rel=1e-4, abs=1e-5)


@torch.no_grad()
def test_neither_set_has_an_order_and_no_query_or_episode_sees_another(learner):
    x, y, queries, _ = episode()
    logits = learner.answer_queries(x, y, queries)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    close = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(learner.answer_queries(x[order], y[order], queries), logits, **close)
    torch.testing.assert_close(learner.answer_queries(x, y, queries.flip(0)).flip(0), logits, **close)
    torch.testing.assert_close(learner.answer_queries(x, y, queries[2:3])[0], logits[2], **close)
    torch.testing.assert_close(learner.answer_queries(x[:, 1:], y[:, 1:], queries[:, 1:])[:, 0], logits[:, 1], **close)
    assert not learner.transductive


@torch.no_grad()
def test_labels_are_names_and_classes_without_a_sample_are_far_away(learner):
    """Labels exchanged, answers exchanged; labels may be any of those that the learner has."""
    x, y, queries, _ = episode()
    logits = learner.answer_queries(x, y, queries)
    wide = ProtoNet(SHAPE, 10, filters=6).eval()
    wide.load_state_dict(learner.state_dict())
    names = torch.tensor([7, 0, 4])
    found = wide.answer_queries(x, names[y], queries)
    torch.testing.assert_close(found[..., names], logits)
    others = [k for k in range(10) if k not in names.tolist()]
    assert (found[..., others] == -1e9).all()


def test_the_same_weights_answer_more_classes_with_other_numbers_of_samples():
    """Trained with 5 classes of one sample, tested with 8 of three."""
    torch.manual_seed(0)
    learner = ProtoNet(SHAPE, 5, filters=8)
    optimiser = torch.optim.Adam(learner.parameters(), lr=3e-3)
    for update in range(60):
        x, y, queries, query_y = episode(5, 1, 3, batch=4, seed=update)
        loss = fn.cross_entropy(learner.answer_queries(x, y, queries).flatten(0, 1), query_y.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    tested = ProtoNet(SHAPE, 8, filters=8).eval()
    tested.load_state_dict(learner.state_dict())
    x, y, queries, query_y = episode(8, 3, 2, batch=16, seed=1000)
    with torch.no_grad():
        accuracy = (tested.answer_queries(x, y, queries).argmax(dim=-1) == query_y).float().mean()
    assert accuracy > 0.9


@torch.no_grad()
@pytest.mark.parametrize("delay", [1, 2])
def test_a_stream_has_running_means(learner, delay):
    """After all labels have been shown, the answers are those after the same samples as a support set."""
    stream = ProtoNet(SHAPE, 3, delay, filters=6).eval()
    stream.load_state_dict(learner.state_dict())
    x, y, queries, _ = episode()
    shown = torch.cat([torch.full((delay, 2), -1), y])
    blanks = torch.zeros(delay, *x.shape[1:])
    logits, state = stream.run(torch.cat([x, blanks]), shown, stream.initial_state(2))
    assert (logits[:delay] == -1e9).all()
    expected = learner.answer_queries(x, y, queries)
    torch.testing.assert_close(stream.predict(queries, state), expected, rtol=1e-4, atol=1e-5)


def test_gradients_are_finite_where_a_class_has_no_sample(learner):
    x, y, queries, query_y = episode()
    logits = learner.train().answer_queries(x, y.clamp(max=1), queries)
    fn.cross_entropy(logits[query_y < 2], query_y[query_y < 2]).backward()
    assert all(each.grad.isfinite().all() for each in learner.parameters())
    assert any(each.grad.abs().sum() > 0 for each in learner.parameters())


def test_support_set_and_queries_are_normalised_together_in_training(learner):
    x, y, queries, _ = episode()
    before = learner.train().answer_queries(x, y, queries)
    queries[0] += 5
    assert not torch.allclose(learner.answer_queries(x, y, queries)[1:], before[1:], atol=1e-3)


def test_parameters_features_and_flops_are_those_of_the_closed_formulas():
    """The paper's network: 64 numbers of a drawing; 1600 of a photograph of 84x84."""
    learner = ProtoNet((1, 28, 28), 5)
    convolutions = [9 * 64 * channels for channels in (1, 64, 64, 64)]
    assert sum(each.numel() for each in learner.parameters()) == sum(convolutions) + 4 * 2 * 64
    assert learner.encoder.out_features == 64 and ProtoNet((3, 84, 84), 5).encoder.out_features == 1600
    pixels = [28 * 28, 14 * 14, 7 * 7, 3 * 3]
    products = sum(weights * area for weights, area in zip(convolutions, pixels, strict=True))
    assert flops_per_step(learner, (1, 28, 28)) == 2 * products
