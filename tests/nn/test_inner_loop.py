"""The inner loop by hand, and the order of the meta-gradient, which public code has often got wrong."""

import pytest
import torch
from torch import nn
from torch.nn import functional as fn

from metamemory.nn import inner_loop as maml


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
    logits = maml.answer(model, maml.adapt(model, x, y, steps, 0.3, order), query)
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
    theta = maml.adapt(model, x, y, 3, 0.3, 2)
    logits = maml.answer(model, theta, query)
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
    theta = maml.adapt(model, x, y, 2, 0.3, 1)
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
