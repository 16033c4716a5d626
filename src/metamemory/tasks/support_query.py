"""Few-shot classification with a support and a query set (Vinyals et al. 2016; Finn et al. 2017, section 5.2).

A few labelled drawings of characters that the learner has never seen, all at once; then drawings of the same
characters, which it names. It is what learners with an inner loop are trained on.

    support                                                query                      (3-way, 1-shot, 2 queries a class)
    x         ㄅ   ж   ω        the drawing                query_x   ㄅ   ж   ω   ㄅ   ж   ω
    y_seen    0    1   2        its own label              query_y   0    1   2   0    1   2
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as fn

from metamemory.tasks.episode import Score, SupportQueryEpisode
from metamemory.tasks.sampling import FewShot, require


class SupportQuery(FewShot):
    """n-way k-shot episodes.

    The support set is `x` with the label of every sample in `y_seen`, none of its steps scored; the order of samples
    in both sets is the order of their classes and says nothing to a learner that answers each query on its own.

    Args:
        images, n_way, classes, rotations, augment: see `FewShot`.
        k_shot: support samples of each class.
        n_query: queries of each class.
    """

    def __init__(
        self,
        images: Tensor,
        n_way: int,
        k_shot: int,
        n_query: int,
        classes: int | None = None,
        rotations: bool = False,
        augment: bool = False,
    ):
        super().__init__(images, n_way, classes, rotations, augment)
        require("k_shot", k_shot, 1, images.shape[1] - 1, "the drawings of a class, and one is left to ask for")
        require("n_query", n_query, 1, images.shape[1] - k_shot, "the drawings of a class that are not in its support")
        self.k_shot, self.n_query = k_shot, n_query

    def __str__(self) -> str:
        return f"{self.n_way}-way {self.k_shot}-shot"

    @property
    def length(self) -> int:
        """Samples in an episode, of the support set and queries."""
        return self.n_way * (self.k_shot + self.n_query)

    def sample(self, batch: int, generator: Generator) -> SupportQueryEpisode:
        """Draw a batch of episodes; the generator, on the device of the images, decides everything."""
        classes, drawings = self._draw(self.k_shot + self.n_query, batch, generator)
        x = self._look_up(classes.T, drawings.permute(2, 1, 0), generator).flatten(0, 1)  # [sample, batch, ...]
        y = torch.arange(self.n_way, device=self.device).repeat(self.k_shot + self.n_query)
        y = y[:, None].expand(-1, batch)
        support = self.n_way * self.k_shot
        return SupportQueryEpisode(x[:support], y[:support], x[support:], y[support:])

    def answer(self, learner: nn.Module, episode: SupportQueryEpisode) -> Tensor:
        """Logits of the queries, [query, batch, n_way]."""
        return learner.answer_queries(episode.support_x, episode.support_y, episode.query_x)

    def score(self, learner: nn.Module, episode: SupportQueryEpisode) -> Score:
        """Cross-entropy and accuracy of the queries, once the learner has adapted to the support set.

        The loss is their sum, as that of an online episode is the sum of its steps: where one training passes from
        this task to that one, the scale of the gradient, by which it is clipped and Adam divides, stays.
        """
        logits = self.answer(learner, episode)
        loss = fn.cross_entropy(logits.flatten(0, 1), episode.query_y.flatten(), reduction="sum")
        accuracy = (logits.argmax(dim=-1) == episode.query_y).float().mean()
        return Score(loss / episode.query_y.shape[1], accuracy)
