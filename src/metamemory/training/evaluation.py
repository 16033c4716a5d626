"""Accuracy by shot on a fixed set of episodes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from metamemory.models.learner import Learner
from metamemory.tasks.online_few_shot import OnlineFewShot


@dataclass(frozen=True)
class Evaluation:
    """What a learner answered in a set of episodes.

    Attributes:
        accuracy: [episode, shot] float64, share of right answers among the steps of an episode with that
            shot; nan where an episode has none.
    """

    accuracy: Tensor

    @property
    def by_shot(self) -> list[float]:
        """Mean accuracy at each shot over the episodes."""
        return self.accuracy.nanmean(dim=0).tolist()


@torch.no_grad()
def evaluate(learner: Learner, task: OnlineFewShot, episodes: int, batch_size: int, seed: int) -> Evaluation:
    """Run `episodes` episodes drawn with `seed`, in evaluation mode; the learner's mode is put back.

    The same task, seed and batch size always give the same episodes.
    """
    was_training = learner.training
    learner.eval()
    generator = torch.Generator(task.images.device).manual_seed(seed)
    scores = []
    while episodes > 0:
        episode = task.sample(min(batch_size, episodes), generator)
        right = learner(episode.x, episode.y_seen).argmax(dim=-1) == episode.y
        scores.append(score_by_shot(right, episode.shot, episode.y >= 0, task.samples_per_class))
        episodes -= batch_size
    learner.train(was_training)
    return Evaluation(torch.cat(scores))


def score_by_shot(right: Tensor, shot: Tensor, scored: Tensor, n_shots: int) -> Tensor:
    """[time, batch] answers and their shots -> accuracy [batch, n_shots] float64 on the CPU, nan where none."""
    of_shot = (shot[..., None] == torch.arange(n_shots, device=shot.device)) & scored[..., None]
    hits = (right[..., None] & of_shot).sum(dim=0).double()
    return (hits / of_shot.sum(dim=0)).cpu()
