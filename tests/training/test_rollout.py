"""Rollouts: the same episodes for the same seed, in evaluation mode, without gradients; accuracy by shot."""

import pytest
import torch
from torch import nn

from metamemory.models.metric.nearest_neighbour import NearestNeighbour
from metamemory.models.recurrent.cl_lstm import CLLSTM
from metamemory.tasks.binding import Binding
from metamemory.tasks.online_few_shot import OnlineFewShot
from metamemory.training.rollout import accuracies, accuracy_by_shot, example, rollout


@pytest.fixture
def learner():
    """One whose answers in training differ from those in evaluation."""
    torch.manual_seed(0)
    return CLLSTM((1, 8, 8), 3, filters=2, hidden=4, pool_after=(1, 2))


def test_scores_by_loops():
    generator = torch.Generator().manual_seed(0)
    right = torch.rand(9, 4, generator=generator) < 0.5
    shot = torch.randint(0, 3, (9, 4), generator=generator)
    scored = torch.rand(9, 4, generator=generator) < 0.8
    scores = accuracy_by_shot(right, shot, scored, 4)
    assert scores.dtype == torch.float64
    for b in range(4):
        for k in range(4):
            steps = [t for t in range(9) if shot[t, b] == k and scored[t, b]]
            if steps:
                assert scores[b, k] == pytest.approx(sum(right[t, b].item() for t in steps) / len(steps))
            else:
                assert scores[b, k].isnan()


def test_the_same_seed_gives_the_same_episodes(images):
    task, learner = OnlineFewShot(images, 3, 4), NearestNeighbour((1, 8, 8), 3)
    one, two, other = (accuracies(rollout(learner, task, 25, 10, seed), task.right, 4) for seed in (1, 1, 2))
    assert one.shape == (25, 4)
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_episodes_are_those_of_one_generator_and_the_last_batch_has_what_is_left(images, learner):
    task, generator = OnlineFewShot(images, 3, 4), torch.Generator().manual_seed(7)
    found = list(rollout(learner, task, 5, 2, seed=7))
    assert [episode.x.shape[1] for episode, _ in found] == [2, 2, 1]
    for episode, answers in found:
        expected = task.sample(episode.x.shape[1], generator)
        assert torch.equal(episode.x, expected.x) and torch.equal(episode.y, expected.y)
        assert answers.shape == (12, episode.x.shape[1], 3)


@pytest.mark.parametrize("training", [True, False])
def test_answers_are_those_of_evaluation_and_the_mode_is_put_back(images, learner, training):
    task = OnlineFewShot(images, 3, 4)
    learner.train(training)
    statistics = [each.clone() for each in learner.buffers()]
    for episode, answers in rollout(learner, task, 4, 2, seed=0):
        assert learner.training is training and not answers.requires_grad and torch.is_grad_enabled()
        learner.eval()
        with torch.no_grad():
            assert torch.equal(answers, learner(episode.x, episode.y_seen))
        learner.train(training)
    assert all(map(torch.equal, learner.buffers(), statistics))


def test_the_mode_is_put_back_after_an_error(images):
    class Fails(nn.Module):
        def forward(self, x, y_seen):
            raise RuntimeError("at the first step")

    learner = Fails().train()
    with pytest.raises(RuntimeError, match="first step"):
        list(rollout(learner, OnlineFewShot(images, 3, 4), 4, 2, seed=0))
    assert learner.training


def test_another_question_can_be_asked(images, learner):
    ((_, answers),) = rollout(learner, OnlineFewShot(images, 3, 4), 3, 3, 0, lambda learner, episode: episode.shot)
    assert answers.max() == 3


def test_an_example_is_the_first_episode_of_a_seed(images, learner):
    task = OnlineFewShot(images, 3, 4)
    episode, answers = example(learner, task, seed=5)
    expected = task.sample(1, torch.Generator().manual_seed(5))
    assert torch.equal(episode.x, expected.x) and answers.shape == (12, 1, 3)


def test_a_string_is_right_if_all_of_its_characters_are(images):
    """A learner that errs in one character of every string, and one that errs in none."""
    task = Binding(images, 3, 12, strings=True, size=8)
    for wrong in (0, 1):

        def answer(_, episode, wrong=wrong):
            y = episode.y.clone()
            y[..., 0] = (y[..., 0] + wrong) % 5
            return nn.functional.one_hot(y, 5).float()

        found = accuracies(rollout(nn.Module(), task, 4, 2, 0, answer), task.right, 10)
        assert found.nanmean().item() == 1 - wrong


def test_nearest_neighbour_names_a_first_drawing_only_by_luck(images):
    """Only the very first drawing of an episode can be new and right: 1/n at one of n steps (Santoro et al.)."""
    task = OnlineFewShot(images, 3, 4)
    found = accuracies(rollout(NearestNeighbour((1, 8, 8), 3), task, 4000, 100, 0), task.right, 4)
    assert found[:, 0].mean().item() == pytest.approx(1 / 9, abs=0.015)
