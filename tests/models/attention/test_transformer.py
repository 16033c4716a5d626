"""The transformer against one with an explicit softmax, one position and one head at a time."""

import math

import pytest
import torch

from metamemory.errors import UserError
from metamemory.models.attention.transformer import Transformer
from metamemory.nn.attention import BASE
from metamemory.training.flops import flops_per_step


def normed(norm, z):
    centred = z - z.mean()
    return centred / (centred.square().mean() + 1e-5).sqrt() * norm.weight + norm.bias


def gelu(z):
    return z * (1 + torch.erf(z / math.sqrt(2))) / 2


def turned(v, t):
    """Positions as complex phases."""
    half = len(v) // 2
    angles = torch.tensor([t * BASE ** (-d / half) for d in range(half)]).double()
    pairs = torch.complex(v[:half], v[half:]) * torch.polar(torch.ones(half).double(), angles)
    return torch.cat([pairs.real, pairs.imag])


def layer_by_position(layer, z):
    """z: a list of vectors [W], one a step -> the same, after the layer."""
    size = len(z[0]) // layer.heads
    q, k, v = zip(
        *((layer.qkv.weight @ normed(layer.norm_1, each) + layer.qkv.bias).chunk(3) for each in z), strict=True
    )
    out = []
    for t in range(len(z)):
        read = []
        for head in range(layer.heads):
            part = slice(head * size, (head + 1) * size)
            scores = [turned(q[t][part], t) @ turned(k[j][part], j) / math.sqrt(size) for j in range(t + 1)]
            weights = [score.exp() for score in scores]
            read.append(sum(w * v[j][part] for j, w in enumerate(weights)) / sum(weights))
        each = z[t] + layer.out.weight @ torch.cat(read) + layer.out.bias
        hidden = gelu(layer.up.weight @ normed(layer.norm_2, each) + layer.up.bias)
        out.append(each + layer.down.weight @ hidden + layer.down.bias)
    return out


@torch.no_grad()
def test_an_episode_equals_the_definition_position_by_position():
    torch.manual_seed(0)
    learner = Transformer((1, 8, 8), 3, layers=2, width=24, heads=3, filters=4).double().eval()
    for parameter in learner.parameters():
        parameter.mul_(2)  # attention that is far from uniform
    x, y_seen = torch.rand(7, 2, 1, 8, 8).double(), torch.randint(-1, 3, (7, 2))
    logits = learner(x, y_seen)
    for b in range(2):
        z = []
        for t, label in enumerate(y_seen[:, b].tolist()):
            token = learner.encoder(x[t, b])
            z.append(token + learner.label.weight[:, label] if label >= 0 else token)
        for layer in learner.layers:
            z = layer_by_position(layer, z)
        for t, each in enumerate(z):
            expected = learner.classifier.weight @ normed(learner.norm, each) + learner.classifier.bias
            torch.testing.assert_close(logits[t, b], expected)


def test_parameters_and_flops_are_those_of_the_closed_formulas():
    width, layers, ways = 128, 4, 5
    learner = Transformer((1, 28, 28), ways)
    weights = layers * 12 * width**2 + ways * width * 2 + 64 * width
    biases = layers * (3 + 1 + 4 + 1) * width + width + ways
    norms = (2 * layers + 1) * 2 * width
    encoder = 9 * 64 * (1 + 3 * 64) + 4 * 2 * 64
    assert sum(each.numel() for each in learner.parameters()) == weights + biases + norms + encoder
    conv = 9 * 64 * (28**2 + 64 * (14**2 + 7**2 + 3**2))
    attended = layers * 2 * width  # the first step: one key, one value
    assert flops_per_step(learner, (1, 28, 28)) == 2 * (conv + weights + attended)


def test_a_width_that_heads_cannot_share_is_refused():
    with pytest.raises(UserError, match="width is 12 and must be a multiple of 8"):
        Transformer((1, 8, 8), 3, width=12, heads=4)
