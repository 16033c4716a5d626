"""Forget gates begin open, and no other gate does: gates lie in torch's order, i, f, g, o."""

import inspect

import pytest
import torch

from metamemory.models import TaskDescription, available, build, learner_class, settings_of

HAVING = [name for name in available() if "forget_bias" in settings_of(name)]
SMALL = {"hidden": 6, "filters": 5, "channels": [4, 6, 8], "slots": 4, "rows": 4, "width": 3}


def weights(name, forget_bias):
    settings = {key: value for key, value in SMALL.items() if key in settings_of(name) and settings_of(name)[key] != 0}
    torch.manual_seed(0)
    task = TaskDescription((3, 16, 16), 2)
    return dict(build(name, task, {**settings, "forget_bias": forget_bias}).state_dict())


def test_there_are_such_learners():
    assert {"lstm", "cl_lstm", "cnn_lstm", "cpm", "ntm", "mann"} <= set(HAVING)
    assert all("forget_bias" in inspect.signature(learner_class(name)).parameters for name in HAVING)


@pytest.mark.parametrize("name", HAVING)
def test_forget_gates_alone_begin_open(name):
    closed, opened = weights(name, 0.0), weights(name, 3.0)
    changed = [key for key, value in closed.items() if not torch.equal(value, opened[key])]
    assert changed and closed.keys() == opened.keys()
    for key in changed:
        i, f, g, o = (opened[key] - closed[key]).chunk(4)
        torch.testing.assert_close(f, torch.full_like(f, 3.0))
        assert not (i.any() or g.any() or o.any()), key
