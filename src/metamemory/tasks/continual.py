"""Continual learning (Babu et al. 2021, section 4.3; Javed and White 2019): one class after the other, then all of
them.

A stream of subtasks, each a few images of one class, in order; no class comes back. Then queries, images of all the
classes, each answered on its own from the state after the stream: a learner that learned the last subtask at the cost
of the first shows it there.

    step      0     1     2     3     4     5     6        (3 subtasks of 2 images, delay 1)
    x         ㄅ    ㄅ    ж     ж     ω     ω     blank     the image
    y_seen    null  7     7     2     2     11    11       the label shown with it
              |__________|___________|___________|
               subtask 1   subtask 2    subtask 3
    query_x   ㄅ    ж     ω     ㄅ    ж     ω              the state frozen: none sees another
    query_y   7     2     11    7     2     11

How labels are shown here the paper does not say. As everywhere in it they come one step late, with the next image;
and since no other image follows the last one, the last label is shown with a blank image before the queries. (Were it
shown with the queries, each would bring a label of its own; were it never shown, the last image would be lost.)

No step is scored, only the queries are. Labels are chosen at random in every episode, from all that the learner has, so
that short tasks have the same labels as long ones.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as fn

from metamemory.settings import Count, Index
from metamemory.shapes import Float
from metamemory.tasks.episode import Episode, Score
from metamemory.tasks.sampling import FewShot, require, require_images


class Continual(FewShot):
    """Tasks of so many subtasks, of one class each.

    Args:
        images, classes, rotations, augment, images_per_class: see `FewShot`.
        n_way: labels of the learner, from which those of the subtasks are chosen at random.
        subtasks: classes, and so subtasks, in an episode.
        k_shot: images of a subtask.
        n_query: queries of each subtask, images that the stream does not have, unless `images_per_class` says
            otherwise.
        delay: steps between an image and its label, at least 1.

    Query number q is of subtask q % subtasks.

    Example:
        >>> images = torch.randint(0, 256, (12, 20, 1, 8, 8), dtype=torch.uint8)
        >>> episode = Continual(images, n_way=10, subtasks=6, k_shot=2).sample(8, torch.Generator().manual_seed(0))
        >>> episode.x.shape, episode.query_x.shape  # a stream, with a step for its last label; queries after it
        (torch.Size([13, 8, 1, 8, 8]), torch.Size([6, 8, 1, 8, 8]))
    """

    def __init__(
        self,
        images: Tensor,
        n_way: Count,
        subtasks: Count,
        k_shot: Count = 5,
        n_query: Count = 1,
        delay: Index = 1,
        classes: Count | None = None,
        rotations: bool = False,
        augment: bool = False,
        images_per_class: Count | None = None,
    ):
        require_images(images)
        require("subtasks", subtasks, 1, n_way, "n_way: a label for each")
        require("k_shot", k_shot, 1, images.shape[1] - 1, "the images of a class, and one is left to ask for")
        require("n_query", n_query, 1, images.shape[1] - k_shot, "the images of a class that are not in its subtask")
        require("delay", delay, 1, None, "a label is shown after its image")
        super().__init__(images, subtasks, classes, rotations, augment, images_per_class)
        self.n_labels, self.subtasks, self.k_shot, self.n_query, self.delay = n_way, subtasks, k_shot, n_query, delay

    def __str__(self) -> str:
        return f"{self.subtasks} subtask{'s' if self.subtasks > 1 else ''}"

    @property
    def steps(self) -> int:
        """Steps of the stream, with those in which the last labels are shown."""
        return self.subtasks * self.k_shot + self.delay

    @property
    def length(self) -> int:
        """Steps of the stream, and queries."""
        return self.steps + self.subtasks * self.n_query

    def sample(self, batch: int, generator: Generator) -> Episode:
        """Draw a batch of episodes; the generator, on the device of the images, decides everything."""
        classes, chosen = self._draw(self.k_shot + self.n_query, batch, generator)
        label = self._choose(self.n_labels, self.subtasks, (batch,), generator).T  # [subtask, batch]
        x = self._look_up(classes.T[:, None], chosen.permute(1, 2, 0), generator)  # [subtask, image, batch, ...]
        stream, queries = x[:, : self.k_shot].flatten(0, 1), x[:, self.k_shot :].transpose(0, 1).flatten(0, 1)
        null = label.new_full((self.delay, batch), -1)
        y_seen = torch.cat([null, label.repeat_interleave(self.k_shot, dim=0)])
        return Episode(
            x=torch.cat([stream, stream.new_zeros(self.delay, *stream.shape[1:])]),
            y_seen=y_seen,
            y=torch.full_like(y_seen, -1),
            shot=torch.zeros_like(y_seen),
            query_x=queries,
            query_y=label.repeat(self.n_query, 1),
        )

    def answer(self, learner: nn.Module, episode: Episode) -> Float[Tensor, "query batch n_way"]:
        """Logits of the queries after the whole stream, [query, batch, n_way]."""
        state = learner.absorb(episode.x, episode.y_seen, learner.initial_state(episode.x.shape[1]))
        return learner.predict(episode.query_x, state)

    def score(self, learner: nn.Module, episode: Episode) -> Score:
        """Cross-entropy and accuracy of the queries; the loss is their sum, as in `SupportQuery`."""
        logits = self.answer(learner, episode)
        loss = fn.cross_entropy(logits.flatten(0, 1), episode.query_y.flatten(), reduction="sum")
        accuracy = (logits.argmax(dim=-1) == episode.query_y).float().mean()
        return Score(loss / episode.query_y.shape[1], accuracy)

    @torch.no_grad()
    def retained(
        self, learner: nn.Module, episode: Episode, moments: Sequence[int]
    ) -> Float[Tensor, "moment subtask batch"]:
        """What a learner knows of each subtask as later ones come: all of a long task seen as it grows.

        The first m subtasks of a task are a task of m subtasks. So the stream is halted after m of them, for each m of
        `moments` (rising); the labels still due are shown with blanks; the queries of the m subtasks are answered; and
        the stream goes on from where it was halted.

        Returns:
            [moment, subtask, batch] float64 on the CPU: share of the subtask's queries that were answered rightly; nan
            for a subtask that had not come yet.
        """
        batch = episode.query_y.shape[1]
        query_x, query_y = (each.unflatten(0, (-1, self.subtasks)) for each in (episode.query_x, episode.query_y))
        known = torch.full((len(moments), self.subtasks, batch), torch.nan, dtype=torch.float64)
        state, at = learner.initial_state(batch), 0
        for moment, seen in enumerate(moments):
            halt = seen * self.k_shot
            state = learner.absorb(episode.x[at:halt], episode.y_seen[at:halt], state)
            at, due = halt, episode.y_seen[halt : halt + self.delay]
            told = learner.absorb(episode.x[-self.delay :], due, state)  # the last steps of a task are the blank ones
            answers = learner.predict(query_x[:, :seen].flatten(0, 1), told).argmax(dim=-1)
            right = answers.unflatten(0, (-1, seen)) == query_y[:, :seen]
            known[moment, :seen] = right.double().mean(dim=0).cpu()
        return known
