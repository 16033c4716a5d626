"""Images to be reconstructed from a few numbers: what an autoencoder is trained on (Santoro et al. 2016, section
4.2)."""

import torch
from torch import Generator, Tensor, nn

from metamemory.refusals import Checked
from metamemory.tasks.episode import Episode, Score, SupportQueryEpisode, Task


class Reconstruction(Checked):
    """The inputs of a task's episodes, each on its own; labels do not matter.

    Example:
        >>> from metamemory.tasks.online_few_shot import OnlineFewShot
        >>> images = torch.randint(0, 256, (12, 20, 1, 8, 8), dtype=torch.uint8)
        >>> task = Reconstruction(OnlineFewShot(images, n_way=5, samples_per_class=4))
        >>> task.sample(8, torch.Generator().manual_seed(0)).x.shape
        torch.Size([20, 8, 1, 8, 8])
    """

    chance = 0.0  # share of the variance explained by the mean image

    def __init__(self, episodes: Task):
        self.episodes = episodes

    def __str__(self) -> str:
        return "reconstruction"

    @property
    def device(self) -> torch.device:
        return self.episodes.device

    @property
    def length(self) -> int:
        """Images in an episode."""
        return self.episodes.length

    def sample(self, batch: int, generator: Generator) -> Episode | SupportQueryEpisode:
        """Draw a batch of episodes of the task."""
        return self.episodes.sample(batch, generator)

    def answer(self, learner: nn.Module, episode: Episode | SupportQueryEpisode) -> Tensor:
        """The images as the learner reconstructs them, [image, batch, channel, height, width]."""
        return learner.reconstructed(episode.inputs)

    def score(self, learner: nn.Module, episode: Episode | SupportQueryEpisode) -> Score:
        """Squared error, summed over the pixels of an episode's images; accuracy is the explained share of variance."""
        x = episode.inputs
        errors = (self.answer(learner, episode) - x).square()
        with torch.no_grad():
            explained = 1 - errors.mean() / (x - x.mean(dim=(0, 1))).square().mean()
        return Score(errors.sum() / x.shape[1], explained)
