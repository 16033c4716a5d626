"""Online few-shot segmentation (Babu et al. 2021, section 4.4).

A stream of pictures of two things that the learner has never seen: the object, to be segmented, and a distractor, to be
masked out. Which is which nothing but the stream itself can tell: at each step the learner marks the pixels of the
object, if it is the object that it sees, and no pixel, if it is the distractor; one step later it is shown what would
have been right.

    step      0      1      2      3      4    ...                  (a duck is the object, a fish the distractor)
    x         duck   fish   fish   duck   duck                       the picture
    thing     @@     %%     %%     @@     @@                         where in it the thing is
    y         @@     .      .      @@     @@                         what to answer now: the thing, or nothing
    y_seen    -1     @@     .      .      @@                         what would have been right before; -1 is null
    shot      0      0      1      1      2                          pictures of the same thing shown before, with truth

How an answer is measured: a picture of the object by the intersection of answer and thing over their union, IoU; one of
the distractor by the share of the thing that the answer leaves out. k-shot is the (k + 1)th picture of the thing. (In
the text of the paper at hand the sentence with the first of these is damaged; the second is as printed.)

Shape legend: T steps, B batch, H height, W width.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as fn

from metamemory.settings import Count
from metamemory.shapes import Bool, Float
from metamemory.tasks.episode import Episode, Score
from metamemory.tasks.online_few_shot import shots
from metamemory.tasks.sampling import FewShot, require


@dataclass(frozen=True, kw_only=True)
class MaskEpisode(Episode):
    """Episodes whose labels are masks.

    Attributes:
        x: [T, B, 3, H, W] float32, 0 to 1.
        y_seen: [T, B, H, W] float32, y of the step before; -1 everywhere at the first.
        y: [T, B, H, W] float32, 1 on the object, 0 elsewhere.
        shot: [T, B] int64, how many pictures of the same thing came before.
        thing: [T, B, H, W] bool, where the thing is, wanted or not.
        wanted: [T, B] bool, whether the thing is the object.
    """

    thing: Tensor
    wanted: Tensor


class Segmentation(FewShot):
    """Episodes of an object and a distractor, the same number of pictures of each, in random order.

    Args:
        images: [class, picture, 4, H, W] uint8, the classes of one part of a split; the fourth channel is the mask, and
            a pixel is the thing's where it is at least half covered.
        samples_per_class: pictures of each thing in an episode, all different.
        distractors: without, every picture is of the object: the beginning of the paper's curriculum.
        swap: from the middle of the episode on, object and distractor have exchanged their roles.
        augment: see `FewShot`; the mask moves with its picture.

    Example:
        >>> images = torch.randint(0, 256, (5, 10, 4, 8, 8), dtype=torch.uint8)
        >>> episode = Segmentation(images, samples_per_class=3).sample(2, torch.Generator().manual_seed(0))
        >>> episode.x.shape, episode.y.shape
        (torch.Size([6, 2, 3, 8, 8]), torch.Size([6, 2, 8, 8]))
    """

    channels = (4,)

    def __init__(
        self,
        images: Tensor,
        samples_per_class: Count,
        distractors: bool = True,
        swap: bool = False,
        augment: bool = False,
    ):
        super().__init__(images, 1 + distractors, None, False, augment)
        require("samples_per_class", samples_per_class, 1, images.shape[1], "the pictures of a class")
        require("swap", int(swap), 0, int(distractors), "without distractors there is nothing to exchange")
        self.samples_per_class, self.distractors, self.swap = samples_per_class, distractors, swap
        share = (images[:, :, 3] >= 128).float().mean(dim=(-1, -2))
        by_coin = (share / (1 + share)).mean().item()  # half of the thing, over the thing and half of the ground
        self._chance = (by_coin + 0.5) / 2 if distractors else by_coin

    def __str__(self) -> str:
        return "with distractors" if self.distractors else "without distractors"

    @property
    def length(self) -> int:
        """Steps in an episode."""
        return self.n_way * self.samples_per_class

    @property
    def chance(self) -> float:
        """Measure (`measure_masks`) of answers by the toss of a coin for each pixel."""
        return self._chance

    def sample(self, batch: int, generator: Generator) -> MaskEpisode:
        """Draw a batch of episodes; the generator, on the device of the images, decides everything."""
        classes, pictures = self._draw(self.samples_per_class, batch, generator)
        order = self._choose(self.length, self.length, (batch,), generator).T  # [T, B]
        which = order // self.samples_per_class  # 0 for the first class drawn, 1 for the second
        x = self._look_up(classes.T.gather(0, which), pictures.flatten(1).T.gather(0, order), generator)
        x, thing = x[:, :, :3], x[:, :, 3] >= 0.5
        swapped = self.swap & (torch.arange(self.length, device=self.device) >= self.length // 2)
        wanted = (which == 0) ^ swapped[:, None]
        y = (thing & wanted[..., None, None]).float()
        y_seen = torch.cat([torch.full_like(y[:1], -1), y[:-1]])
        return MaskEpisode(x=x, y_seen=y_seen, y=y, shot=shots(which, 1), thing=thing, wanted=wanted)

    def answer(self, learner: nn.Module, episode: MaskEpisode) -> Tensor:
        """Logits of every pixel, [T, B, H, W]."""
        return learner(episode.x, episode.y_seen)

    def score(self, learner: nn.Module, episode: MaskEpisode) -> Score:
        """Cross-entropy of every step, mean over its pixels; mean measure (`measure_masks`) of the pictures whose thing
        was seen before."""
        logits = self.answer(learner, episode)
        loss = self.length * fn.binary_cross_entropy_with_logits(logits, episode.y)
        with torch.no_grad():
            measured = measure_masks(logits > 0, episode.thing, episode.wanted)
            accuracy = measured.masked_fill(episode.shot < 1, torch.nan).nanmean()
        return Score(loss, accuracy)


def iou(
    answer: Bool[Tensor, "*pictures height width"], thing: Bool[Tensor, "*pictures height width"]
) -> Float[Tensor, "*pictures"]:
    """Intersection over union of bool masks [..., H, W]: [...] float32; nan where there is no thing."""
    both = (answer & thing).sum(dim=(-1, -2))
    either = (answer | thing).sum(dim=(-1, -2))
    return torch.where(thing.any(-1).any(-1), both / either, torch.nan)


def masked(
    answer: Bool[Tensor, "*pictures height width"], thing: Bool[Tensor, "*pictures height width"]
) -> Float[Tensor, "*pictures"]:
    """Share of the thing that the answer leaves out; as `iou`."""
    return (~answer & thing).sum(dim=(-1, -2)) / thing.sum(dim=(-1, -2))


def measure_masks(
    answer: Bool[Tensor, "time batch height width"],
    thing: Bool[Tensor, "time batch height width"],
    wanted: Bool[Tensor, "time batch"],
) -> Float[Tensor, "time batch"]:
    """The one where the thing is wanted, the other where it is not: answer and thing [T, B, H, W], wanted [T, B] ->
    [T, B] float32."""
    return torch.where(wanted, iou(answer, thing), masked(answer, thing))
