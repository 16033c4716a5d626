"""Training goes on where it stopped, ends at nonsense, and climbs its curriculum."""

import dataclasses
import math
import random
import signal

import numpy as np
import pytest
import torch
import torch.nn.functional as fn

from metamemory.errors import UserError
from metamemory.models.recurrent.cl_lstm import CLLSTM
from metamemory.models.recurrent.lstm import LSTM
from metamemory.tasks.online_few_shot import OnlineFewShot
from metamemory.training import loop
from metamemory.training.checkpoint import Checkpoint, seed_generators
from metamemory.training.interruption import SIGNALS, Interrupted, interruptible
from metamemory.training.loop import Stage, train
from metamemory.training.rollout import accuracies, rollout
from metamemory.training.update import OPTIMISERS, Training, settings_of

SETTINGS = Training(episodes=96, batch_size=4, warmup=16, validations=6, validation_episodes=10)


def curriculum(images, episodes=None):
    return [Stage(OnlineFewShot(images, 2, 3), episodes), Stage(OnlineFewShot(images, 3, 4))]


def validation(images):
    def validate(learner):
        task = OnlineFewShot(images, 3, 4)
        by_shot = accuracies(rollout(learner, task, 10, 50, seed=1), task.right, 4).nanmean(dim=0).tolist()
        return sum(by_shot[1:]) / 3, {f"accuracy_{shot}_shot": value for shot, value in enumerate(by_shot)}

    return validate


def fresh(cls=CLLSTM):
    torch.manual_seed(0)
    sizes = {"filters": 3, "hidden": 8, "pool_after": (1, 2)} if cls is CLLSTM else {"hidden": 8}
    return cls((1, 8, 8), 3, **sizes)


def run(images, checkpoint, minutes=math.inf, settings=SETTINGS, learner=None, stages=None):
    learner, stages = learner or fresh(), stages or curriculum(images)
    return learner, train(learner, stages, validation(images), settings, 0, checkpoint, minutes)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_stopping_and_going_on_changes_no_bit(images, tmp_path, optimiser):
    settings = dataclasses.replace(SETTINGS, optimiser=optimiser, weight_decay=1e-4)
    whole, at_end = run(images, tmp_path / "whole.pt", settings=settings)
    slices = 0
    while True:  # a slice of no minutes ends at the first checkpoint: one update
        pieces, at = run(images, tmp_path / "pieces.pt", minutes=0.0, settings=settings)
        slices += 1
        if at is not None:
            break
        torch.manual_seed(slices)  # nothing may hang on the global generator
    assert slices == SETTINGS.episodes // SETTINGS.batch_size
    for key, value in whole.state_dict().items():
        assert torch.equal(value, pieces.state_dict()[key]), key

    def timeless(history):
        return [{key: value for key, value in row.items() if key != "seconds"} for row in history]

    assert timeless(at.history) == timeless(at_end.history)
    assert (at.episodes, at.steps, at.stage) == (at_end.episodes, at_end.steps, at_end.stage)


def test_the_best_validation_is_kept(images, tmp_path):
    learner, at = run(images, tmp_path / "c.pt")
    assert len(at.history) == SETTINGS.validations
    assert validation(images)(learner)[0] == pytest.approx(at.best)
    row_means = [sum(row[f"accuracy_{shot}_shot"] for shot in (1, 2, 3)) / 3 for row in at.history]
    assert at.best == pytest.approx(max(row_means), abs=1e-4)


def test_a_loss_that_is_not_finite_ends_training_in_one_line(images, tmp_path):
    learner = fresh(LSTM)
    with torch.no_grad():
        learner.classifier.weight.fill_(torch.nan)
    with pytest.raises(UserError, match=r"the loss is nan near episode 16; lower training.learning_rate \(0.001\)"):
        run(images, tmp_path / "c.pt", learner=learner)
    assert not (tmp_path / "c.pt").exists()


@pytest.mark.parametrize("updates", [1, 2, 3, 8, 19, 21])
def test_a_loss_that_is_not_finite_is_found_however_short_the_training(images, tmp_path, updates):
    """Also in the last update, whose weights meet no loss any more, and before a validation says anything of it."""
    settings = dataclasses.replace(SETTINGS, episodes=4 * updates, learning_rate=math.nan, validations=1)
    with pytest.raises(UserError, match=r"training: (the loss is nan|weights are not finite) near episode \d+; lower"):
        run(images, tmp_path / "c.pt", settings=settings)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("score", [math.nan, -math.inf, math.inf])
def test_a_validation_that_is_no_number_ends_training(images, tmp_path, score):
    validate = lambda learner: (score, {"accuracy": 0.5, "loss": score})  # noqa: E731
    with pytest.raises(UserError, match=f"the validation at episode 16 gives {score}; loss cannot be worked out"):
        train(fresh(LSTM), curriculum(images), validate, SETTINGS, 0, tmp_path / "c.pt")


class Dropping(LSTM):
    """Draws from all three of the generators that are not passed in."""

    def forward(self, x, y_seen):
        scale = 1 + 0.1 * random.random() + 0.1 * np.random.rand() if self.training else 1.0
        return scale * fn.dropout(super().forward(x, y_seen), 0.2, self.training)


def test_global_generators_go_on_where_they_were(images, tmp_path):
    def drawn():
        seed_generators(0)
        return Dropping((1, 8, 8), 3, hidden=8)

    settings = dataclasses.replace(SETTINGS, episodes=32, validations=2)
    whole, _ = run(images, tmp_path / "whole.pt", settings=settings, learner=drawn())
    at = None
    while at is None:
        pieces, at = run(images, tmp_path / "pieces.pt", minutes=0.0, settings=settings, learner=drawn())
    assert all(torch.equal(value, pieces.state_dict()[key]) for key, value in whole.state_dict().items())


def test_the_end_of_a_training_is_kept_until_its_test_is_recorded(images, tmp_path, monkeypatch):
    whole, first = run(images, tmp_path / "c.pt")
    monkeypatch.setattr(loop, "update", lambda *_: pytest.fail("it is trained again"))
    again, second = run(images, tmp_path / "c.pt")
    assert first.history == second.history and first.seconds == second.seconds
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in whole.state_dict().items())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_a_checkpoint_to_go_on_from(images, tmp_path, monkeypatch, number):
    whole, _ = run(images, tmp_path / "whole.pt")
    updates, update = [], loop.update

    def interrupted(*arguments):
        updates.append(1)
        if len(updates) == 10:
            signal.raise_signal(number)
        return update(*arguments)

    handlers = [signal.getsignal(each) for each in SIGNALS]
    with monkeypatch.context() as patch, interruptible():
        patch.setattr(loop, "update", interrupted)
        with pytest.raises(Interrupted) as caught:
            run(images, tmp_path / "c.pt")
    assert caught.value.number == number and len(updates) == 10
    assert handlers == [signal.getsignal(each) for each in SIGNALS]
    updates.clear()
    monkeypatch.setattr(loop, "update", lambda *arguments: (updates.append(1), update(*arguments))[1])
    pieces, _ = run(images, tmp_path / "c.pt")
    assert len(updates) == SETTINGS.episodes // SETTINGS.batch_size - 10
    assert all(torch.equal(value, pieces.state_dict()[key]) for key, value in whole.state_dict().items())


def test_a_checkpoint_of_another_training_changes_nothing(images, tmp_path, capsys):
    """One whose weights have other shapes: some of them are copied before that is found."""
    whole, _ = run(images, tmp_path / "whole.pt")
    run(images, tmp_path / "c.pt", minutes=0.0)
    state = torch.load(tmp_path / "c.pt", weights_only=True)
    name = list(state["learner"])[-1]
    state["learner"][name] = torch.zeros(1, 2, 3)
    Checkpoint(tmp_path / "c.pt").write(state)
    (tmp_path / "c.pt.before").unlink()
    pieces, _ = run(images, tmp_path / "c.pt")
    assert "c.pt is damaged (Error(s) in loading" in capsys.readouterr().err
    assert all(torch.equal(value, pieces.state_dict()[key]) for key, value in whole.state_dict().items())


def test_a_stage_ends_when_it_is_mastered(images, tmp_path, monkeypatch):
    """An easy first stage (one class of two is named by its only label) gives way; the count of steps says when."""
    monkeypatch.setattr(loop, "LOOK_EVERY", 1)
    settings = dataclasses.replace(SETTINGS, episodes=240, advance_at=-1.0)  # anything passes
    _, at = run(images, tmp_path / "c.pt", settings=settings)
    assert at.stage == 1
    in_first = 50  # updates a stage lasts at least
    assert at.steps == 4 * (in_first * 6 + (60 - in_first) * 12)
    strict = dataclasses.replace(settings, advance_at=1.0)  # nothing does
    assert run(images, tmp_path / "d.pt", settings=strict)[1].stage == 0


def test_a_stage_of_so_many_episodes_ends_after_them(images, tmp_path):
    strict = dataclasses.replace(SETTINGS, advance_at=1.0)
    _, at = run(images, tmp_path / "c.pt", settings=strict, stages=curriculum(images, episodes=40))
    assert at.stage == 1 and at.steps == 40 * 6 + (SETTINGS.episodes - 40) * 12
    assert [row["stage"] for row in at.history] == [1, 1, 2, 2, 2, 2]


def test_the_learning_rate_rises_and_falls():
    settings = Training(episodes=1000, batch_size=10, learning_rate=1.0, warmup=100, cooldown=0.5, curriculum_rate=0.25)
    rates = [settings.rate(episodes, last_stage=True) for episodes in range(0, 1000, 10)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == 1.0 and rates[50] == 1.0
    assert rates[75] == pytest.approx(0.5) and rates[-1] == pytest.approx(0.02)
    assert settings.rate(750, last_stage=False) == pytest.approx(0.125)


def test_the_stages_before_the_last_have_their_share_of_the_rate(images, tmp_path, monkeypatch):
    rates, set_rate = [], loop.set_rate
    monkeypatch.setattr(loop, "set_rate", lambda optimiser, rate: (rates.append(rate), set_rate(optimiser, rate)))
    settings = dataclasses.replace(SETTINGS, warmup=0, cooldown=0.0, learning_rate=0.01, curriculum_rate=0.5)
    run(images, tmp_path / "c.pt", settings=settings, stages=curriculum(images, episodes=40))
    assert rates == [0.005] * 10 + [0.01] * 14


def test_unknown_settings_are_refused():
    with pytest.raises(UserError, match="training: unknown learnin_rate; known are"):
        settings_of({"episodes": 1, "learnin_rate": 1})
    with pytest.raises(UserError, match="training: episodes is missing"):
        settings_of({})
    with pytest.raises(UserError, match="training: optimiser is 'adma'; choose from adam, rmsprop, sgd"):
        settings_of({"episodes": 1, "optimiser": "adma"})
