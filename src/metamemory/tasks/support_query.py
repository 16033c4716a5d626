"""Few-shot classification with a support and a query set (Vinyals et al. 2016; Finn et al. 2017, section 5.2).

A few labelled images of classes that the learner has never seen, all at once; then other images of the same classes, to
be named.

    support                                                query                      (3-way, 1-shot, 2 queries a class)
    support_x   ㄅ   ж   ω      the image                  query_x   ㄅ   ж   ω   ㄅ   ж   ω
    support_y   0    1   2      its label                  query_y   0    1   2   0    1   2
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as fn

from metamemory.settings import Count
from metamemory.shapes import Bool, Float, Int
from metamemory.tasks.episode import Score, SupportQueryEpisode
from metamemory.tasks.sampling import FewShot, require


class SupportQuery(FewShot):
    """n-way k-shot episodes.

    Both sets are in the order of their classes, which says nothing to a learner that takes the support set as a set and
    answers each query on its own. For one that is shown the support set sample by sample, `labels` gives every episode
    a random order, and labels that do not follow from it.

    Args:
        images, n_way, classes, rotations, augment: see `FewShot`.
        k_shot: support samples of each class.
        n_query: queries of each class.
        labels: of the learner, from which those of the n_way classes are chosen at random; the support set is in random
            order, and answers are among the labels that it has. None: labels are 0 to n_way - 1.

    Raises:
        UserError: a setting is out of its range.

    Example:
        >>> images = torch.randint(0, 256, (12, 20, 1, 8, 8), dtype=torch.uint8)
        >>> episode = SupportQuery(images, n_way=5, k_shot=1, n_query=3).sample(8, torch.Generator().manual_seed(0))
        >>> episode.support_x.shape, episode.query_x.shape  # sample, batch, ...
        (torch.Size([5, 8, 1, 8, 8]), torch.Size([15, 8, 1, 8, 8]))
    """

    def __init__(
        self,
        images: Tensor,
        n_way: Count,
        k_shot: Count,
        n_query: Count,
        classes: Count | None = None,
        rotations: bool = False,
        augment: bool = False,
        labels: Count | None = None,
    ):
        super().__init__(images, n_way, classes, rotations, augment)
        require("k_shot", k_shot, 1, images.shape[1] - 1, "the images of a class, and one is left to ask for")
        require("n_query", n_query, 1, images.shape[1] - k_shot, "the images of a class that are not in its support")
        if labels is not None:
            require("labels", labels, n_way, None, "the classes, each of which has its own")
        self.k_shot, self.n_query, self.labels = k_shot, n_query, labels

    def __str__(self) -> str:
        return f"{self.n_way}-way {self.k_shot}-shot"

    @property
    def length(self) -> int:
        """Samples in an episode, of the support set and queries."""
        return self.n_way * (self.k_shot + self.n_query)

    def sample(self, batch: int, generator: Generator) -> SupportQueryEpisode:
        """Draw a batch of episodes; the generator, on the device of the images, decides everything."""
        classes, chosen = self._draw(self.k_shot + self.n_query, batch, generator)
        x = self._look_up(classes.T, chosen.permute(2, 1, 0), generator).flatten(0, 1)  # [sample, batch, ...]
        support = self.n_way * self.k_shot
        if self.labels is None:
            label = torch.arange(self.n_way, device=self.device)[:, None].expand(-1, batch)
            order = torch.arange(support, device=self.device)[:, None].expand(-1, batch)
        else:
            label = self._choose(self.labels, self.n_way, (batch,), generator).T  # [n_way, batch]
            order = self._choose(support, support, (batch,), generator).T  # [n_way * k_shot, batch]
        y = label.repeat(self.k_shot + self.n_query, 1)
        episodes = torch.arange(batch, device=self.device)
        return SupportQueryEpisode(x[order, episodes], y[order, episodes], x[support:], y[support:])

    def answer(self, learner: nn.Module, episode: SupportQueryEpisode) -> Float[Tensor, "query batch labels"]:
        """Logits of the queries, [query, batch, n_way or labels]; -inf for labels that the support set does not
        have."""
        logits = learner.answer_queries(episode.support_x, episode.support_y, episode.query_x)
        if self.labels is None:
            return logits
        there = fn.one_hot(episode.support_y, logits.shape[-1]).any(dim=0)  # [batch, labels]
        return logits.masked_fill(~there, -torch.inf)

    def right(
        self, logits: Float[Tensor, "query batch labels"], y: Int[Tensor, "query batch"]
    ) -> Bool[Tensor, "query batch"]:
        """Which answers are right, [query, batch] bool."""
        return logits.argmax(dim=-1) == y

    def score(self, learner: nn.Module, episode: SupportQueryEpisode) -> Score:
        """Cross-entropy and accuracy of the queries.

        The loss is their sum, as that of an online episode is the sum of its steps: where one training passes from
        this task to that one, the scale of the gradient, by which it is clipped and Adam divides, stays.
        """
        logits = self.answer(learner, episode)
        loss = fn.cross_entropy(logits.flatten(0, 1), episode.query_y.flatten(), reduction="sum")
        accuracy = self.right(logits, episode.query_y).float().mean()
        return Score(loss / episode.query_y.shape[1], accuracy)
