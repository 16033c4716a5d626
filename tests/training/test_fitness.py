"""Searches by fitness, on networks whose pay is known."""

import torch

from metamemory.models import SelfModifyingPolicy
from metamemory.tasks.control import SwappingBandit
from metamemory.training.fitness import Climbing, Monotonic, lifetime


def paid_by_first_weight(encoder, weights):
    """A network is paid its first weight, and makes itself larger by a tenth of its second."""
    after = weights.clone()
    after[:, 0] += weights[:, 1] / 10
    return after, weights[:, 0]


def begun(candidates, searches, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.zeros(searches, 1), torch.randn(candidates, searches, 2, generator=generator), generator


def test_all_candidates_are_executed_once_before_any_choice():
    encoder, weights, generator = begun(4, 3)
    search = Monotonic(paid_by_first_weight, encoder, weights, 1.0, generator)
    torch.testing.assert_close(search.fitness, weights[..., 0])
    torch.testing.assert_close(
        search.weights, torch.stack([paid_by_first_weight(encoder, each)[0] for each in weights])
    )


def test_the_better_is_executed_more_often_by_softmax():
    """Of two networks that do not change and are paid 0 and 1: odds of e^2 with a sharpness of 2."""
    paid = torch.tensor([0.0, 1.0]).repeat(1, 1)

    def live(encoder, weights):
        return weights, weights[:, 0]

    searches = 4000
    weights = paid.T[:, :, None].expand(2, searches, 1).clone()
    search = Monotonic(live, torch.zeros(searches, 1), weights, 2.0, torch.Generator().manual_seed(0))
    share = search.step().paid.mean()
    expected = torch.tensor(2.0).exp() / (1 + torch.tensor(2.0).exp())
    assert abs(share - expected) < 4 * (expected * (1 - expected) / searches) ** 0.5


def test_what_a_network_becomes_takes_the_place_of_the_worst():
    encoder, weights, generator = begun(3, 1)
    search = Monotonic(paid_by_first_weight, encoder, weights, 1e4, generator)  # always the best
    best, worst = search.fitness.argmax().item(), search.fitness.argmin().item()
    before, lives = search.weights.clone(), search.lives.clone()
    found = search.step()
    after, paid = paid_by_first_weight(encoder, before[best])
    torch.testing.assert_close(found.paid, paid)
    torch.testing.assert_close(search.weights[worst], after)
    assert search.lives[best] == lives[best] + 1 and search.lives[worst] == 1
    torch.testing.assert_close(search.fitness[best], (weights[best, :, 0] + paid) / 2)
    torch.testing.assert_close(search.fitness[worst], paid)


def test_pay_rises_where_networks_can_improve_themselves():
    encoder, weights, generator = begun(8, 20)
    search = Monotonic(paid_by_first_weight, encoder, weights, 5.0, generator)
    paid = torch.stack([search.step().paid for _ in range(60)])
    thirds = [each.mean() for each in paid.split(20)]
    assert thirds[0] < thirds[1] < thirds[2]


def test_hill_climbing_never_goes_down():
    encoder, weights, generator = begun(4, 30)
    search = Climbing(paid_by_first_weight, encoder, weights, 0.1, generator)
    first = before = weights[..., 0].amax(dim=0)  # it begins with the best of the candidates
    torch.testing.assert_close(search.fitness, first)
    for _ in range(40):
        search.step()
        assert (search.fitness >= before).all()
        torch.testing.assert_close(search.fitness, search.weights[:, 0])
        before = search.fitness.clone()
    assert (search.fitness - first).mean() > 0.5


def test_a_lifetime_pays_what_actions_earn():
    """A policy that always pulls the first arm is paid for it; the state is what the policy made of it."""

    class First(SelfModifyingPolicy):
        def step(self, x_t, y_seen_t, state):
            assert x_t.shape == (300, 2) and ((y_seen_t == -1) | (y_seen_t == 0)).all()
            return torch.tensor([[1e3, 0.0]]).expand(300, 2), state._replace(weights=state.weights + 1)

    policy, generator = First((2,), n_way=2), torch.Generator().manual_seed(0)
    state = policy.initial_state(300)
    after, paid = lifetime(policy, SwappingBandit(period=10, good=1.0, bad=0.0), 20, state, generator)
    assert torch.equal(paid, torch.full((300,), 0.5))
    torch.testing.assert_close(after.weights, state.weights + 20)
