"""A pole on a cart by its equations, and bandits whose arms swap."""

import math

import pytest
import torch

from metamemory.tasks.control import FAR, LYING, Bandit, Cart, CartPole, SwappingBandit


def standing(*x):
    return Cart(torch.tensor([x], dtype=torch.float64), torch.zeros(1, dtype=torch.int64))


@pytest.mark.parametrize(
    ("x", "action", "after"),
    [  # Gym's CartPole-v1, one step of its Euler integration from these states
        ((0.0, 0.0, 0.0, 0.0), 1, (0.0, 0.1951219512195122, 0.0, -0.2926829268292683)),
        ((0.0, 0.0, 0.0, 0.0), 0, (0.0, -0.1951219512195122, 0.0, 0.2926829268292683)),
    ],
)
def test_a_push_from_rest_is_as_published(x, action, after):
    """From rest a = F / (m - 3/4 ... ): 10 N on 1.1 kg with a pole of 0.1 kg give 9.756 m/s2 and -14.63 rad/s2."""
    generator = torch.Generator().manual_seed(0)
    state, paid = CartPole().act(standing(*x), torch.tensor([action]), generator)
    torch.testing.assert_close(state.x[0], torch.tensor(after, dtype=torch.float64))
    assert paid.item() == 1


def test_a_step_solves_the_equations_of_motion():
    """The two equations of a cart and a rod of half-length l, which the accelerations of a step have to satisfy:

    (M + m) a + m l (q'' cos q - q'^2 sin q) = F        4/3 l q'' + a cos q = g sin q
    """
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(50, 4, generator=generator, dtype=torch.float64) - 0.5
    x = draws * torch.tensor([2.0, 4.0, 0.35, 4.0])
    action = torch.randint(2, (50,), generator=generator)
    state, _ = CartPole().act(Cart(x, torch.zeros(50, dtype=torch.int64)), action, generator)
    stood = state.lying == 0
    assert stood.sum() > 25
    _, speed, q, turning = x[stood].unbind(dim=1)
    a, turned = (state.x[stood, 1] - speed) / 0.02, (state.x[stood, 3] - turning) / 0.02
    force = 10.0 * (2 * action[stood] - 1)
    left = 1.1 * a + 0.1 * 0.5 * (turned * q.cos() - turning**2 * q.sin())
    torch.testing.assert_close(left, force.double())
    torch.testing.assert_close(4 / 3 * 0.5 * turned + a * q.cos(), 9.8 * q.sin())
    torch.testing.assert_close(state.x[stood, 0], x[stood, 0] + 0.02 * speed)


def test_a_pole_that_falls_lies_for_a_while_unpaid():
    generator, task = torch.Generator().manual_seed(0), CartPole()
    for x in ((0.0, 0.0, math.radians(11.9), 1.0), (FAR - 0.01, 1.0, 0.0, 0.0)):
        state, paid = task.act(standing(*x), torch.tensor([1]), generator)
        assert paid.item() == 0 and state.lying.item() == LYING
        for _ in range(LYING - 1):
            state, paid = task.act(state, torch.tensor([0]), generator)
            assert paid.item() == 0 and state.lying.item() > 0
        state, paid = task.act(state, torch.tensor([0]), generator)
        assert paid.item() == 0 and state.lying.item() == 0 and state.x.abs().max() <= 0.05
        assert task.act(state, torch.tensor([0]), generator)[1].item() == 1


def test_pushing_one_way_fells_the_pole_in_about_ten_steps():
    """As is known of this task: the longest that a constant push keeps the pole up is 10 or 11 steps."""
    generator, task = torch.Generator().manual_seed(0), CartPole()
    state, count = task.begin(200, generator), torch.zeros(200)
    for _ in range(15):
        state, paid = task.act(state, torch.ones(200, dtype=torch.int64), generator)
        count += paid
    assert 8 <= count.mean() <= 9 and count.max() <= 11


def test_arms_swap_after_each_period_and_pay_their_shares():
    generator, task = torch.Generator().manual_seed(0), SwappingBandit(period=3, good=0.9, bad=0.2)
    state, paid, best = task.begin(4000, generator), [], []
    action = torch.zeros(4000, dtype=torch.int64)
    for _ in range(7):
        best.append(state.best)
        state, each = task.act(state, action, generator)
        paid.append(each)
    assert torch.equal(best[0], best[2]) and torch.equal(best[3], 1 - best[0]) and torch.equal(best[6], best[0])
    rate = torch.stack(paid)[torch.stack(best) == 0].mean(), torch.stack(paid)[torch.stack(best) == 1].mean()
    assert rate[0] == pytest.approx(0.9, abs=0.01) and rate[1] == pytest.approx(0.2, abs=0.015)
    assert task.seen(Bandit(torch.zeros(5), 0)).tolist() == [[1.0]] * 5
