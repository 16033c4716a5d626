"""The conditional neural process for values against a plain loop, and what its answers must not depend on."""

import math

import pytest
import torch
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.models import TaskDescription, build
from metamemory.models.neural_process.cnp_regression import CNPRegression
from metamemory.nn.labels import Values
from metamemory.tasks.context_functions import ContextFunctions
from metamemory.tasks.context_target import log_density

NAN = torch.nan


def small(delay=1, size=2, **settings):
    torch.manual_seed(0)
    return CNPRegression((3,), Values(size), delay, hidden=7, **settings).double()


def points(known=5, asked=4, batch=2, size=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((known, batch, 3), (known, batch, size), (asked, batch, 3))
    return [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]


def layers(module):
    return [each for each in module.modules() if isinstance(each, torch.nn.Linear)]


def put_through(linear, vector):
    """An MLP written out."""
    for number, layer in enumerate(linear):
        vector = layer.weight @ vector + layer.bias
        if number < len(linear) - 1:
            vector = vector.clamp(min=0)
    return vector


def expected_answer(learner, x, y, place):
    """Mean and logarithm of the variance at one place, from the values of one episode that are not null."""
    r = torch.zeros(7, dtype=torch.float64)
    known = [n for n in range(len(x)) if not y[n].isnan().any()]
    for n in known:
        r = r + put_through(layers(learner.encoder), torch.cat([x[n], y[n]])) / len(known)
    first = torch.cat([learner.of_place.weight, learner.of_mean.weight], dim=1)
    hidden = (first @ torch.cat([place, r]) + learner.of_place.bias).clamp(min=0)
    mean, raw = put_through(layers(learner.decoder), hidden).chunk(2)
    return torch.cat([mean, torch.log((0.1 + 0.9 * torch.log(1 + raw.exp())) ** 2)])


@pytest.mark.parametrize("unknown", [[], [(1, 0)], [(0, 1), (3, 1), (4, 1)]])
def test_answers_and_gradients_are_those_of_loops(unknown):
    learner, (x, y, places) = small(), points()
    for n, b in unknown:
        y[n, b] = NAN
    found = learner.answer_queries(x, y, places)
    loops = [torch.stack([expected_answer(learner, x[:, b], y[:, b], at[b]) for b in range(2)]) for at in places]
    torch.testing.assert_close(found, torch.stack(loops))
    targets = points(4, size=2, seed=1)[1]
    losses = [-log_density(answers, targets).sum() for answers in (found, torch.stack(loops))]
    for one, other in zip(*(torch.autograd.grad(loss, list(learner.parameters())) for loss in losses), strict=True):
        assert one.isfinite().all()
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-10)


def test_layers_are_those_of_the_paper():
    learner = CNPRegression((1,), Values(1))
    assert len(layers(learner.encoder)) == 3 and len(layers(learner.decoder)) + 1 == 5
    encoder = (2 * 128 + 128) + 2 * (128 * 128 + 128)
    decoder = (129 * 128 + 128) + 3 * (128 * 128 + 128) + (128 * 2 + 2)
    assert sum(each.numel() for each in learner.parameters()) == encoder + decoder


def test_weights_are_drawn_as_glorot_and_bengio_do():
    """Between -a and a, a^2 = 6 / (inputs + outputs); the two parts of g's first layer are one layer."""
    torch.manual_seed(0)
    learner = CNPRegression((2,), Values(1), hidden=64)
    first = torch.cat([learner.of_place.weight, learner.of_mean.weight], dim=1)
    weights = [first, *(each.weight for each in (*layers(learner.encoder), *layers(learner.decoder)))]
    assert len(weights) == 8
    for weight in weights:
        bound = math.sqrt(6 / sum(weight.shape))
        assert 0.9 * bound < weight.abs().max() <= bound
    assert not any(bias.any() for name, bias in learner.named_parameters() if name.endswith("bias"))


@torch.no_grad()
def test_the_context_has_no_order_and_places_are_answered_one_by_one():
    learner, (x, y, places) = small(), points(6)
    answers = learner.answer_queries(x, y, places)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(learner.answer_queries(x[order], y[order], places), answers)
    torch.testing.assert_close(learner.answer_queries(x, y, places[2:3])[0], answers[2])
    torch.testing.assert_close(learner.answer_queries(x[:, 1:], y[:, 1:], places[:, 1:])[:, 0], answers[:, 1])
    assert not torch.allclose(learner.answer_queries(x, y + 1, places), answers)


@torch.no_grad()
def test_nothing_known_and_nulls_alone_are_the_same():
    learner, (x, y, places) = small(), points(3)
    nothing = learner.answer_queries(x[:0], y[:0], places)
    torch.testing.assert_close(learner.answer_queries(x, torch.full_like(y, NAN), places), nothing)
    longer = learner.answer_queries(x, torch.cat([y[:2], torch.full_like(y[:1], NAN)]), places)
    torch.testing.assert_close(longer, learner.answer_queries(x[:2], y[:2], places))


@torch.no_grad()
@pytest.mark.parametrize("delay", [1, 2])
def test_a_stream_has_a_running_mean(delay):
    learner, (x, y, _) = small(delay), points(9)
    shown = torch.cat([torch.full_like(y[:delay], NAN), y[:-delay]])
    answers, state = learner.run(x, shown, learner.initial_state(2))
    stepped = learner.initial_state(2)
    for t in range(9):
        known = max(t + 1 - delay, 0)
        torch.testing.assert_close(answers[t], learner.answer_queries(x[:known], y[:known], x[t : t + 1])[0])
        answer, stepped = learner.step(x[t], shown[t], stepped)
        torch.testing.assert_close(answer, answers[t])
    for one, other in zip(state, stepped, strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(learner.predict(x[:2], state)[1], learner.step(x[1], shown[0], state)[0])


def test_the_deviation_is_never_below_the_least():
    learner, (x, y, places) = small(least_deviation=0.3), points()
    with torch.no_grad():
        layers(learner.decoder)[-1].bias -= 100
    log_variance = learner.answer_queries(x, y, places)[..., 2:]
    torch.testing.assert_close(log_variance, torch.full_like(log_variance, 2 * math.log(0.3)))


def test_it_learns_functions():
    """Better than what is known of a function of which nothing is known: mean 0, variance 1 + noise^2."""
    task = ContextFunctions(20, [0.8], 2.0, 0.1, torch.device("cpu"))
    torch.manual_seed(0)
    learner = CNPRegression((1,), Values(1), hidden=32)
    optimiser, generator = torch.optim.Adam(learner.parameters(), 3e-3), torch.Generator().manual_seed(0)
    for _ in range(300):
        optimiser.zero_grad()
        task.score(learner, task.sample(32, generator)).loss.backward()
        optimiser.step()
    score = task.score(learner, task.sample(200, generator))
    assert -score.loss / 20 > -1.25 and score.accuracy > 0.4  # -1.42 and 0 where nothing is learned


def test_it_writes_no_names_of_classes():
    with pytest.raises(UserError, match="cnp_regression: cannot answer with 3 classes; its labels must be Values"):
        build("cnp_regression", TaskDescription((2,), 3), {})


def test_a_density_by_hand():
    answers, y = torch.tensor([[[1.0, -2.0, math.log(4.0), math.log(0.25)]]]), torch.tensor([[[3.0, -2.5]]])
    first = -0.5 * math.log(2 * math.pi * 4) - (3 - 1) ** 2 / (2 * 4)
    second = -0.5 * math.log(2 * math.pi * 0.25) - 0.5**2 / (2 * 0.25)
    assert log_density(answers, y).item() == pytest.approx(first + second)
    normal = torch.distributions.Normal(torch.tensor([1.0, -2.0]), torch.tensor([2.0, 0.5]))
    assert log_density(answers, y).item() == pytest.approx(normal.log_prob(y).sum().item())
    assert fn.gaussian_nll_loss(answers[..., :2], y, answers[..., 2:].exp(), full=True, reduction="sum").item() == (
        pytest.approx(-(first + second))
    )


def test_refuses_images():
    with pytest.raises(UserError, match=r"cnp_regression: the shape of an input is \(1, 8, 8\)"):
        CNPRegression((1, 8, 8), Values(1))
