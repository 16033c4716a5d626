"""The U-Net that is fine-tuned: its descent written out, the order of its meta-gradient, its size."""

import copy

import pytest
import torch
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.models.gradient.unet import FineTunedUNet
from metamemory.training.flops import flops_per_step


def small(**settings):
    torch.manual_seed(0)
    return FineTunedUNet((3, 8, 8), filters=2, **{"inner_rate": 0.5, **settings})


def batch(steps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(steps, 2, 3, 8, 8, generator=generator)
    return x, (torch.rand(steps, 2, 8, 8, generator=generator) < 0.3).float()


def descend(net, x, y, rate):
    """A gradient step in place on pictures [N, 3, H, W] and their masks."""
    loss = fn.binary_cross_entropy_with_logits(net(x), y)
    for weight, g in zip(net.parameters(), torch.autograd.grad(loss, list(net.parameters())), strict=True):
        weight.data -= rate * g


@pytest.mark.parametrize("rates", [{}, {"inner_rate": 3.0, "online_rate": 0.5}])
def test_the_stream_is_gradient_descent_on_one_picture_after_the_other(rates):
    learner = small(**rates).eval()
    x, y = batch(5)
    y_seen = torch.cat([torch.full_like(y[:1], -1), y[:-1]])
    logits = learner(x, y_seen)
    assert not logits.requires_grad
    for b in range(2):
        net = copy.deepcopy(learner.net)
        for t in range(5):
            if t:
                descend(net, x[t - 1, b : b + 1], y[t - 1, b : b + 1], 0.5)
            torch.testing.assert_close(logits[t, b], net(x[t, b : b + 1])[0].detach(), rtol=1e-4, atol=1e-5)


def test_pre_training_adapts_to_the_support_set_and_answers_each_query_by_itself():
    learner = small(inner_steps=3, online_rate=7.0)
    (x, y), (query, _) = batch(4), batch(3, seed=1)
    logits = learner.answer_queries(x, y, query)
    for b in range(2):
        net = copy.deepcopy(learner.net)
        for _ in range(3):
            descend(net, x[:, b], y[:, b], 0.5)
        torch.testing.assert_close(logits[:, b], net(query[:, b]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(learner.answer_queries(x, y, query[1:2])[0], logits[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_meta_gradient_of_second_order_is_that_of_finite_differences(steps):
    learner, rough = (small(inner_steps=steps, order=order).double() for order in (2, 1))
    (x, y), (query, query_y) = ((a.double(), b.double()) for a, b in (batch(2), batch(2, seed=1)))

    def loss_of(learner):
        return fn.binary_cross_entropy_with_logits(learner.answer_queries(x, y, query), query_y)

    weight = learner.net.readout.weight
    (exact,) = torch.autograd.grad(loss_of(learner), [weight])
    (first,) = torch.autograd.grad(loss_of(rough), [rough.net.readout.weight])
    expected = torch.empty_like(exact)
    for i in range(weight.numel()):
        ends = []
        for eps in (1e-5, -1e-5):
            weight.data.view(-1)[i] += eps
            ends.append(loss_of(learner).item())
            weight.data.view(-1)[i] -= eps
        expected.view(-1)[i] = (ends[0] - ends[1]) / 2e-5
    torch.testing.assert_close(exact, expected, rtol=1e-4, atol=1e-8)
    assert (first - expected).norm() > 0.01 * expected.norm()


def test_only_the_second_order_goes_back_through_a_backward_pass():
    count = {}
    for order in (1, 2):
        (x, y), (query, _) = batch(2), batch(2, seed=1)
        waiting, seen = [small(order=order).answer_queries(x, y, query).grad_fn], set()
        while waiting:
            node = waiting.pop()
            if node is not None and node not in seen:
                seen.add(node)
                waiting += [each for each, _ in node.next_functions]
        count[order] = sum("ConvolutionBackwardBackward" in node.name() for node in seen)
    assert count[1] == 0 and count[2] >= 10


def test_parameters_and_flops_are_those_of_the_closed_formulas():
    """A step is a forward and a backward pass over the picture before, and a forward pass over the new one."""
    f = 16
    widths = [(3, f), (f, f), (f, 2 * f), (2 * f, 2 * f), (2 * f, 4 * f), (4 * f, 4 * f),
              (6 * f, 2 * f), (2 * f, 2 * f), (3 * f, f), (f, f)]  # fmt: skip
    pixels = [side**2 for side in (32, 32, 16, 16, 8, 8, 16, 16, 32, 32)]
    weights = [9 * inputs * out for inputs, out in widths]
    learner = FineTunedUNet((3, 32, 32), filters=f)
    normalisation = sum(2 * out for _, out in widths)
    assert sum(each.numel() for each in learner.parameters()) == sum(weights) + normalisation + f + 1
    products = [count * area for count, area in zip(weights, pixels, strict=True)] + [f * 32**2]
    # a backward pass costs two, but the gradient of the picture itself is not asked for
    assert flops_per_step(learner, (3, 32, 32)) == 2 * (4 * sum(products) - products[0])


def test_impossible_settings_are_refused():
    with pytest.raises(UserError, match="order is 3"):
        FineTunedUNet((3, 32, 32), order=3)
    with pytest.raises(UserError, match="unet: images of 30x32"):
        FineTunedUNet((3, 32, 30))


@torch.no_grad()
def test_the_plain_u_net_is_convolution_normalisation_relu():
    """The U written out; normalised over channels and pixels of a picture."""
    torch.manual_seed(0)
    net = FineTunedUNet((3, 8, 12), filters=2).net
    for weight in net.parameters():
        weight.add_(0.1 * torch.randn_like(weight))

    def layer(n, *maps):
        convolution, normalisation, _ = net.layers[n - 1]
        a = fn.conv2d(torch.cat(maps, dim=1), convolution.weight, padding=1)
        mean, variance = a.mean(dim=(1, 2, 3), keepdim=True), a.var(dim=(1, 2, 3), correction=0, keepdim=True)
        gain, bias = (each[:, None, None] for each in normalisation.parameters())
        return ((a - mean) / (variance + 1e-5).sqrt() * gain + bias).clamp(min=0)

    def up(z):
        return z.repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)

    x = torch.rand(2, 3, 8, 12)
    full = layer(2, layer(1, x))
    half = layer(4, layer(3, fn.max_pool2d(full, 2)))
    bottom = layer(6, layer(5, fn.max_pool2d(half, 2)))
    half = layer(8, layer(7, half, up(bottom)))
    full = layer(10, layer(9, full, up(half)))
    expected = (full * net.readout.weight[0, :, 0, 0, None, None]).sum(dim=1) + net.readout.bias
    torch.testing.assert_close(net(x), expected, rtol=1e-4, atol=1e-5)
