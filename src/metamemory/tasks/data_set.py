"""Learning a data set: an episode is the life of a network, which sees labelled minibatches and is then tested (Sandler
et al. 2021, section 4.2; Kirsch and Schmidhuber 2021, section 3).

    support   minibatch 1, minibatch 2, ... of images and their labels        steps * minibatch samples
    query     other images, to be named

What differs from one episode to the next is the classes, if there are more of them than labels or if they come in
groups, the images, and what is done to all images of an episode: their pixels can be put in another order, or projected
linearly at random, so that a rule cannot come to know the pixels.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.refusals import Checked, check_normalisation
from metamemory.settings import Count, Index, Items, Share
from metamemory.shapes import Float, Int, Shaped
from metamemory.tasks.episode import Score, SupportQueryEpisode
from metamemory.tasks.sampling import require, require_images
from metamemory.tasks.supervised import TEST_SHARE, VALIDATION_SHARE, ImageSplits, Normalisation

Group = Annotated[Sequence[Index], Items(least=1, distinct=True)]


class DataSet(Checked):
    """Networks that learn a data set.

    Args:
        images: uint8 [class, image, channel, height, width], on the device, to learn from.
        queries: other images of the same classes, of the same form.
        normalisation: of images, on the scale of 0 to 1.
        n_way: labels.
        steps: minibatches of an episode.
        minibatch: samples in each.
        n_query: queries.
        groups: lists of classes; an episode is of one of them, whose order is that of the labels. None: of n_way
            classes drawn at random or, where there are no more than that, of all in their order.
        permuted: share of the episodes with their pixels in another order.
        projected: share of the episodes with their pixels projected, by a matrix of normally distributed numbers.
        scored: answers to the "queries" at the end, or to the "stream" of all samples, each before its minibatch is
            learned or, where a rule learns sample by sample, before it is.

    Raises:
        UserError: a setting is out of its range; a group has a class that there is not, or more classes than labels.

    Example:
        >>> from metamemory.tasks.supervised import Normalisation
        >>> images = torch.randint(0, 256, (12, 20, 1, 8, 8), dtype=torch.uint8)
        >>> task = DataSet(images, images, Normalisation.of(images), n_way=10, steps=3, minibatch=4, n_query=2)
        >>> task.sample(2, torch.Generator().manual_seed(0)).support_x.shape
        torch.Size([12, 2, 1, 8, 8])
    """

    def __init__(
        self,
        images: Tensor,
        queries: Tensor,
        normalisation: Normalisation,
        n_way: Count,
        steps: Count,
        minibatch: Count,
        n_query: Count,
        groups: Sequence[Group] | None = None,
        permuted: Share = 0.0,
        projected: Share = 0.0,
        scored: Literal["queries", "stream"] = "queries",
    ):
        for each in (images, queries):
            require_images(each)
        if images.shape[0] != queries.shape[0] or images.shape[2:] != queries.shape[2:]:
            found = f"images are {list(images.shape)} and queries {list(queries.shape)}"
            raise UserError(f"task: {found}; classes, channels and size must agree")
        check_normalisation(normalisation, images)
        if groups is not None and not groups:
            raise UserError("task: groups is empty; None stands for all classes")
        require("n_way", n_way, 1, len(images), "the classes of the data set")
        for group in groups or ():
            if max(group) >= len(images) or len(group) > n_way:
                raise UserError(
                    f"task: groups has {list(group)}, but there are {len(images)} classes, from 0, and {n_way} labels"
                )
        self.images, self.queries, self.normalisation = images, queries, normalisation
        self.n_way, self.steps, self.minibatch, self.n_query = n_way, steps, minibatch, n_query
        self.groups, self.permuted, self.projected, self.scored = groups, permuted, projected, scored

    def __str__(self) -> str:
        return f"{self.steps} steps of {self.minibatch}"

    @property
    def device(self) -> torch.device:
        return self.images.device

    @property
    def length(self) -> int:
        """Samples in an episode, of minibatches and queries."""
        return self.steps * self.minibatch + self.n_query

    @property
    def chance(self) -> float:
        """Accuracy of a guess, in the mean over groups."""
        ways = [len(group) for group in self.groups or ()] or [self.n_way]
        return sum(1 / each for each in ways) / len(ways)

    def sample(self, batch: int, generator: Generator) -> SupportQueryEpisode:
        """Draw a batch of episodes; the generator, on the device of the images, decides everything."""
        lives = self.lives(batch, generator)
        return SupportQueryEpisode(*lives.samples(self.steps * self.minibatch), *lives.samples(self.n_query, True))

    def lives(self, batch: int, generator: Generator) -> "Lives":
        """A batch of episodes whose samples are drawn as they are asked for."""
        return Lives(self, batch, generator)

    def answer(self, learner: nn.Module, episode: SupportQueryEpisode) -> Float[Tensor, "sample batch labels"]:
        """Logits of the queries or of the stream, [sample, batch, n_way]."""
        if self.scored == "stream":
            return learner.answer_stream(episode.support_x, episode.support_y)
        return learner.answer_queries(episode.support_x, episode.support_y, episode.query_x)

    def wanted(self, episode: SupportQueryEpisode) -> Int[Tensor, "sample batch"]:
        """The labels of what is answered."""
        return episode.support_y if self.scored == "stream" else episode.query_y

    def score(self, learner: nn.Module, episode: SupportQueryEpisode) -> Score:
        """Cross-entropy, summed over what is answered, and accuracy."""
        logits, wanted = self.answer(learner, episode), self.wanted(episode)
        loss = fn.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="sum")
        accuracy = (logits.argmax(dim=-1) == wanted).float().mean()
        return Score(loss / wanted.shape[1], accuracy)


class Lives:
    """What is the same for all samples of each episode of a batch: its classes, and what is done to its images."""

    def __init__(self, task: DataSet, batch: int, generator: Generator):
        self.task, self.generator = task, generator
        self.ways, self.classes = self._classes(batch)
        pixels = task.images.shape[2:].numel()
        self.orders = self.matrices = None
        if task.permuted:
            keys = self._uniform(batch, pixels)
            keys = torch.where(self._uniform(batch, 1) < task.permuted, keys, torch.arange(pixels, device=task.device))
            self.orders = keys.argsort(dim=-1)
        if task.projected:
            drawn = torch.randn(batch, pixels, pixels, generator=generator, device=task.device) / pixels**0.5
            same = torch.eye(pixels, device=task.device)
            self.matrices = torch.where(self._uniform(batch, 1, 1) < task.projected, drawn, same)

    def samples(
        self, count: int, queries: bool = False
    ) -> tuple[Float[Tensor, "sample batch channel height width"], Int[Tensor, "sample batch"]]:
        """The next samples of each episode, and their labels."""
        images = self.task.queries if queries else self.task.images
        batch = len(self.classes)
        y = (self._uniform(count, batch) * self.ways).long()
        classes = self.classes[torch.arange(batch, device=y.device), y]
        chosen = torch.randint(images.shape[1], y.shape, generator=self.generator, device=y.device)
        mean, deviation = self.task.normalisation
        x = (images[classes, chosen].float() / 255 - mean) / deviation
        shape, x = x.shape, x.flatten(2)
        if self.orders is not None:
            x = x.gather(2, self.orders.expand_as(x))
        if self.matrices is not None:
            x = torch.einsum("nbi,bij->nbj", x, self.matrices)
        return x.view(shape), y

    def _classes(self, batch: int) -> tuple[Tensor, Tensor]:
        """How many each episode has, [B], and which, [B, n_way]."""
        task = self.task
        if task.groups is not None:
            padded = [[*group, *[group[0]] * (task.n_way - len(group))] for group in task.groups]
            groups = torch.tensor(padded, device=task.device)
            ways = torch.tensor([len(group) for group in task.groups], device=task.device)
            drawn = torch.randint(len(groups), (batch,), generator=self.generator, device=task.device)
            return ways[drawn], groups[drawn]
        ways = torch.full((batch,), task.n_way, device=task.device)
        if len(task.images) == task.n_way:
            return ways, torch.arange(task.n_way, device=task.device).expand(batch, -1)
        return ways, self._uniform(batch, len(task.images)).topk(task.n_way).indices

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.task.device)


def split_of_each_class(images: Shaped[Tensor, "classes image channel height width"]) -> ImageSplits:
    """Images of the same classes to learn from, held out for validation, and for tests; few are enough.

    Raises:
        UserError: a class has fewer than twelve.
    """
    require_images(images)
    count = images.shape[1]
    require("images of a class", count, 2 * TEST_SHARE, None, "one in six is for tests, one in ten held out")
    boundary = count - count // TEST_SHARE
    held_out = torch.arange(boundary) % VALIDATION_SHARE == VALIDATION_SHARE - 1
    return ImageSplits(images[:, :boundary][:, ~held_out], images[:, :boundary][:, held_out], images[:, boundary:])


def cropped(
    images: Shaped[Tensor, "classes image channel height width"], crop: int, size: int
) -> Shaped[Tensor, "classes image channel rows columns"]:
    """The middle `crop` pixels of square images, reduced to `size` by averaging squares of them.

    Raises:
        UserError: they are not so large, or `crop` is not a multiple of `size`.
    """
    if images.dtype != torch.uint8 or images.shape[-1] != images.shape[-2] or size < 1:
        found = f"images are {images.dtype} {list(images.shape)}, and size is {size}"
        raise UserError(f"{found}; images must be uint8 and square, and size at least 1")
    side = images.shape[-1]
    require("crop", crop, 1, side, "the pixels of the data set's images")
    if crop % size:
        raise UserError(
            f"task: crop is {crop} and must be a multiple of size, {size}, whose pixels are means of squares"
        )
    begin, fold = (side - crop) // 2, crop // size
    middle = images[..., begin : begin + crop, begin : begin + crop]
    if fold == 1:
        return middle
    squares = middle.unflatten(-1, (size, fold)).unflatten(-3, (size, fold))
    return torch.stack([each.float().mean(dim=(-1, -3)).round().to(torch.uint8) for each in squares])
