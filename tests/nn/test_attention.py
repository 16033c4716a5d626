"""Attention and rotary positions against loops, and what positions may and may not tell."""

import math

import torch

from metamemory.nn.attention import BASE, attend, rotate


def test_attention_equals_a_loop_over_queries_and_the_keys_up_to_each():
    torch.manual_seed(0)
    past, steps, batch, heads = 3, 4, 2, 2
    q = torch.randn(steps, batch, heads, 5)
    k, v = torch.randn(past + steps, batch, heads, 5), torch.randn(past + steps, batch, heads, 6)
    out = attend(q, k, v)
    for b in range(batch):
        for h in range(heads):
            for t in range(steps):
                weights = [math.exp(q[t, b, h] @ k[j, b, h] / math.sqrt(5)) for j in range(past + t + 1)]
                expected = sum(w * v[j, b, h] for j, w in enumerate(weights)) / sum(weights)
                torch.testing.assert_close(out[t, b, h], expected)


def test_rotation_equals_complex_multiplication():
    x = torch.randn(5, 2, 3, 6)
    turned = rotate(x, start=7)
    for t in range(5):
        for d in range(3):
            angle = (7 + t) * BASE ** (-2 * d / 6)
            expected = torch.complex(x[t, ..., d], x[t, ..., d + 3]) * complex(math.cos(angle), math.sin(angle))
            torch.testing.assert_close(torch.complex(turned[t, ..., d], turned[t, ..., d + 3]), expected)


def test_products_depend_on_the_distance_and_on_nothing_else():
    q, k = torch.randn(1, 1, 1, 8).double(), torch.randn(1, 1, 1, 8).double()

    def product(t, j):
        return (rotate(q, t) * rotate(k, j)).sum()

    torch.testing.assert_close(product(9, 4), product(105, 100))
    assert not torch.isclose(product(9, 4), product(9, 5))
