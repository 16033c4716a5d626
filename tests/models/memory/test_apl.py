"""APL against a loop with a list for its memory; what is written, what is found, and how gradients flow."""

import math

import numpy as np
import pytest
import torch

from metamemory.errors import UserError
from metamemory.models.memory.apl import APL
from metamemory.tasks.online_few_shot import OnlineFewShot
from metamemory.training.flops import flops_per_step

SMALL = {"filters": 8, "features": 6, "slots": 5, "neighbours": 3, "label_features": 4, "layers": 2, "size": 4}


def softmax(values):
    values = np.exp(values - np.max(values))
    return values / values.sum()


def layer_norm(w, name, values):
    mean, var = values.mean(-1, keepdims=True), values.var(-1, keepdims=True)
    return (values - mean) / np.sqrt(var + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


def linear(w, name, values):
    return values @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def decode(w, e, neighbours, layers=2, heads=2, size=4):
    """Relational self-attention over the neighbours that there are, one head and one row at a time."""
    weight = softmax(np.array([-((e - e_j) ** 2).sum() for e_j, _ in neighbours]))
    rows = [
        np.concatenate([e_j, w["label.weight"][y_j + 1], e, [w_j]])
        for (e_j, y_j), w_j in zip(neighbours, weight, strict=True)
    ]
    a = linear(w, "first", np.stack(rows))
    for layer in range(layers):
        qkv = layer_norm(w, f"attention.{layer}.qkv.1", linear(w, f"attention.{layer}.qkv.0", a))
        q, k, v = np.split(qkv, 3, axis=1)
        mixed = np.zeros_like(a)
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            for row in range(len(a)):
                mixed[row, part] = softmax(k[:, part] @ q[row, part] / math.sqrt(size)) @ v[:, part]
        a = a + mixed
        a = a + layer_norm(w, f"mlp.{layer}.2", linear(w, f"mlp.{layer}.1", np.maximum(a, 0)))
    return linear(w, "classifier", weight @ a)


def by_the_equations(learner, e, y_seen, delay):
    """e [T, D] of one episode and the labels shown with them -> logits [T, n_way] and how many were written."""
    w = {name: value.numpy() for name, value in learner.decoder.state_dict().items()}
    memory, logits, written = [], [], 0
    for t in range(len(e)):
        if y_seen[t] >= 0 and -np.log(softmax(logits[t - delay])[y_seen[t]]) > 0.75 * math.log(learner.n_way):
            memory.append((e[t - delay], y_seen[t]))
            memory = memory[-learner.slots :]  # the oldest makes room
            written += 1
        nearest = sorted(memory, key=lambda item: ((item[0] - e[t]) ** 2).sum())[: learner.neighbours]
        logits.append(decode(w, e[t], nearest) if nearest else np.zeros(learner.n_way))
    return np.stack(logits), written


def example(images, delay, **settings):
    torch.manual_seed(0)
    learner = APL((1, 8, 8), 3, delay, **SMALL | settings).eval().double()
    learner.decoder.classifier.weight.data.mul_(4)  # answers sure enough that some surprise and some do not
    episode = OnlineFewShot(images, 3, 6, delay).sample(4, torch.Generator().manual_seed(0))
    y_seen = episode.y_seen.clone()
    y_seen[6] = -1  # a label that never comes
    return learner, episode.x.double(), y_seen


def last_state(learner, x, y_seen):
    state = learner.initial_state(x.shape[1])
    for x_t, y_seen_t in zip(x, y_seen, strict=True):
        _, state = learner.step(x_t, y_seen_t, state)
    return state


@torch.no_grad()
@pytest.mark.parametrize("delay", [1, 3])
def test_forward_equals_the_equations(images, delay):
    learner, x, y_seen = example(images, delay)
    logits, counts = learner(x, y_seen), last_state(learner, x, y_seen).written.tolist()
    for b in range(4):
        expected, written = by_the_equations(learner, learner.encoder(x[:, b]).numpy(), y_seen[:, b].tolist(), delay)
        np.testing.assert_allclose(logits[:, b].numpy(), expected, rtol=1e-6, atol=1e-9)
        assert counts[b] == written
        assert SMALL["slots"] < written < (y_seen[:, b] >= 0).sum()  # some overwritten, some not surprising


@torch.no_grad()
def test_only_surprises_are_written(images):
    _, x, y_seen = example(images, 1)
    everything, nothing = (example(images, 1, surprise=ratio)[0] for ratio in (0.0, 1e6))
    assert torch.equal(last_state(everything, x, y_seen).written, (y_seen >= 0).sum(dim=0))
    state = last_state(nothing, x, y_seen)
    assert (state.memory.y == -1).all() and not state.memory.e.any()
    assert not nothing(x, y_seen).any()  # an empty memory: all answers equally likely


def test_gradients_are_those_of_the_unrolled_steps(images):
    """What `forward` finds without gradients and decodes once more gives the gradient of the plain loop."""
    learner, x, y_seen = example(images, 1)
    target = torch.randn(*y_seen.shape, 3, dtype=torch.float64)
    whole = torch.autograd.grad((learner(x, y_seen) * target).sum(), list(learner.parameters()))
    state, total = learner.initial_state(4), 0
    for x_t, y_seen_t, target_t in zip(x, y_seen, target, strict=True):
        logits, state = learner.step(x_t, y_seen_t, state)
        total = total + (logits * target_t).sum()
    for one, other in zip(whole, torch.autograd.grad(total, list(learner.parameters())), strict=True):
        torch.testing.assert_close(one, other)
        assert one.any()


def test_no_gradient_flows_into_the_memory(images):
    learner, x, y_seen = example(images, 1, surprise=0.0)
    x.requires_grad_()
    learner(x, y_seen)[5].sum().backward()
    assert x.grad[5].any() and not x.grad[:5].any()


def test_parameters_and_flops_are_those_of_the_closed_formulas():
    features, label, wide, layers, neighbours = 64, 32, 512, 5, 5
    learner = APL((1, 28, 28), n_way=5)
    convolutions = [c_in * 64 * 9 for c_in in (1, 64, 64, 64)]
    linear, first = 64 * features, (2 * features + label + 1) * wide
    layer = wide * 3 * wide + wide * wide
    head = wide * 5
    biases = features + wide + layers * 4 * wide + 5
    normalisations = 4 * 2 * 64 + 2 * features + layers * 2 * 4 * wide
    weights = sum(convolutions) + linear + first + layers * layer + head + 6 * label
    assert sum(each.numel() for each in learner.parameters()) == weights + biases + normalisations
    pixels = [28 * 28, 14 * 14, 7 * 7, 3 * 3]
    per_image = sum(each * area for each, area in zip(convolutions, pixels, strict=True)) + linear
    attention = 2 * neighbours * neighbours * wide  # queries with keys, weights with values
    decoder = neighbours * (first + layers * layer) + layers * attention + head
    assert flops_per_step(learner, (1, 28, 28)) == 2 * (per_image + decoder)


def test_impossible_settings_are_refused():
    with pytest.raises(UserError, match="6 neighbours from a memory of 5 slots"):
        APL((1, 8, 8), 3, slots=5, neighbours=6)
