"""The one evaluation loop: episodes of a task, and what a learner answers in them.

    for episode, answers in rollout(learner, task, episodes=1000, batch_size=50, seed=0):
        ...                                     score them

The same task, seed and batch size always give the same episodes, whoever answers.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Generator, Tensor, nn

from metamemory.shapes import Bool, Float, Int
from metamemory.tasks.episode import Episode, SupportQueryEpisode, Task

Answer = Callable[[nn.Module, Episode], Tensor]
Rollout = Iterable[tuple[Episode, Tensor]]  # batches of episodes, and the answers to each


def rollout(
    learner: nn.Module, task: Task, episodes: int, batch_size: int, seed: int, answer: Answer | None = None
) -> Rollout:
    """Episodes of a task and a learner's answers to them, batch by batch.

    Args:
        episodes: how many; the last batch has what is left.
        batch_size: episodes at a time.
        seed: of the generator that draws them.
        answer: what is asked of the learner; by default what the task asks (`Task.answer`).
    """
    return answered(learner, sampled(task, episodes, batch_size, seed), answer or task.answer)


def sampled(task: Task, episodes: int, batch_size: int, seed: int) -> Iterator[Episode]:
    """Batches of episodes drawn with a seed."""
    generator = Generator(task.device).manual_seed(seed)
    for begin in range(0, episodes, batch_size):
        yield task.sample(min(batch_size, episodes - begin), generator)


@torch.no_grad()
def answered(learner: nn.Module, episodes: Iterable[Episode], answer: Answer) -> Rollout:
    """Each batch with the learner's answers to it, given in evaluation mode and without gradients.

    The learner's mode is put back after every batch, so that it is what it was wherever the caller stops.
    """
    for episode in episodes:
        was_training = learner.training
        learner.eval()
        try:
            answers = answer(learner, episode)
        finally:
            learner.train(was_training)
        yield episode, answers


def example(
    learner: nn.Module, task: Task, seed: int, answer: Answer | None = None
) -> tuple[Episode | SupportQueryEpisode, Tensor]:
    """The first episode that is drawn with a seed, as a batch of one, and the learner's answers to it."""
    return next(iter(rollout(learner, task, 1, 1, seed, answer)))


def accuracies(
    found: Rollout, right: Callable[[Tensor, Tensor], Tensor], n_shots: int
) -> Float[Tensor, "episode n_shots"]:
    """Accuracy by shot of all episodes: [episode, n_shots] float64 on the CPU, nan where an episode has no such step.

    Args:
        found: episodes with `shot`, and the answers to them.
        right: from answers and targets to [time, batch] bool, as `right` of a task.
        n_shots: shots from 0 to n_shots - 1.
    """
    batches = []
    for episode, answers in found:
        scored = (episode.y >= 0).flatten(2).all(dim=-1) if episode.y.dim() > 2 else episode.y >= 0
        batches.append(accuracy_by_shot(right(answers, episode.y), episode.shot, scored, n_shots))
    return torch.cat(batches)


def accuracy_by_shot(
    right: Bool[Tensor, "time batch"], shot: Int[Tensor, "time batch"], scored: Bool[Tensor, "time batch"], n_shots: int
) -> Float[Tensor, "batch n_shots"]:
    """Share of right answers of each episode among the steps with so many labelled samples of their class before.

    Args:
        right, scored: [time, batch] bool; steps that are not scored do not count.
        shot: [time, batch] int64.
        n_shots: shots from 0 to n_shots - 1.

    Returns:
        [batch, n_shots] float64 on the CPU; nan where an episode has no such step.
    """
    of_shot = (shot[..., None] == torch.arange(n_shots, device=shot.device)) & scored[..., None]
    hits = (right[..., None] & of_shot).sum(dim=0).double()
    return (hits / of_shot.sum(dim=0)).cpu()
