"""Weights written by the delta rule against loops in NumPy, in values; and against numerical gradients."""

import numpy as np
import pytest
import torch

from metamemory.errors import UserError
from metamemory.kernels import delta_rule, native, self_reference

needs_compiler = pytest.mark.skipif(native.compiler() is None, reason="no C compiler")
STEPS = (1, 16, 17, 33)  # marks are every 16


def softmax(x):
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


def sigma(x):
    return 1 / (1 + np.exp(-x))


def self_reference_by_numbers(x, weights):
    """Equations (5) to (8) of Irie et al. 2022, a head at a time: W is a matrix that is multiplied from the left."""
    answers, after = np.zeros_like(x), np.zeros_like(weights)
    size = x.shape[2]
    for n in range(x.shape[1]):
        w = weights[n].T.copy()  # [3 D + 4, D]
        for t in range(len(x)):
            y, q, k, b = np.split(w @ x[t, n], [size, 2 * size, 3 * size])
            k, q = softmax(k), softmax(q)
            old, new = w @ k, w @ q
            rates = np.repeat(sigma(b), [size, size, size, 4])
            for row in range(len(w)):
                for column in range(size):
                    w[row, column] += rates[row] * (new[row] - old[row]) * k[column]
            answers[t, n] = y
        after[n] = w.T
    return answers, after


def delta_rule_by_numbers(q, k, v, rates, weights):
    """Equations (21) to (25) of Schlag et al. 2021."""
    answers, after = np.zeros_like(v), np.zeros_like(weights)
    for n in range(q.shape[1]):
        w = weights[n].T.copy()
        for t in range(len(q)):
            had = w @ k[t, n]
            w += np.outer(rates[t, n] * (v[t, n] - had), k[t, n])
            answers[t, n] = w @ q[t, n]
        after[n] = w.T
    return answers, after


def drawn(operation, steps, heads, size, values=None, dtype=torch.float32):
    torch.manual_seed(steps + size)
    if operation == "self_reference":
        return torch.randn(steps, heads, size, dtype=dtype), torch.randn(heads, size, 3 * size + 4, dtype=dtype)
    keys = (torch.rand(steps, heads, size, dtype=dtype).softmax(dim=-1) for _ in range(2))
    v, rates = torch.randn(steps, heads, values, dtype=dtype), torch.rand(steps, heads, dtype=dtype)
    return *keys, v, rates, torch.randn(heads, size, values, dtype=dtype)


OPERATIONS = {
    "self_reference": (self_reference.self_reference, self_reference_by_numbers),
    "delta_rule": (delta_rule.delta_rule, delta_rule_by_numbers),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["compiled", "formulas"])
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_values_are_those_of_a_loop(operation, steps, dtype):
    fast, by_numbers = OPERATIONS[operation]
    inputs = drawn(operation, steps, 3, 5, 18, dtype)
    found, expected = fast(*inputs), by_numbers(*(each.double().numpy() for each in inputs))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), torch.from_numpy(other), rtol=1e-4, atol=1e-5)


@needs_compiler
@pytest.mark.parametrize("size, values", [(1, 1), (5, 18), (16, 16), (64, 64)])
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_gradients_are_those_of_the_formulas(operation, steps, size, values, vectors):
    inputs = drawn(operation, steps, 2, size, values)
    given = [[each.to(dtype).requires_grad_() for each in inputs] for dtype in (torch.float32, torch.float64)]
    found = [OPERATIONS[operation][0](*each) for each in given]  # float64 goes by the formulas
    factors = [torch.randn_like(each) for each in found[0]]
    one, other = (
        torch.autograd.grad(
            sum((y * factor.to(y.dtype)).sum() for y, factor in zip(outputs, factors, strict=True)), each
        )
        for outputs, each in zip(found, given, strict=True)
    )
    for ours, expected in zip(one, other, strict=True):
        assert (ours - expected).norm() <= 2e-5 * (1e-3 + expected.norm())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_gradients_of_the_formulas_are_those_of_differences(operation):
    inputs = [each.requires_grad_() for each in drawn(operation, 4, 2, 3, 2, torch.float64)]
    assert torch.autograd.gradcheck(OPERATIONS[operation][0], inputs)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_episode_can_be_done_in_parts(operation):
    *inputs, weights = drawn(operation, 20, 2, 6, 3)
    whole, after = OPERATIONS[operation][0](*inputs, weights)
    answers = []
    for begin, end in ((0, 7), (7, 8), (8, 20)):
        y, weights = OPERATIONS[operation][0](*(each[begin:end] for each in inputs), weights)
        answers.append(y)
    torch.testing.assert_close(torch.cat(answers), whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weights, after, rtol=1e-4, atol=1e-5)


@needs_compiler
@pytest.mark.parametrize("operation", OPERATIONS)
def test_threads_share_the_heads(operation):
    inputs = drawn(operation, 9, 5, 4, 3)
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append(OPERATIONS[operation][0](*inputs))
    torch.set_num_threads(1)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_sizes_that_do_not_go_together_are_refused(operation):
    *inputs, weights = drawn(operation, 3, 2, 4, 4)
    with pytest.raises(UserError, match=f"{operation}: weights is float32"):
        OPERATIONS[operation][0](*inputs, weights[:1])
    with pytest.raises(UserError, match="at least one step"):
        OPERATIONS[operation][0](*(each[:0] for each in inputs), weights)
