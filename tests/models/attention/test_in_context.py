"""The transformer on vectors: its tokens, and layers that are tested with the other transformer."""

import pytest
import torch

from metamemory.errors import UserError
from metamemory.models.attention.in_context import InContextTransformer
from metamemory.training.flops import flops_per_step


@torch.no_grad()
def test_an_episode_is_its_tokens_put_through_the_layers():
    torch.manual_seed(0)
    learner = InContextTransformer((2, 3), 4, layers=2, width=8, heads=2).eval()
    x, y_seen = torch.randn(5, 3, 2, 3), torch.randint(-1, 4, (5, 3))
    weight, bias = learner.token.weight, learner.token.bias
    z = x.flatten(2) @ weight[:, :6].T + bias
    for t in range(5):
        for b in range(3):
            if y_seen[t, b] >= 0:
                z[t, b] += weight[:, 6 + y_seen[t, b]]
    for layer in learner.layers:
        z, _ = layer(z, layer.initial_state(3))
    torch.testing.assert_close(learner(x, y_seen), learner.classifier(learner.norm(z)))


def test_parameters_and_flops_are_those_of_the_closed_formulas():
    width, layers, ways, features = 64, 2, 5, 32
    learner = InContextTransformer((features,), ways, layers, width, heads=4)
    weights = layers * 12 * width**2 + (features + ways) * width + ways * width
    biases = width + layers * 9 * width + ways
    assert sum(each.numel() for each in learner.parameters()) == weights + biases + (2 * layers + 1) * 2 * width
    assert flops_per_step(learner, (features,)) == 2 * (weights + layers * 2 * width)


def test_a_width_that_heads_cannot_share_is_refused():
    with pytest.raises(UserError, match="in_context: width is 12 and must be a multiple of 8"):
        InContextTransformer((8,), 3, width=12, heads=4)
