"""What tasks have in common whose every step is answered."""

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.refusals import Checked
from metamemory.shapes import Bool, Float, Int
from metamemory.tasks.episode import Episode, Score


class Stream(Checked):
    """A task of steps, each of which is to be given one of `n_way` labels.

    Attributes:
        n_way: labels.
    """

    n_way: int

    @property
    def chance(self) -> float:
        """Accuracy of a guess."""
        return 1 / self.n_way

    def answer(self, learner: nn.Module, episode: Episode) -> Float[Tensor, "time batch n_way"]:
        """Logits of all steps, [time, batch, n_way]."""
        return learner(episode.x, episode.y_seen)

    def right(
        self, logits: Float[Tensor, "time batch n_way"], y: Int[Tensor, "time batch"]
    ) -> Bool[Tensor, "time batch"]:
        """Which answers are right, [time, batch] bool."""
        return logits.argmax(dim=-1) == y

    def score(self, learner: nn.Module, episode: Episode) -> Score:
        """Cross-entropy of every step; accuracy of those that a label of their class was shown before."""
        logits = self.answer(learner, episode)
        loss = fn.cross_entropy(logits.flatten(0, 1), episode.y.flatten(), reduction="sum")
        with torch.no_grad():
            told = episode.shot >= 1
            accuracy = (self.right(logits, episode.y) & told).sum() / told.sum().clamp(min=1)
        return Score(loss / episode.y.shape[1], accuracy)
