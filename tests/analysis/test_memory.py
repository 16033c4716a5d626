"""The trace of a memory, found from states, is what the kernel wrote and read; who a slot belongs to, by loops."""

import numpy as np
import pytest
import torch

from metamemory.analysis import memory as memory_trace
from metamemory.kernels import least_recently_used
from metamemory.models.memory.mann import MANN
from metamemory.models.recurrent.lstm import LSTM
from metamemory.tasks.binding import Binding

AS_PUBLIC_CODE = {"written": "value", "own_slots": True, "initial_memory": 1e-6, "decay": 0.95}


@pytest.fixture(
    params=[{}, {"controller": "feedforward"}, AS_PUBLIC_CODE], ids=["lstm", "feedforward", "as public code has it"]
)
def learner(request):
    torch.manual_seed(0)
    return MANN((1, 8, 8), 3, hidden=9, slots=7, width=5, heads=2, **request.param).eval()


@pytest.fixture
def episode(images):
    return Binding(images, 3, 12, size=8).sample(2, torch.Generator().manual_seed(0))


def test_the_trace_is_what_the_access_did(learner, episode, monkeypatch):
    kept = []
    forward = least_recently_used.forward

    def noted(keys, gates, before, decay, strength, after, found, *rest):
        forward(keys, gates, before, decay, strength, after, found, *rest)
        kept.append((found.writing.sum(1), after.reading.sum(1), after.usage.clone(), found.least.clone()))

    monkeypatch.setattr(least_recently_used, "forward", noted)
    found = memory_trace.trace(learner, episode)
    for t, (writing, reading, usage, least) in enumerate(kept):
        torch.testing.assert_close(found.writing[t], writing, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.reading[t], reading)
        torch.testing.assert_close(found.usage[t], usage)
        for b in range(2):
            assert set(found.least[t, b].nonzero().flatten().tolist()) == set(least[b].tolist())
    assert len(kept) == 12


def test_what_is_read_of_a_step_by_loops(learner, episode):
    found = memory_trace.trace(learner, episode)
    share = memory_trace.read_of_step(found)
    for b in range(2):
        owner = [None] * 7
        for t in range(12):
            for slot in range(7):
                if found.least[t, b, slot]:
                    owner[slot] = t
            reading = found.reading[t, b].double().numpy()
            for s in range(12):
                own = [slot for slot in range(7) if owner[slot] == s]
                if own and s <= t:
                    expected = reading[own].sum() / reading.sum() / (len(own) / 7)
                    assert share[t, s, b].item() == pytest.approx(expected, rel=1e-6)
                else:
                    assert share[t, s, b].isnan()


def test_plain_values(learner, images):
    task = Binding(images, 3, 12, size=8)
    found = memory_trace.of_episode(learner, task.sample(1, torch.Generator().manual_seed(0)))
    assert found["memory"]["shape"] == [12, 7] and len(found["read_of_step"]) == 12
    kinds = memory_trace.retrieval(learner, task, seed=0)["retrieval"]
    assert set(kinds) == {"its label", "its drawing", "both", "other"}
    assert all(np.isfinite(each) for each in kinds.values())


def test_only_a_memory_of_this_kind_can_be_looked_into(learner):
    assert learner.traces_memory and not LSTM((1, 8, 8), 3).traces_memory


def test_kinds_of_steps_by_loops(learner, images):
    task = Binding(images, 3, 12, size=8)
    found = memory_trace.retrieval(learner, task, seed=0)["retrieval"]
    episode = task.sample(memory_trace.EPISODES, torch.Generator().manual_seed(0))
    share, y = memory_trace.read_of_step(memory_trace.trace(learner, episode)), episode.y
    kinds = {name: [] for name in found}
    for b in range(memory_trace.EPISODES):
        for t in range(12):
            for s in range(t if y[t, b] in y[:t, b] else 0):
                drawing, label = y[s, b] == y[t, b], s > 0 and y[s - 1, b] == y[t, b]
                name = "both" if drawing and label else "its drawing" if drawing else "its label" if label else "other"
                if share[t, s, b].isfinite():
                    kinds[name].append(share[t, s, b].item())
    assert found == pytest.approx({name: np.mean(each) for name, each in kinds.items()}, abs=1e-4)
