"""CNN+LSTM and CNN-F+LSTM: their equation, pre-training of second order, and which weights learn when."""

import math

import numpy as np
import pytest
import torch

from metamemory.errors import UserError
from metamemory.models.recurrent.cnn_lstm import CNNLSTM
from metamemory.tasks.online_few_shot import OnlineFewShot
from metamemory.tasks.support_query import SupportQuery
from metamemory.training.flops import flops_per_step

SIZES = {"filters": 4, "hidden": 8, "pools": 1}


def fresh(**settings):
    torch.manual_seed(0)
    return CNNLSTM((1, 8, 8), 3, **{**SIZES, **settings})


def support_and_queries(images, batch=2):
    return SupportQuery(images, 3, 1, 2).sample(batch, torch.Generator().manual_seed(0))


def changed(learner, tasks, updates=3):
    """Parts of the learner whose weights an optimiser moves on the last of the tasks, with its memory of the others."""
    optimiser = torch.optim.Adam(learner.parameters(), lr=1e-2)
    for task in tasks:
        before = {name: value.clone() for name, value in learner.state_dict().items()}
        episode = task.sample(4, torch.Generator().manual_seed(0))
        for _ in range(updates):
            optimiser.zero_grad(set_to_none=True)
            task.score(learner, episode).loss.backward()
            optimiser.step()
    after = learner.state_dict()
    return {name.split(".")[0] for name in after if not torch.equal(after[name], before[name])}


@pytest.mark.parametrize(("frozen", "online"), [(False, {"encoder"}), (True, set())])
def test_pre_training_moves_the_cnn_and_online_training_only_where_it_is_not_frozen(images, frozen, online):
    pretraining, stream = SupportQuery(images, 3, 1, 2), OnlineFewShot(images, 3, 4)
    assert changed(fresh(frozen=frozen), [pretraining]) == {"encoder", "head"}
    assert changed(fresh(frozen=frozen), [pretraining, stream]) == online | {"normalise", "lstm", "classifier"}
    assert changed(fresh(frozen=frozen), [stream]) == online | {"normalise", "lstm", "classifier"}


@pytest.mark.parametrize("inner_steps", [1, 2])
def test_the_meta_gradient_is_of_second_order_through_the_whole_network(images, inner_steps):
    """Along a random direction in float64, against a difference of losses; the first order misses it."""
    task, slopes = SupportQuery(images, 3, 1, 2), {}
    episode = support_and_queries(images)
    episode = type(episode)(**{k: v.double() if v.is_floating_point() else v for k, v in vars(episode).items()})
    for order in (1, 2):
        learner = fresh(inner_steps=inner_steps, order=order).double()
        weights = [*learner.encoder.parameters(), *learner.head.parameters()]
        generator = torch.Generator().manual_seed(1)
        along = [torch.randn(each.shape, generator=generator, dtype=torch.float64) for each in weights]
        gradients = torch.autograd.grad(task.score(learner, episode).loss, weights)
        slopes[order] = sum((gradient * way).sum() for gradient, way in zip(gradients, along, strict=True)).item()
    losses = []
    with torch.no_grad():
        for moved in (1e-6, -2e-6):
            for each, way in zip(weights, along, strict=True):
                each += moved * way
            losses.append(task.score(learner, episode).loss.item())
    expected = (losses[0] - losses[1]) / 2e-6
    assert slopes[2] == pytest.approx(expected, rel=1e-5)
    assert slopes[1] != pytest.approx(expected, rel=0.01)


def test_as_published_one_inner_step_of_rate_04_and_back_through_its_backward_pass(images):
    """What params.yaml leaves to the learner: Finn et al. 2017, for Omniglot, 5-way 1-shot."""
    task, episode = SupportQuery(images, 3, 1, 2), support_and_queries(images)

    def twice_differentiated(**settings):
        learner = CNNLSTM((1, 8, 8), 3, **SIZES, **settings)
        assert (learner.inner_steps, learner.inner_rate) == (1, 0.4)
        waiting, found = [task.score(learner, episode).loss.grad_fn], set()
        while waiting:
            node = waiting.pop()
            if node is not None and node not in found:
                found.add(node)
                waiting += [parent for parent, _ in node.next_functions]
        return sum("ConvolutionBackwardBackward" in node.name() for node in found)

    assert twice_differentiated() == twice_differentiated(order=2) > 0
    assert twice_differentiated(order=1) == 0


@torch.no_grad()
@pytest.mark.parametrize("frozen", [False, True])
def test_the_stream_equals_the_equation(images, lstm_step, frozen):
    learner = fresh(frozen=frozen).double().eval()
    learner.normalise.running_mean.normal_()
    learner.normalise.running_var.uniform_(0.5, 2)
    w = {name: value.numpy() for name, value in learner.state_dict().items()}
    episode = OnlineFewShot(images, 3, 4).sample(2, torch.Generator().manual_seed(0))
    x = episode.x.double()
    logits = learner(x, episode.y_seen)
    for b in range(2):
        h, c = np.zeros(8), np.zeros(8)
        for t, features in enumerate(learner.encoder(x[:, b]).numpy()):
            n = (features - w["normalise.running_mean"]) / np.sqrt(w["normalise.running_var"] + 1e-5)
            label = [float(episode.y_seen[t, b] == k) for k in range(3)]
            shown = np.concatenate([n / math.sqrt(len(n)), label])
            h, c = lstm_step(w, shown, h, c)
            expected = w["classifier.weight"] @ h + w["classifier.bias"]
            np.testing.assert_allclose(logits[t, b].numpy(), expected, rtol=1e-6, atol=1e-9)


@torch.no_grad()
def test_without_adaptation_the_head_reads_the_features_that_the_stream_has(images):
    learner, episode = fresh(), support_and_queries(images)
    learner.inner_steps = 0
    logits = learner.answer_queries(episode.support_x, episode.support_y, episode.query_x)
    torch.testing.assert_close(logits, learner.head(learner.encoder(episode.query_x)), rtol=1e-4, atol=1e-5)


def test_features_reach_the_lstm_about_as_long_as_a_label_however_small_the_cnn_makes_them(images):
    learner, episode, shown = fresh(), OnlineFewShot(images, 3, 4).sample(8, torch.Generator().manual_seed(0)), []
    learner.lstm.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0][..., :-3]))
    learner(episode.x, episode.y_seen)
    with torch.no_grad():
        for each in learner.encoder.blocks[-2].parameters():  # gain and bias, before a ReLU: features halve
            each /= 2
    learner(episode.x, episode.y_seen)
    before, after = (each.square().sum(dim=-1).mean().sqrt() for each in shown)
    assert 0.8 < before <= 1  # a feature that is always 0 stays 0
    assert after > 0.95 * before


@torch.no_grad()
def test_a_query_is_answered_on_its_own_and_the_support_set_has_no_order(images):
    learner, episode = fresh(), support_and_queries(images)
    logits = learner.answer_queries(episode.support_x, episode.support_y, episode.query_x)
    alone = learner.answer_queries(episode.support_x, episode.support_y, episode.query_x[4:5])
    torch.testing.assert_close(alone[0], logits[4], rtol=1e-4, atol=1e-5)
    turned = learner.answer_queries(episode.support_x.flip(0), episode.support_y.flip(0), episode.query_x)
    torch.testing.assert_close(turned, logits, rtol=1e-4, atol=1e-5)
    single = learner.answer_queries(episode.support_x[:, 1:], episode.support_y[:, 1:], episode.query_x[:, 1:])
    torch.testing.assert_close(single[:, 0], logits[:, 1], rtol=1e-4, atol=1e-5)


def test_pre_training_learns_a_small_batch_of_episodes_by_heart(images):
    learner, episode, task = fresh(), support_and_queries(images), SupportQuery(images, 3, 1, 2)
    optimiser = torch.optim.Adam(learner.parameters(), lr=1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        task.score(learner, episode).loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)  # as training does
        optimiser.step()
    assert task.score(learner, episode).accuracy == 1


def test_parameters_and_flops_are_those_of_the_closed_formulas():
    filters, hidden, n_way = 64, 256, 5
    learner = CNNLSTM((1, 28, 28), n_way)
    features = filters * 3 * 3
    convolutions = [9 * filters * channels for channels in (1, filters, filters, filters)]
    lstm = 4 * hidden * (features + n_way + hidden)
    # beside the products: a gain and a bias for every filter, two biases in torch's LSTM, one of the classifier
    extra = 4 * 2 * filters + 2 * 4 * hidden + n_way
    head = (features + 1) * n_way
    parameters = sum(convolutions) + lstm + hidden * n_way + extra + head
    assert sum(each.numel() for each in learner.parameters()) == parameters
    pixels = [28 * 28, 14 * 14, 7 * 7, 3 * 3]
    products = sum(weights * area for weights, area in zip(convolutions, pixels, strict=True)) + lstm + hidden * n_way
    assert flops_per_step(learner, (1, 28, 28)) == 2 * products


def test_an_order_that_there_is_not_is_refused():
    with pytest.raises(UserError, match="order is 3, and must be one of 1, 2"):
        fresh(order=3)
