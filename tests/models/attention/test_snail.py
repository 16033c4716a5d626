"""SNAIL against a slow one that computes every position by itself, and how far its convolutions reach."""

import math

import numpy as np
import pytest
import torch

from metamemory.errors import UserError
from metamemory.models.attention.snail import SNAIL, AttentionBlock, DenseBlock
from metamemory.training.flops import flops_per_step

SMALL = {"attention": ((4, 3), (5, 2), (6, 4)), "tc_filters": 3, "features": 6, "filters": 4}


def attention_at(block, z, t):
    """Figure 2b of the paper: softmax over the keys of all steps up to t."""
    q, k, v = np.split(z @ block.affine.weight.T + block.affine.bias, np.cumsum(block.sizes)[:2], axis=1)
    scores = np.array([math.exp(q[t] @ k[j] / math.sqrt(block.sizes[0])) for j in range(t + 1)])
    read = sum(score * v[j] for j, score in enumerate(scores)) / scores.sum()
    return np.concatenate([z[t], read])


def dense_at(block, z, t):
    """Figure 2a: a convolution with a kernel of two steps, `dilation` apart, nothing before the first."""
    then = z[t - block.dilation] if t >= block.dilation else np.zeros(z.shape[1])
    gates = block.now.weight @ z[t] + block.then.weight @ then + block.now.bias
    f, g = np.split(gates, 2)
    return np.concatenate([z[t], np.tanh(f) / (1 + np.exp(-g))])


def by_position(snail, z):
    """One episode's tokens [T, C] -> logits [T, K]."""
    for block in snail.blocks:
        at = attention_at if isinstance(block, AttentionBlock) else dense_at
        z = np.array([at(block.arrays, z, t) for t in range(len(z))])
    return z @ snail.classifier.weight.numpy().T + snail.classifier.bias.numpy()


class Arrays:
    """A block's settings, and its weights as NumPy arrays."""

    def __init__(self, block):
        vars(self).update(
            {name: value for name, value in vars(block).items() if not name.startswith("_") and name != "training"}
        )
        for name, layer in block.named_children():
            bias = None if layer.bias is None else layer.bias.numpy()
            setattr(self, name, type("Affine", (), {"weight": layer.weight.numpy(), "bias": bias}))


@torch.no_grad()
@pytest.mark.parametrize("length", [4, 11])
@pytest.mark.parametrize("first_dilation", [1, 2])
def test_an_episode_equals_the_definition_position_by_position(length, first_dilation):
    torch.manual_seed(0)
    snail = SNAIL((1, 8, 8), 3, length, first_dilation=first_dilation, **SMALL).double().eval()
    for parameter in snail.parameters():
        parameter.mul_(2)
    for block in snail.blocks:
        block.arrays = Arrays(block)
    x, y_seen = torch.rand(11, 2, 1, 8, 8).double(), torch.randint(-1, 3, (11, 2))  # longer than 4, too
    logits = snail(x, y_seen)
    for b in range(2):
        labels = np.array([[float(y == way) for way in range(3)] for y in y_seen[:, b].tolist()])
        tokens = np.concatenate([snail.encoder(x[:, b]).numpy(), labels], axis=1)
        np.testing.assert_allclose(logits[:, b].numpy(), by_position(snail, tokens), rtol=1e-9)


def reached(length, **settings):
    """Whether what a TC block says of the last of 2 length + 1 steps depends on each of them."""
    torch.manual_seed(0)
    snail = SNAIL((1, 8, 8), 3, length, **settings, **SMALL)
    blocks = [each for each in snail.blocks if isinstance(each, DenseBlock)]
    blocks = blocks[: len(blocks) // 2]

    def last(z):
        for block in blocks:
            z = block(z, block.initial_state(1))[0]
        return z[-1]

    z = torch.randn(2 * length + 1, 1, blocks[0].now.in_features)
    changed = z + torch.eye(len(z))[:, :, None, None]  # one step in each
    return [not torch.equal(last(z), last(each)) for each in changed]


@torch.no_grad()
@pytest.mark.parametrize("length", [2, 8, 9, 45])
def test_convolutions_reach_every_step_of_the_length(length):
    depends = reached(length)
    assert all(depends[-length:])
    assert not any(depends[: -(2 ** math.ceil(math.log2(length)))])


@torch.no_grad()
def test_dilations_as_printed_never_reach_the_step_before():
    assert reached(8, first_dilation=2)[::-1] == [distance % 2 == 0 and distance < 16 for distance in range(17)]


def test_parameters_and_flops_are_those_of_the_closed_formulas():
    """The sizes of the paper's Omniglot model, at T = 26: 5 ways, 5 shots and the sample asked for."""
    snail = SNAIL((1, 28, 28), 5, length=26)
    conv = 9 * 64 * (28**2 + 64 * (14**2 + 7**2 + 3**2))
    layers, channels, weights, biases, attended = 5, 69, 64 * 64, 64, 0
    for place, (key, value) in enumerate(((64, 32), (256, 128), (512, 256))):
        for _ in range(layers if place else 0):
            weights, biases, channels = weights + 2 * channels * 2 * 128, biases + 2 * 128, channels + 128
        weights, biases = weights + channels * (2 * key + value), biases + 2 * key + value
        channels, attended = channels + value, attended + key + value
    weights, biases = weights + channels * 5, biases + 5
    assert sum(each.numel() for each in snail.parameters()) == weights + biases + 9 * 64 * (1 + 3 * 64) + 4 * 2 * 64
    assert flops_per_step(snail, (1, 28, 28)) == 2 * (conv + weights + attended)  # the first step: one key


def test_impossible_settings_are_refused():
    with pytest.raises(UserError, match="length is 1, .* from 2 "):
        SNAIL((1, 8, 8), 3, length=1)
    with pytest.raises(UserError, match="first_dilation is 0, .* from 1 "):
        SNAIL((1, 8, 8), 3, first_dilation=0)
    with pytest.raises(UserError, match="attention is .*3 of them"):
        SNAIL((1, 8, 8), 3, attention=((4, 4), (4, 4)))
