"""CPM against its equations, written for one sample at a time."""

import numpy as np
import pytest
import torch

from metamemory.models.metric.cpm import CPM
from metamemory.tasks.online_few_shot import OnlineFewShot
from metamemory.training.flops import flops_per_step


def sigmoid(value):
    return 1 / (1 + np.exp(-value))


def by_the_equations(learner, e, y_seen, delay, lstm_step):
    """e [T, D] of one episode and the labels shown with them -> answers [T, n_way], probabilities."""
    w = {name: value.numpy() for name, value in learner.state_dict().items()}
    n_way, features, hidden = learner.n_way, e.shape[1], learner.lstm.hidden_size
    h, c = np.zeros(hidden), np.zeros(hidden)
    prototypes, seen_z, answers = {}, [], []
    for t in range(len(e)):
        h, c = lstm_step(w, e[t], h, c)
        read = w["read.weight"] @ h + w["read.bias"]
        context, metric = read[:features], np.log1p(np.exp(read[features : 2 * features]))
        gate_e, gate_h, beta, gamma = read[2 * features :]
        gamma = np.log1p(np.exp(gamma + 1))
        z = sigmoid(gate_e) * e[t] + sigmoid(gate_h) * context
        seen_z.append(z)

        k = y_seen[t]
        if k >= 0:
            old, new = prototypes.get(k, np.zeros(features)), seen_z[t - delay]
            f = sigmoid(
                w["write.of_sample.weight"][0] @ new
                + w["write.of_prototype.weight"][0] @ old
                + w["write.of_sample.bias"][0]
            )
            prototypes[k] = (1 - f) * old + f * new
        if not prototypes:
            answers.append(np.full(n_way, 1 / n_way))
            continue
        d = {}
        for k, p in prototypes.items():
            a, b = metric * z, metric * p
            d[k] = -w["tau"] * (a @ b) / np.sqrt((a @ a) * (b @ b))
        unseen = n_way - len(d)
        u = sigmoid((min(d.values()) - beta) / gamma) if unseen else 0
        total = sum(np.exp(-each) for each in d.values())
        answers.append([(1 - u) * np.exp(-d[k]) / total if k in d else u / unseen for k in range(n_way)])
    return np.array(answers)


@torch.no_grad()
@pytest.mark.parametrize("delay", [1, 3])
def test_forward_equals_the_equations(images, lstm_step, delay):
    torch.manual_seed(0)
    learner = CPM((1, 8, 8), 3, delay, filters=8, features=6, hidden=10).eval().double()
    for parameter in (learner.read.weight, learner.write.of_sample.weight, learner.write.of_prototype.weight):
        parameter.normal_()  # so that metric, radius and gates differ from step to step
    learner.tau.fill_(3.0)
    learner.read.bias[-2] = -1.0
    episode = OnlineFewShot(images, 3, 4, delay).sample(2, torch.Generator().manual_seed(0))
    x, y_seen = episode.x.double(), episode.y_seen.clone()
    y_seen[6] = -1  # a label that never comes
    p = learner(x, y_seen).softmax(dim=-1)
    for b in range(2):
        expected = by_the_equations(learner, learner.encoder(x[:, b]).numpy(), y_seen[:, b].tolist(), delay, lstm_step)
        np.testing.assert_allclose(p[:, b].numpy(), expected, rtol=1e-6, atol=1e-9)


def test_a_fresh_learner_leans_on_the_sample_and_calls_nothing_known():
    learner = CPM((1, 8, 8), n_way=3, filters=4, features=6)
    h, m, g_e, g_h, beta, gamma = (each.tolist() for each in learner.read.bias.split([6, 6, 1, 1, 1, 1]))
    assert h == m == [0] * 6 and (g_e, g_h, beta, gamma) == ([1], [-1], [-10], [0])
    assert learner.tau.item() == 10 and learner.write.of_sample.bias.item() == -2


def test_the_first_samples_of_a_class_weigh_about_the_same_at_the_start():
    """The bias of the gate makes it so: p is near a plain mean, in direction, before anything has been learned."""
    torch.manual_seed(0)
    write, z = CPM((1, 8, 8), 2, filters=4, features=3).write, torch.eye(3)[:, None] * 0.01
    p = write(z, torch.ones(3, 1, 1), torch.zeros(1, 1, 3))[-1, 0, 0]
    assert (p / p.sum() - 1 / 3).abs().max() < 0.05


def test_parameters_and_flops_are_those_of_the_closed_formulas():
    filters, features, hidden = 64, 64, 256
    learner = CPM((1, 28, 28), n_way=5)
    convolutions = [c_in * filters * 9 for c_in in (1, filters, filters, filters)]
    linear, lstm = filters * features, 4 * hidden * (features + hidden)
    read, gates = hidden * (2 * features + 4), 2 * features
    biases = features + 2 * 4 * hidden + (2 * features + 4) + 1
    extra = 4 * 2 * filters + 1  # batch normalisations, tau
    weights = sum(convolutions) + linear + lstm + read + gates
    assert sum(each.numel() for each in learner.parameters()) == weights + biases + extra
    pixels = [28 * 28, 14 * 14, 7 * 7, 3 * 3]
    per_image = sum(each * area for each, area in zip(convolutions, pixels, strict=True))
    per_step = linear + lstm + read + features * (1 + 5)  # the gate reads one sample and five prototypes
    assert flops_per_step(learner, (1, 28, 28)) == 2 * (per_image + per_step)
