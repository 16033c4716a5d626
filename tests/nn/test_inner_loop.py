"""The inner loop by hand, and the order of the meta-gradient, which public code has often got wrong."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.nn import inner_loop


def small_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()


def episodes(batch=2):
    generator = torch.Generator().manual_seed(1)
    x, query = (torch.randn(n, batch, 4, generator=generator, dtype=torch.float64) for n in (6, 7))
    y, query_y = (torch.randint(3, (n, batch), generator=generator) for n in (6, 7))
    return x, y, query, query_y


def meta_loss(model, steps, order, batch=2):
    x, y, query, query_y = episodes(batch)
    logits = inner_loop.answer(model, inner_loop.adapt(model, x, y, steps, 0.3, order), query)
    return fn.cross_entropy(logits.flatten(0, 1), query_y.flatten())


def finite_differences(loss_of, parameter, eps=1e-5):
    out = torch.empty_like(parameter)
    flat = parameter.data.view(-1)
    for i in range(flat.numel()):
        kept = flat[i].item()
        flat[i] = kept + eps
        above = loss_of()
        flat[i] = kept - eps
        out.view(-1)[i] = (above - loss_of()) / (2 * eps)
        flat[i] = kept
    return out


def nodes(tensor):
    """Names of all nodes of the graph behind a tensor."""
    waiting, seen = [tensor.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [each for each, _ in node.next_functions]
    return [node.name() for node in seen]


def test_adaptation_is_gradient_descent_by_hand():
    """Softmax regression, whose gradient is (p - one_hot) x^T: three steps for each episode on its own."""
    torch.manual_seed(0)
    model = nn.Linear(4, 3).double()
    x, y, query, _ = episodes()
    theta = inner_loop.adapt(model, x, y, 3, 0.3, 2)
    logits = inner_loop.answer(model, theta, query)
    for b in range(2):
        w, bias = model.weight.detach().clone(), model.bias.detach().clone()
        for _ in range(3):
            p = (x[:, b] @ w.T + bias).softmax(dim=1)
            error = (p - fn.one_hot(y[:, b], 3)) / 6
            w, bias = w - 0.3 * error.T @ x[:, b], bias - 0.3 * error.sum(dim=0)
        torch.testing.assert_close(theta["weight"][b], w)
        torch.testing.assert_close(theta["bias"][b], bias)
        torch.testing.assert_close(logits[:, b], query[:, b] @ w.T + bias)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_meta_gradient_of_second_order_is_that_of_finite_differences(steps):
    model = small_model()
    second = torch.autograd.grad(meta_loss(model, steps, order=2), list(model.parameters()))
    first = torch.autograd.grad(meta_loss(model, steps, order=1), list(model.parameters()))
    for parameter, exact, rough in zip(model.parameters(), second, first, strict=True):
        with torch.no_grad():
            expected = finite_differences(lambda: meta_loss(model, steps, order=1).item(), parameter)
        torch.testing.assert_close(exact, expected, rtol=1e-6, atol=1e-9)
        assert (rough - expected).norm() > 0.01 * expected.norm()


def test_the_meta_gradient_of_first_order_is_the_gradient_at_the_adapted_weights():
    model = small_model()
    first = torch.autograd.grad(meta_loss(model, 2, order=1, batch=1), list(model.parameters()))
    x, y, query, query_y = episodes(batch=1)
    theta = inner_loop.adapt(model, x, y, 2, 0.3, 1)
    there = {name: weight[0].detach().requires_grad_() for name, weight in theta.items()}
    loss = fn.cross_entropy(torch.func.functional_call(model, there, (query[:, 0],)), query_y[:, 0])
    for one, other in zip(first, torch.autograd.grad(loss, list(there.values())), strict=True):
        torch.testing.assert_close(one, other)


def test_only_the_second_order_goes_back_through_a_backward_pass():
    model = small_model()
    count = {
        (order, steps): sum(name.startswith("TanhBackwardBackward") for name in nodes(meta_loss(model, steps, order)))
        for order in (1, 2)
        for steps in (1, 2)
    }
    assert count == {(1, 1): 0, (1, 2): 0, (2, 1): 1, (2, 2): 2}


def test_the_value_does_not_depend_on_the_order_or_on_being_trained():
    model = small_model()
    with torch.no_grad():
        values = [meta_loss(model, 2, order) for order in (1, 2)]
    values += [meta_loss(model, 2, order).detach() for order in (1, 2)]
    assert all(torch.equal(value, values[0]) for value in values)


def convolutional(norm):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), norm(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 3)).double()


def images(n, batch=3, seed=2):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, batch, 1, 6, 6, generator=generator, dtype=torch.float64)
    return x, torch.randint(3, (n, batch), generator=generator)


def each_by_its_own_loop(model, x, y, query, steps, names=None):
    """Episode after episode: a copy of the module, torch's own optimiser."""
    answers = []
    for b in range(x.shape[1]):
        own = copy.deepcopy(model)
        weights = [weight for name, weight in own.named_parameters() if names is None or name in names]
        optimiser = torch.optim.SGD(weights, lr=0.3)
        for _ in range(steps):
            optimiser.zero_grad()
            fn.cross_entropy(own(x[:, b]), y[:, b]).backward()
            optimiser.step()
        answers.append(own(query[:, b]))
    return torch.stack(answers, dim=1)


@pytest.mark.parametrize("names", [None, ["4.weight", "4.bias"], ["0.weight"]])
@pytest.mark.parametrize("order", [1, 2])
def test_all_episodes_at_once_are_each_by_its_own_loop(order, names):
    model = convolutional(lambda channels: nn.GroupNorm(1, channels))
    (x, y), (query, _) = images(5), images(4, seed=3)
    theta = inner_loop.adapt(model, x, y, 3, 0.3, order, adapted=names)
    assert set(theta) == set(names or dict(model.named_parameters()))
    expected = each_by_its_own_loop(model, x, y, query, 3, names)
    torch.testing.assert_close(inner_loop.answer(model, theta, query), expected)


def test_what_is_not_adapted_gets_its_gradient_all_the_same():
    model = convolutional(lambda channels: nn.GroupNorm(1, channels))
    (x, y), (query, query_y) = images(5), images(4, seed=3)

    def loss():
        theta = inner_loop.adapt(model, x, y, 2, 0.3, 2, adapted=["4.weight", "4.bias"])
        return fn.cross_entropy(inner_loop.answer(model, theta, query).flatten(0, 1), query_y.flatten())

    gradients = torch.autograd.grad(loss(), list(model.parameters()))
    with torch.no_grad():
        expected = finite_differences(lambda: loss().item(), model[0].weight)
    torch.testing.assert_close(gradients[0], expected, rtol=1e-5, atol=1e-8)


def test_batch_statistics_are_those_of_an_episodes_samples_together():
    """Transductive: an answer changes with the queries beside it, and with those of its own episode only."""
    model = convolutional(lambda channels: nn.BatchNorm2d(channels, track_running_stats=False))
    (x, y), (query, _) = images(5), images(4, seed=3)
    theta = inner_loop.adapt(model, x, y, 2, 0.3, 2, batch_statistics=True)
    answers = inner_loop.answer(model, theta, query, batch_statistics=True)
    torch.testing.assert_close(answers, each_by_its_own_loop(model, x, y, query, 2))
    changed = query.clone()
    changed[0, 0] += 1
    moved = (inner_loop.answer(model, theta, changed, batch_statistics=True) - answers).abs().amax(dim=-1)
    assert moved[1, 0] > 1e-3 and moved[:, 1:].max() < 1e-12


def test_statistics_that_would_leak_or_cannot_be_kept_are_refused():
    running, own = (
        convolutional(lambda channels, track=track: nn.BatchNorm2d(channels, track_running_stats=track))
        for track in (True, False)
    )
    x, y = images(5)
    with pytest.raises(UserError, match="1 takes the statistics of all samples put through together; set batch_stat"):
        inner_loop.adapt(own, x, y, 1, 0.3, 2)
    with pytest.raises(UserError, match="1 takes the statistics of all samples"):
        inner_loop.adapt(running, x, y, 1, 0.3, 2)
    with pytest.raises(UserError, match="1 keeps running statistics, .* build it with track_running_stats=False"):
        inner_loop.adapt(running, x, y, 1, 0.3, 2, batch_statistics=True)
    inner_loop.adapt(running.eval(), x, y, 1, 0.3, 2)  # running statistics, that do not change
    with pytest.raises(UserError, match="no parameter head; there are 0.weight"):
        inner_loop.adapt(running, x, y, 1, 0.3, 2, adapted=["head"])
    with pytest.raises(UserError, match="it: order is 0 and must be 1 or 2"):
        inner_loop.require_order("it", 0)


def test_without_gradients_from_outside_nothing_is_kept_of_the_steps():
    model = small_model()
    x, y, _, _ = episodes()
    with torch.no_grad():
        theta = inner_loop.adapt(model, x, y, 4, 0.3, 2)
    assert not any(each.requires_grad for each in theta.values())


def test_null_labels_move_nothing():
    model = small_model()
    x, y, _, _ = episodes()
    theta = inner_loop.adapt(model, x, torch.full_like(y, -1), 2, 0.3, 2)
    for name, weight in model.named_parameters():
        assert torch.equal(theta[name], weight.expand_as(theta[name]))
