"""CL U-Net: its equations step by step, its size, and where masks are shown."""

import pytest
import torch
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.models.recurrent.cl_unet import CLUNet
from metamemory.training.flops import flops_per_step


def cell(layer, z, h, c):
    """One step of a CL layer by the paper's equations (1) to (5), its input part normalised."""
    a = fn.conv2d(z, layer.w_x, padding=1)
    scale = layer.gain / (layer.running_var + 1e-5).sqrt()
    a = (a - layer.running_mean[:, None, None]) * scale[:, None, None] + layer.bias[:, None, None]
    i, f, o, g = (a + fn.conv2d(h, layer.w_h, padding=1)).chunk(4, dim=1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def by_the_equations(learner, x, y_seen):
    """Every step, layer after layer, the U written out: no module of the learner is called but its weights."""
    batch, filters = x.shape[1], learner.cl[0].filters
    h, c = ([torch.zeros(batch, filters * 2**level, *x.shape[-2:])[:, :, :: 2**level, :: 2**level]
             for level in (0, 0, 1, 1, 2, 2, 1, 1, 0, 0)] for _ in range(2))  # fmt: skip
    logits = []
    for t in range(len(x)):

        def layer(n, *maps, seen=y_seen[t]):
            z = torch.cat([*maps, *([seen[:, None]] if n in learner.inject else [])], dim=1)
            h[n - 1], c[n - 1] = cell(learner.cl[n - 1], z, h[n - 1], c[n - 1])
            return h[n - 1]

        def up(z):
            return z.repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)

        full = layer(2, layer(1, x[t]))
        half = layer(4, layer(3, fn.max_pool2d(full, 2)))
        bottom = layer(6, layer(5, fn.max_pool2d(half, 2)))
        half = layer(8, layer(7, half, up(bottom)))
        full = layer(10, layer(9, full, up(half)))
        logits.append((full * learner.readout.weight[0, :, 0, 0, None, None]).sum(dim=1) + learner.readout.bias)
    return torch.stack(logits)


@pytest.mark.parametrize("inject", [(), (1,), (9,), (1, 9), (2, 10)])
def test_forward_equals_the_equations(inject):
    torch.manual_seed(0)
    learner = CLUNet((3, 8, 12), filters=3, inject=inject).eval()
    for layer in learner.cl:
        layer.running_mean.normal_()
        layer.running_var.uniform_(0.5, 2)
    x, y_seen = torch.rand(5, 2, 3, 8, 12), torch.randint(-1, 2, (5, 2, 8, 12)).float()
    torch.testing.assert_close(learner(x, y_seen), by_the_equations(learner, x, y_seen), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("filters", "inject"), [(32, (1,)), (32, (9,)), (5, (1, 9))])
def test_parameters_and_flops_are_those_of_the_closed_formulas(filters, inject):
    """4 F_out (F_in + F_out) 9 weights a CL layer, each used once a pixel; the widths of the U written out."""
    f = filters
    widths = [(3, f), (f, f), (f, 2 * f), (2 * f, 2 * f), (2 * f, 4 * f), (4 * f, 4 * f),
              (6 * f, 2 * f), (2 * f, 2 * f), (3 * f, f), (f, f)]  # fmt: skip
    pixels = [side**2 for side in (32, 32, 16, 16, 8, 8, 16, 16, 32, 32)]
    weights = [4 * out * (inputs + (n in inject) + out) * 9 for n, (inputs, out) in enumerate(widths, start=1)]
    extra = sum(2 * 4 * out for _, out in widths)  # a bias and a gain for every gate
    learner = CLUNet((3, 32, 32), filters=filters, inject=inject)
    assert sum(each.numel() for each in learner.parameters()) == sum(weights) + extra + filters + 1
    flops = 2 * (sum(count * area for count, area in zip(weights, pixels, strict=True)) + filters * 32**2)
    assert flops_per_step(learner, (3, 32, 32)) == flops


@torch.no_grad()
def test_a_mask_reaches_only_the_layers_above_the_one_that_it_is_shown_to():
    for inject, reached in (((1,), 10), ((9,), 2), ((), 0)):
        torch.manual_seed(0)
        learner = CLUNet((3, 8, 8), filters=3, inject=inject).eval()
        x, state = torch.rand(2, 3, 8, 8), learner.initial_state(2)
        one, other = (learner.step(x, torch.full((2, 8, 8), value), state)[1] for value in (0.0, 1.0))
        differs = [not torch.equal(a.h, b.h) for a, b in zip(one.cl, other.cl, strict=True)]
        assert differs == [False] * (10 - reached) + [True] * reached


def test_null_is_minus_one_at_every_pixel():
    torch.manual_seed(0)
    learner = CLUNet((3, 8, 8), filters=3).eval()
    x = torch.rand(1, 2, 3, 8, 8)
    null, plane, ground = (
        learner(x, y) for y in (torch.full((1, 2), -1), torch.full((1, 2, 8, 8), -1.0), torch.zeros(1, 2, 8, 8))
    )
    assert torch.equal(null, plane) and not torch.equal(null, ground)


def test_impossible_settings_are_refused():
    with pytest.raises(UserError, match=r"inject is \[1, 5\], .* one of 1, 2, 9, 10"):
        CLUNet((3, 32, 32), inject=(1, 5))
    with pytest.raises(UserError, match="30x32 pixels; both sides must be multiples of 4"):
        CLUNet((3, 32, 30))
    with pytest.raises(UserError, match="n_way is 5 and must be 2"):
        CLUNet((3, 32, 32), n_way=5)
