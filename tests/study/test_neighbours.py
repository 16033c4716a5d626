"""A run of several threads beside other processes: when its threads sleep, that they do, and that bits stay."""

import ctypes
import resource
import threading
import time

import pytest
import torch
from torch.nn import functional as fn

from metamemory.study import neighbours
from metamemory.study.neighbours import CROWDED, FIRST_REST, LONGEST_REST, Decision, SleepingTeam, sharing_processors

watched = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "GOMP_parallel") or neighbours.waited() is None,
    reason="neither GNU's OpenMP, nor a system that tells how long threads wait",
)


def test_threads_sleep_while_it_is_crowded_and_some_time_after():
    decide = Decision()
    assert not decide(0.0, 100) and not decide(CROWDED, 101)
    assert decide(CROWDED + 0.1, 102)
    assert decide(0.0, 102 + 0.9 * FIRST_REST), "too soon to spin again"
    assert decide(0.9, 110), "still crowded"
    assert not decide(0.0, 110.25)


def test_spinning_is_tried_ever_less_often_while_it_is_crowded_at_once():
    decide, now, rests = Decision(), 100.0, []
    for _ in range(9):
        now += 0.25
        assert decide(1.0, now)
        began = now
        while decide(0.0, now):
            now += 0.25
        rests.append(now - began)
    assert rests[:4] == [FIRST_REST, 2 * FIRST_REST, 4 * FIRST_REST, 8 * FIRST_REST]
    assert rests[-1] == rests[-2] == LONGEST_REST
    now += 60
    assert decide(1.0, now) and not decide(0.0, now + FIRST_REST), "a new neighbour: the first rest again"


def voluntary_switches(seconds: float = 0.5) -> int:
    """How often threads of this process go to sleep, while two of them work."""
    values = torch.rand(200_000)
    before, end = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw, time.monotonic() + seconds
    while time.monotonic() < end:
        values.exp_().clamp_(0, 1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before


@watched
def test_with_a_sleeping_team_threads_sleep_instead_of_spinning():
    torch.set_num_threads(2)
    voluntary_switches(0.1)
    spinning = voluntary_switches()
    team = SleepingTeam()
    time.sleep(0.1)
    sleeping = voluntary_switches()
    team.dismiss()
    again = voluntary_switches()
    assert sleeping > 10 * (spinning + 5), (spinning, sleeping)
    assert sleeping > 10 * (again + 5), (sleeping, again)
    assert not team.thread.is_alive()


@watched
def test_the_same_bits_with_a_sleeping_team():
    torch.set_num_threads(2)
    x, weight = torch.rand(32, 8, 14, 14), torch.rand(16, 8, 3, 3, requires_grad=True)

    def gradient():
        return torch.autograd.grad(fn.conv2d(x, weight, padding=1).tanh().square().sum(), weight)[0]

    alone = gradient()
    team = SleepingTeam()
    beside = gradient()
    team.dismiss()
    assert torch.equal(alone, beside)


@watched
def test_the_watch_follows_how_long_threads_wait(monkeypatch):
    """With a clock of waiting that a test sets: seconds waited since the start, at a share of the time."""
    kept = []

    class Team:
        def __init__(self):
            kept.append("asleep")

        def dismiss(self):
            kept.append("dismissed")

    share, began = [1.0], time.monotonic()
    monkeypatch.setattr(neighbours, "SleepingTeam", Team)
    monkeypatch.setattr(neighbours, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(neighbours, "FIRST_REST", 0.05)
    monkeypatch.setattr(neighbours, "waited", lambda: 1000 + share[0] * (time.monotonic() - began))
    torch.set_num_threads(2)

    def recorded(*events):
        deadline = time.monotonic() + 10
        while len(kept) < len(events) and time.monotonic() < deadline:
            time.sleep(0.01)
        return kept == list(events)

    with sharing_processors():
        assert recorded("asleep")
        share[0], began = 0.0, time.monotonic()
        assert recorded("asleep", "dismissed")
    share[0] = 1.0
    with sharing_processors():
        assert recorded("asleep", "dismissed", "asleep")
    assert kept[3:] == ["dismissed"], "the team does not outlive the run"


@pytest.mark.parametrize("told", [None, "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
def test_no_watch_for_one_thread_or_where_the_environment_says_how_to_wait(told, monkeypatch):
    if told:
        torch.set_num_threads(2)
        monkeypatch.setenv(told, "passive" if told == "OMP_WAIT_POLICY" else "1000")
    before = threading.active_count()
    with sharing_processors():
        assert threading.active_count() == before
