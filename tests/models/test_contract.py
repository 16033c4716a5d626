"""The contract of learners: defaults in terms of each other, declarations, the registry, and queries after a support
set."""

import pytest
import torch
from torch import nn

from metamemory import models
from metamemory.errors import UserError
from metamemory.models import TaskDescription, available, build, families, learner_class
from metamemory.models.learner import Learner
from metamemory.nn.labels import Characters, Classes, Masks, Values, labels_of
from metamemory.study.methods import method

SHAPE = (1, 8, 8)
WITH_THEIR_SAMPLES = ("snail", "transformer")  # labels of a support set, as in their papers
ONLINE = {
    "lstm": {"hidden": 12},
    "cl_lstm": {"filters": 4, "hidden": 12, "pool_after": [1, 2]},
    "mann": {"hidden": 12, "slots": 8, "width": 4, "heads": 2},
    "ntm": {"hidden": 12, "rows": 8, "width": 4},
    "snail": {"length": 8, "attention": [[8, 4]] * 3, "tc_filters": 4, "features": 8, "filters": 4},
    "transformer": {"layers": 1, "width": 8, "heads": 2, "filters": 4},
    "opn": {"filters": 4},
    "cpm": {"filters": 4, "features": 8, "hidden": 8},
    "apl": {"filters": 4, "features": 8, "neighbours": 2, "label_features": 4, "layers": 1, "size": 8},
    "oml": {"filters": 4, "hidden": 8, "pools": 2},
    "feedforward": {"hidden": 12},
    "counting": {},
    "nearest_neighbour": {},
    "autoencoder_neighbour": {"hidden": 8, "features": 4},
}


class Summing(nn.Module):
    """What is the same of the two below: the sum of all that was shown."""

    title, paper = "Sum", "nobody"

    def __init__(self, n_way):
        super().__init__()
        self.labels = labels_of(n_way)

    def initial_state(self, batch):
        return torch.zeros(batch, self.labels.inputs)


class ByStep(Summing, Learner):
    def step(self, x_t, y_seen_t, state):
        state = state + self.labels(y_seen_t)
        return state + x_t, state


class ByRun(Summing, Learner):
    def run(self, x, y_seen, state):
        states = state + self.labels(y_seen).cumsum(dim=0)
        return states + x, states[-1]


@pytest.mark.parametrize("labels", [Classes(3), Characters(2, 4), Values(3)])
def test_run_and_step_are_defaults_of_each_other(labels):
    one, two = ByStep(labels), ByRun(labels)
    y = labels.null(6, 2)
    y[1:] = torch.rand(5, 2, 3) if isinstance(labels, Values) else torch.randint(-1, 3, y[1:].shape)
    x = torch.rand(6, 2, 1)
    for each, other in zip(one.run(x, y, one.initial_state(2)), two.run(x, y, two.initial_state(2)), strict=True):
        torch.testing.assert_close(each, other)
    torch.testing.assert_close(one(x, y), two(x, y))
    state = torch.ones(2, labels.inputs)
    torch.testing.assert_close(one.step(x[0], y[0], state), two.step(x[0], y[0], state))
    torch.testing.assert_close(one.absorb(x, y, one.initial_state(2)), two.absorb(x, y, two.initial_state(2)))


def test_a_learner_without_run_and_step_is_refused_when_its_class_is_made():
    with pytest.raises(UserError, match="Neither must define run or step"):
        type("Neither", (Learner,), {"forward": lambda self, x, y_seen: x})
    with pytest.raises(UserError, match="Stateless must define initial_state"):
        type("Stateless", (Learner,), {"step": lambda self, x_t, y_seen_t, state: (x_t, state)})
    assert type("Shared", (Learner,), {}, abstract=True).abstract


@pytest.mark.parametrize(
    ("labels", "shape", "dtype"),
    [
        (Classes(5), (4, 2), torch.int64),
        (Characters(5, 3), (4, 2, 5), torch.int64),
        (Values(3), (4, 2, 3), torch.float32),
        (Masks(6, 8), (4, 2, 6, 8), torch.float32),
    ],
)
def test_one_null_label_of_every_kind(labels, shape, dtype):
    null = labels.null(4, 2)
    assert null.shape == shape and null.dtype == dtype
    assert null.isnan().all() if isinstance(labels, Values) else (null == -1).all()
    if not isinstance(labels, Masks):
        assert not labels(null).any() and labels(null).shape == (4, 2, labels.inputs)


@torch.no_grad()
@pytest.mark.parametrize("labels", [Classes(3), Characters(2, 4), Values(2)])
@pytest.mark.parametrize("name", ["lstm", "feedforward", "mann", "ntm"])
def test_predictions_show_no_label_whatever_its_kind(name, labels):
    """A step with the null label, written out: for strings and values as well."""
    torch.manual_seed(0)
    learner = build(name, TaskDescription((5,), labels), ONLINE[name]).eval()
    x, null = torch.rand(4, 2, 5), {Classes: [-1, -1], Characters: [[-1, -1]] * 2, Values: [[torch.nan] * 2] * 2}
    _, state = learner.run(x, labels.null(4, 2), learner.initial_state(2))
    expected = learner.step(x[1], torch.tensor(null[type(labels)]), state)[0]
    torch.testing.assert_close(learner.predict(x, state)[1], expected)


@torch.no_grad()
@pytest.mark.parametrize("delay", [1, 2, 3])
@pytest.mark.parametrize("name", ONLINE)
def test_queries_after_a_support_set_are_next_steps_of_its_stream(name, delay):
    """One query after the other, one step after the other: labels come `delay` steps late, the last with the query; or
    with their samples, and none with the query."""
    torch.manual_seed(0)
    learner = build(name, TaskDescription(SHAPE, 3, delay), ONLINE[name]).eval()
    delay = delay if learner.needs_delay else 0 if name in WITH_THEIR_SAMPLES else 1
    x, y, queries = torch.rand(6, 2, *SHAPE), torch.randint(3, (6, 2)), torch.rand(4, 2, *SHAPE)
    answers = learner.answer_queries(x, y, queries)
    state, null = learner.initial_state(2), torch.tensor([-1, -1])
    for t in range(6 + max(delay - 1, 0)):
        x_t, y_t = x[t] if t < 6 else torch.zeros_like(x[0]), y[t - delay] if t >= delay else null
        _, state = learner.step(x_t, y_t, state)
    last = y[-1] if delay else null
    for answer, query in zip(answers, queries, strict=True):
        torch.testing.assert_close(answer, learner.step(query, last, state)[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(learner.answer_queries(x, y, queries[2:3])[0], answers[2], rtol=1e-4, atol=1e-5)
    changed = torch.where(y == 0, 1, 0)
    if name != "feedforward" or not torch.equal(changed[-1], y[-1]):
        assert not torch.equal(learner.answer_queries(x, changed, queries), answers)


@pytest.mark.parametrize("name", [name for name in ONLINE if learner_class(name).trained_by == "gradient"])
def test_queries_after_a_support_set_can_be_trained_on(name):
    """Gradients reach every part that has one in the stream."""
    torch.manual_seed(0)
    learner = build(name, TaskDescription(SHAPE, 3), ONLINE[name])
    x, y, queries = torch.rand(6, 2, *SHAPE), torch.randint(3, (6, 2)), torch.rand(4, 2, *SHAPE)
    answers = learner.answer_queries(x, y, queries)
    assert answers.shape == (4, 2, 3)
    answers.logsumexp(dim=-1).sum().backward()
    reached = [each for each in learner.parameters() if each.grad is not None and each.grad.abs().sum() > 0]
    assert len(reached) > 0.7 * len(list(learner.parameters()))


def test_every_learner_declares_what_it_is():
    found = [learner_class(name) for name in available()]
    assert len({cls.title for cls in found}) == len(found)
    for cls in found:
        assert cls.name in families()[cls.family] and cls.paper and not cls.abstract
        assert cls.answers in ("label", "mask", "image", "value", "rule", "action")
        assert cls.trained_by in ("gradient", "reconstruction", "nothing")
        assert cls.needs_delay == ("delay" in models.inspect.signature(cls).parameters)
        assert cls.adapts <= (cls.answer_queries is not Learner.answer_queries)
        assert set(cls.told) <= set(models.settings_of(cls.name))
        first, second = list(models.inspect.signature(cls).parameters.values())[:2]
        assert (first.name, second.name) == ("input_shape", "n_way")
    assert "online_sgd" not in available() and "image_network" not in available()


@pytest.mark.parametrize("name", ["snail", "transformer", "opn", "cl_lstm", "cnn_lstm", "apl", "vgg", "oml"])
def test_labels_that_a_learner_does_not_know_are_refused(name):
    with pytest.raises(
        UserError, match=f"{name}: cannot answer with strings of 5 characters; its labels must be Class"
    ):
        build(name, TaskDescription((1, 16, 16), Characters(5, 5)), {})


def test_masks_and_values_are_refused_where_they_mean_nothing():
    with pytest.raises(UserError, match="lstm: cannot answer with masks of 8x8 pixels"):
        build("lstm", TaskDescription(SHAPE, Masks(8, 8)), {})
    with pytest.raises(UserError, match="cl_unet: labels are 1 real numbers and must be 2"):
        build("cl_unet", TaskDescription((3, 8, 8), Values(1)), {})
    with pytest.raises(UserError, match="gaussian_process: cannot answer with 3 classes; its labels must be Values"):
        build("gaussian_process", TaskDescription((2,), 3), {})
    assert build("cl_unet", TaskDescription((3, 8, 8), Masks(8, 8)), {"filters": 2}).labels == Masks(8, 8)


def test_a_base_class_is_no_learner():
    with pytest.raises(UserError, match="no learner 'online_sgd'"):
        learner_class("online_sgd")
    with pytest.raises(UserError, match="delay is -1, and must be a whole number from 0"):
        TaskDescription(SHAPE, 5, -1)


@pytest.mark.parametrize("name", ["lstm", "mann", "mann_feedforward", "ntm", "feedforward"])
@pytest.mark.parametrize("labels", [3, Characters(5, 5)])
def test_label_gain_multiplies_the_weights_that_read_the_label_and_no_other(name, labels):
    """The weights of 64 pixels stay, those of the label, behind them, are three times as large."""
    drawn = []
    for gain in (1.0, 3.0):
        torch.manual_seed(0)
        drawn.append(method(name).build(TaskDescription(SHAPE, labels), {"label_gain": gain}))
    changed = [
        (one, other) for one, other in zip(*(each.parameters() for each in drawn), strict=True) if not one.equal(other)
    ]
    assert len(changed) == 1
    ((one, other),) = changed
    assert one.shape[1] == 64 + labels_of(labels).inputs
    assert torch.equal(one[:, :64], other[:, :64]) and torch.equal(3 * one[:, 64:], other[:, 64:])
