"""Few-shot segmentation with a support and a query set: what a learner with an inner loop is pre-trained on.

A few pictures of one object with their masks, all at once; then more pictures of the same object, in which it is to be
marked. There are no distractors, as Babu et al. 2021 (section 4.4) have it for their baseline.
"""

from torch import Generator, Tensor, nn
from torch.nn import functional as fn

from metamemory.settings import Count
from metamemory.tasks.episode import Score, SupportQueryEpisode
from metamemory.tasks.sampling import FewShot, require
from metamemory.tasks.segmentation import iou


class SegmentationSupportQuery(FewShot):
    """Episodes of one object each.

    Args:
        images, augment: see `Segmentation`.
        k_shot: pictures in the support set.
        n_query: pictures to answer.

    Example:
        >>> images = torch.randint(0, 256, (5, 10, 4, 8, 8), dtype=torch.uint8)
        >>> episode = SegmentationSupportQuery(images, k_shot=1, n_query=2).sample(2, torch.Generator().manual_seed(0))
        >>> episode.query_x.shape
        torch.Size([2, 2, 3, 8, 8])
    """

    channels = (4,)

    def __init__(self, images: Tensor, k_shot: Count, n_query: Count, augment: bool = False):
        super().__init__(images, 1, None, False, augment)
        require("k_shot", k_shot, 1, images.shape[1] - 1, "the pictures of a class, and one is left to ask for")
        require("n_query", n_query, 1, images.shape[1] - k_shot, "the pictures of a class that are not in its support")
        self.k_shot, self.n_query = k_shot, n_query
        share = (images[:, :, 3] >= 128).float().mean(dim=(-1, -2))
        self._chance = (share / (1 + share)).mean().item()

    def __str__(self) -> str:
        return f"{self.k_shot} pictures and masks"

    @property
    def length(self) -> int:
        """Samples in an episode, of the support set and queries."""
        return self.k_shot + self.n_query

    @property
    def chance(self) -> float:
        """IoU of answers by the toss of a coin for each pixel."""
        return self._chance

    def sample(self, batch: int, generator: Generator) -> SupportQueryEpisode:
        """Draw a batch of episodes; masks are float32 [sample, batch, height, width], 1 on the object."""
        classes, pictures = self._draw(self.length, batch, generator)
        x = self._look_up(classes.T.expand(self.length, -1), pictures[:, 0].T, generator)  # [sample, batch, 4, ...]
        x, y = x[:, :, :3], (x[:, :, 3] >= 0.5).float()
        k = self.k_shot
        return SupportQueryEpisode(x[:k], y[:k], x[k:], y[k:])

    def answer(self, learner: nn.Module, episode: SupportQueryEpisode) -> Tensor:
        """Logits of every pixel of the queries, [query, batch, height, width]."""
        return learner.answer_queries(episode.support_x, episode.support_y, episode.query_x)

    def score(self, learner: nn.Module, episode: SupportQueryEpisode) -> Score:
        """Cross-entropy summed over the queries, mean over their pixels, after adaptation to the support; mean IoU."""
        logits = self.answer(learner, episode)
        loss = self.n_query * fn.binary_cross_entropy_with_logits(logits, episode.query_y)
        return Score(loss, iou(logits.detach() > 0, episode.query_y > 0).nanmean())
