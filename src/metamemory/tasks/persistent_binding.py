"""Episodes in a row, with a memory that is not wiped in between (Santoro et al. 2016, section 4.2.1).

    row       | episode 1            | episode 2            | ...    new characters and new labels in each
    memory      empty at the start     as episode 1 left it

What an earlier episode has left is of no use in a later one and can only interfere. The controller is reset for every
episode, and no gradient passes from one to the one before. A learner without an external memory keeps its whole
state.
"""

from typing import Any

import torch
from torch import Generator, Tensor, nn

from metamemory.refusals import Checked
from metamemory.settings import Count
from metamemory.tasks.binding import Binding
from metamemory.tasks.episode import Episode, Score
from metamemory.tasks.sampling import require


class PersistentBinding(Checked):
    """Rows of `Binding`'s episodes; a row is sampled, and counted, as one episode.

    Args:
        episodes: what a row is made of.
        row: how many are in it.
        wiped: the learner begins every episode from its initial state, for comparison.

    Raises:
        UserError: the row has no episode.

    Example:
        >>> images = torch.randint(0, 256, (12, 20, 1, 8, 8), dtype=torch.uint8)
        >>> task = PersistentBinding(Binding(images, n_way=3, length=15, size=8), row=4)
        >>> task.sample(8, torch.Generator().manual_seed(0)).x.shape
        torch.Size([60, 8, 1, 8, 8])
    """

    def __init__(self, episodes: Binding, row: Count, wiped: bool = False):
        require("row", row, 1, None, "episodes of a row")
        self.episodes, self.row, self.wiped = episodes, row, wiped

    def __str__(self) -> str:
        return f"{self.episodes}, {self.row} in a row"

    @property
    def device(self) -> torch.device:
        return self.episodes.device

    @property
    def length(self) -> int:
        """Steps in a row."""
        return self.row * self.episodes.length

    @property
    def chance(self) -> float:
        """Accuracy of a guess."""
        return self.episodes.chance

    def sample(self, batch: int, generator: Generator) -> Episode:
        """Draw a batch of rows: time is that of the whole row; y_seen is null at the start of every episode in it."""
        drawn = self.episodes.sample(self.row * batch, generator)
        return Episode(*(self._in_rows(each) for each in (drawn.x, drawn.y_seen, drawn.y, drawn.shot)))

    def answer(self, learner: nn.Module, episode: Episode) -> Tensor:
        """Logits of all steps of the rows, as `Binding.answer`."""
        logits, state = [], None
        for x, y_seen in zip(self.split_episodes(episode.x), self.split_episodes(episode.y_seen), strict=True):
            first = learner.initial_state(x.shape[1])
            state = first if state is None or self.wiped else carried_over(learner, state, first)
            part, state = learner.run(x, y_seen, state)
            logits.append(part)
        return self.episodes.split_characters(torch.cat(logits))

    def right(self, logits: Tensor, y: Tensor) -> Tensor:
        """Which answers are right, [time, batch]."""
        return self.episodes.right(logits, y)

    def score(self, learner: nn.Module, episode: Episode) -> Score:
        """As `Binding.score`: the loss is the sum over all steps of the row."""
        return self.episodes.score_logits(self.answer(learner, episode), episode)

    def split_episodes(self, rows: Tensor) -> tuple[Tensor, ...]:
        """[time of the row, batch, ...] -> the episodes of the row, each [time, batch, ...]."""
        return rows.split(self.episodes.length)

    def _in_rows(self, drawn: Tensor) -> Tensor:
        """[time, row * batch, ...] -> [row * time, batch, ...]."""
        return torch.cat(drawn.chunk(self.row, dim=1))


def carried_over(learner: nn.Module, state: Any, first: Any) -> Any:
    """The state with which the next episode begins: all of it or, where there is an external memory, `first` with that
    memory; without gradients."""
    if learner.external_memory:
        return first._replace(memory=_without_gradients(state.memory))
    return _without_gradients(state)


def _without_gradients(state: Any) -> Any:
    return state.detach() if isinstance(state, Tensor) else type(state)(*map(_without_gradients, state))
