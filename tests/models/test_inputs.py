"""What a learner cannot be given is refused in one line; and what it can, in inference mode as well."""

import pickle

import pytest
import torch

from metamemory.errors import UserError
from metamemory.models import CLLSTM, available, build, learner_class
from metamemory.models.learner import Learner, TaskDescription
from metamemory.nn.labels import Masks, Values, labels_of

TIME, BATCH = 4, 2
SHAPES = {"mask": (3, 16, 16), "value": (2,), "action": (4,)}
LABELS = {"mask": Masks(16, 16), "value": Values(1)}


def learner_and_inputs(name: str) -> tuple[Learner, torch.Tensor, torch.Tensor]:
    answers = learner_class(name).answers
    shape, labels = SHAPES.get(answers, (1, 16, 16)), labels_of(LABELS.get(answers, 3))
    torch.manual_seed(0)
    learner = build(name, TaskDescription(shape, labels), {}).eval()
    y = labels.null(TIME, BATCH)
    y[1:] = torch.rand_like(y[1:]).round() if y.is_floating_point() else torch.randint(0, 3, y[1:].shape)
    return learner, torch.rand(TIME, BATCH, *shape), y


@pytest.fixture(scope="module", params=available())
def one(request):
    return learner_and_inputs(request.param)


FAULTS = {
    "no time axis": lambda x, y: (x[0], y[0]),
    "no batch axis": lambda x, y: (x[:, 0], y[:, 0]),
    "one axis more": lambda x, y: (x[None], y[None]),
    "images as they are stored": lambda x, y: ((255 * x).byte(), y),
    "whole numbers": lambda x, y: (x.long(), y),
    "another size": lambda x, y: (torch.cat([x, x], dim=-1), y),
    "an array": lambda x, y: (x.numpy(), y),
    "labels of another batch": lambda x, y: (x, torch.cat([y, y], dim=1)),
    "labels of one episode": lambda x, y: (x, y[:, :1]),
    "labels of another time": lambda x, y: (x, y[1:]),
    "labels of another type": lambda x, y: (x, y.long() if y.is_floating_point() else y.float()),
    "labels of 32 bits": lambda x, y: (x, y.int()),
    "labels with an axis more": lambda x, y: (x, y[..., None]),
    "no labels": lambda x, y: (x, None),
    "a list of labels": lambda x, y: (x, y.tolist()),
}
OF_CLASSES = {
    "a label too many": lambda x, y: (x, y.clamp(max=2) + 1),
    "a label below null": lambda x, y: (x, y - 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_inputs_of_another_type_or_shape_are_refused(one, fault):
    learner, x, y = one
    with pytest.raises(UserError, match=f"^{learner.name}: (x|y_seen) ") as error:
        learner(*FAULTS[fault](x, y))
    assert "\n" not in str(error.value) and "must be" in str(error.value)


@pytest.mark.parametrize("fault", OF_CLASSES)
def test_labels_that_the_learner_does_not_have_are_refused(one, fault):
    learner, x, y = one
    if y.is_floating_point():
        return  # masks and values have none
    y = torch.full_like(y, 2) if fault == "a label too many" else torch.full_like(y, -1)
    with pytest.raises(UserError, match=f"{learner.name}: y_seen has labels from .*there are 0 to 2, and -1 for null"):
        learner(*OF_CLASSES[fault](x, y))


def test_every_way_to_ask_refuses(one):
    learner, x, y = one
    state = learner.initial_state(BATCH)
    wrong = {
        "x_t": lambda: learner.step(x, y, state),
        "y_seen_t": lambda: learner.step(x[0], y[0, :1], state),
        "query_x": lambda: learner.predict(x[0], state),
        "y_seen": lambda: learner.predict(x, state, y),
        "x": lambda: learner.run(x[0], y[0], state),
        "support_x": lambda: learner.answer_queries(x[0], y[0], x),
        "support_y": lambda: learner.answer_queries(x, y[:, :1], x),
    }
    for name, ask in wrong.items():
        with pytest.raises(UserError, match=f"^{learner.name}: {name} is "):
            ask()
    with pytest.raises(UserError, match="x is .* must be"):
        learner.absorb(x[0], y[0], state)
    with pytest.raises(UserError, match="query_x is .* batch and device must agree"):
        learner.answer_queries(x, y, x[:, :1])
    if list(learner.parameters()):
        with pytest.raises(UserError, match=f"^{learner.name}: query_x is float64 on cpu and must be float32"):
            learner.answer_queries(x, y, x.double())


def test_nothing_to_learn_from_and_nothing_to_answer_are_refused(one):
    """A learner of functions has an answer for those of which nothing is known."""
    learner, x, y = one
    if learner.answers != "label":
        return
    with pytest.raises(UserError, match=r"support_x is a tensor \[0, .* and must have a sample at least"):
        learner.answer_queries(x[:0], y[:0], x)
    with pytest.raises(UserError, match=r"query_x is a tensor \[0, .* and must have a sample at least"):
        learner.answer_queries(x, y, x[:0])


def test_after_a_refusal_and_a_copy_inputs_are_still_looked_at():
    learner, x, y = learner_and_inputs("cl_lstm")
    copy = pickle.loads(pickle.dumps(learner))
    for each in (learner, copy, copy):
        with pytest.raises(UserError, match="x is"):
            each(x[0], y)
        assert each(x, y).shape == (TIME, BATCH, 3)
    assert CLLSTM(n_way=3, input_shape=(1, 16, 16)).input_shape == (1, 16, 16)


def test_another_precision_is_no_fault():
    learner, x, y = learner_and_inputs("snail")
    assert learner.double()(x.double(), y).dtype == torch.float64


def test_in_inference_mode_answers_are_the_same(one):
    """Learners that adapt by gradient descent take its steps outside of it."""
    learner, x, y = one
    told = y.clone()
    told[0] = y[1]
    with torch.no_grad():
        streamed, asked = learner(x, y), learner.answer_queries(x, told, x)
    with torch.inference_mode():
        own_x, own_y, own_told = x + 0, y + 0, told + 0  # tensors of which nothing can be derived
        assert learner(own_x, own_y).equal(streamed)
        assert learner.answer_queries(own_x, own_told, own_x).equal(asked)
        state = learner.initial_state(BATCH)
        for x_t, y_t, answer in zip(own_x, own_y, streamed, strict=True):
            answered, state = learner.step(x_t, y_t, state)
            torch.testing.assert_close(answered, answer, atol=1e-5, rtol=1e-4)
        learner.predict(own_x, state)
    with torch.no_grad():  # what was made in it serves outside as well
        assert learner(own_x, own_y).equal(streamed)


@pytest.mark.parametrize("name", ["oml", "anml", "unet", "cnn_lstm", "fine_tuning"])
def test_a_learner_made_in_inference_mode_answers_in_it(name):
    with torch.inference_mode():
        learner, x, y = learner_and_inputs(name)
        made_there = learner(x, y), learner.answer_queries(x, y.clamp(min=0), x)
    learner, x, y = learner_and_inputs(name)
    with torch.no_grad():
        assert learner(x, y).equal(made_there[0])
        assert learner.answer_queries(x, y.clamp(min=0), x).equal(made_there[1])


@pytest.mark.parametrize("name", ["oml", "anml", "cnn_lstm", "fine_tuning", "unet"])
def test_gradients_of_training_reach_the_start_with_inputs_made_in_inference_mode(name):
    learner, x, y = learner_and_inputs(name)
    with torch.inference_mode():
        own = x + 0
    found = []
    for inputs in (x, own.clone()):
        learner.zero_grad()
        learner.answer_queries(inputs, y.clamp(min=0), inputs).square().sum().backward()
        found.append([each.grad.clone() for each in learner.parameters() if each.grad is not None])
    assert found[0] and all(a.equal(b) for a, b in zip(*found, strict=True))
