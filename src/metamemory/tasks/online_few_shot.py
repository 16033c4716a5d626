"""Online few-shot learning (Babu et al. 2021, section 3.1; Santoro et al. 2016, section 4).

A stream of drawings of a few characters that the learner has never seen. At each step it names the
character before it, then is told, `delay` steps later, what the right name was. Names are handed out anew
in every episode, so that nothing but the stream itself can tell them.

    step      0     1     2     3     4    ...                      (delay 1, 2-way)
    x         ㄅ    ж     ж     ㄅ    ж                              the drawing
    y         1     0     0     1     0                              what to answer now
    y_seen    null  1     0     0     1                              the label shown with it
    shot      0     0     1     1     2                              labels of this class shown so far
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.tasks.episode import Episode, Score


class OnlineFewShot:
    """k-way episodes with the same number of presentations of each class, in random order.

    The whole data set lies on the device and a batch of episodes is one gather from it.

    Args:
        images: [class, drawing, channel, height, width] uint8, the classes of one part of a split.
        n_way: classes in an episode.
        presentations: drawings of each class in an episode, all different; the last is seen after
            `presentations - 1` others.
        delay: steps between a drawing and its label, at least 1.
        rotations: turn every class by 0, 90, 180 and 270 degrees into four classes.
        augment: mirror and move each drawing by lot (`augmented`), as is usual for small photographs.
    """

    def __init__(
        self,
        images: Tensor,
        n_way: int,
        presentations: int,
        delay: int = 1,
        rotations: bool = False,
        augment: bool = False,
    ):
        if rotations:
            turns = [torch.rot90(images, quarter, dims=(-2, -1)) for quarter in range(4)]
            images = torch.cat(turns).contiguous()
        n_classes, n_drawings = images.shape[:2]
        for name, value, low, high, why in (
            ("n_way", n_way, 1, n_classes, "the classes of this part of the split"),
            ("presentations", presentations, 1, n_drawings, "the drawings of a class"),
            ("delay", delay, 1, None, "a label is shown after its drawing has been named"),
        ):
            if value < low or (high is not None and value > high):
                reach = f"at least {low}" if high is None else f"from {low} to {high}"
                raise UserError(f"task: {name} is {value} and must be {reach} ({why})")
        self.images = images
        self.n_way, self.presentations, self.delay, self.augment = n_way, presentations, delay, augment

    def __str__(self) -> str:
        return f"{self.n_way}-way"

    @property
    def device(self) -> torch.device:
        return self.images.device

    @property
    def length(self) -> int:
        """Steps in an episode."""
        return self.n_way * self.presentations

    @property
    def chance(self) -> float:
        """Accuracy of a guess."""
        return 1 / self.n_way

    def sample(self, batch: int, generator: Generator) -> Episode:
        """Draw a batch of episodes; the generator, on the device of the images, decides everything."""
        classes = self._choose(self.images.shape[0], self.n_way, (batch,), generator)
        drawings = self._choose(self.images.shape[1], self.presentations, (batch, self.n_way), generator)
        order = self._choose(self.length, self.length, (batch,), generator).T  # [time, batch]

        y = order // self.presentations  # classes come in random order, so their place can be their label
        drawing = drawings.flatten(1).T.gather(0, order)
        x = self.images[classes.T.gather(0, y), drawing]
        if self.augment:  # last, so that without it the same episodes are drawn
            x = augmented(x, generator)
        return Episode(x=x.float() / 255, y_seen=delayed(y, self.delay), y=y, shot=shots(y, self.delay))

    def score(self, learner: nn.Module, episode: Episode) -> Score:
        """Cross-entropy of every step; accuracy of those that a label of their class was shown before."""
        logits = learner(episode.x, episode.y_seen)
        loss = fn.cross_entropy(logits.flatten(0, 1), episode.y.flatten(), ignore_index=-1, reduction="sum")
        with torch.no_grad():
            right, told = logits.argmax(dim=-1) == episode.y, episode.shot >= 1
            accuracy = (right & told).sum() / told.sum()
        return Score(loss / episode.y.shape[1], accuracy)

    def _choose(self, n: int, k: int, shape: Sequence[int], generator: Generator) -> Tensor:
        """k different numbers below n, in random order: [*shape, k] int64."""
        keys = torch.rand(*shape, n, generator=generator, device=self.images.device)
        return keys.topk(k).indices


def augmented(x: Tensor, generator: Generator) -> Tensor:
    """Mirror each image or not, and move it by up to an eighth of its size each way, by lot; 0 comes in.

    x is [time, batch, channel, height, width], square. Where each pixel comes from is worked out for an image and
    gathered for all its channels at once, from the image with a margin around it.
    """
    size, device = x.shape[-1], x.device
    margin = size // 8
    mirrored = torch.rand(*x.shape[:2], 1, generator=generator, device=device) < 0.5
    down, right = torch.randint(2 * margin + 1, (2, *x.shape[:2], 1), generator=generator, device=device)
    pixels = torch.arange(size, device=device)
    rows = down + pixels  # [time, batch, height]
    columns = right + torch.where(mirrored, pixels.flip(0), pixels)  # [time, batch, width]
    source = rows[..., :, None] * (size + 2 * margin) + columns[..., None, :]
    source = source.flatten(2)[:, :, None].expand(-1, -1, x.shape[2], -1)  # the same for every channel
    return fn.pad(x, [margin] * 4).flatten(3).gather(3, source).view_as(x)


def delayed(y: Tensor, delay: int) -> Tensor:
    """Labels as shown: y moved `delay` steps later, null (-1) before. [time, batch] int64."""
    return torch.cat([torch.full_like(y[:delay], -1), y[:-delay]])[: len(y)]


def shots(y: Tensor, delay: int) -> Tensor:
    """How many labels of y_t's class are shown up to and with step t. [time, batch] int64."""
    same = y[:, None] == y[None]  # [time t, time j, batch]
    steps = torch.arange(len(y), device=y.device)
    shown = (steps[:, None] - steps[None]) >= delay
    return (same & shown[..., None]).sum(dim=1)
