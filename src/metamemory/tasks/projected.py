"""Many tasks made of one data set: images projected at random, and labels in a random order (Kirsch et al. 2022,
section 2).

A task is a random matrix, by which every image is multiplied, and a choice of classes with an order of labels. It is
drawn with a seed of its own, its number, so that there can be one task, or thousands, or no end of them, and none has
to be kept.

    number 17  -->  A_17, labels_17        x_t = A_17 image_t,  y_t = labels_17(class of image_t)

    step      0          1          2                        (delay 1)
    x         A image    A image    A image                  images of the same task, drawn at random
    y         3          0          3                        what to answer now
    y_seen    null       3          0                        the label shown with it

Images are taken less the mean image of the data set, which all share, and which would hide in what they differ.

With few tasks a learner can know them all by heart; with many it can only learn to learn them.
"""

import torch
from torch import Generator, Tensor

from metamemory.settings import Count, Index, Share
from metamemory.shapes import Float, Int
from metamemory.tasks.episode import Episode
from metamemory.tasks.online_few_shot import delayed, shots
from metamemory.tasks.sampling import require, require_images
from metamemory.tasks.stream import Stream

NO_END = 2**24  # tasks where their number is None
TYPICAL = 200  # images of a class that the mean is taken of
SEEDS = 2**32 // NO_END  # of tasks: a generator on the CPU looks at 32 bits of its seed


class Projected(Stream):
    """Episodes of one task each.

    Args:
        images: [class, image, channel, height, width] uint8.
        n_way: classes in a task.
        steps: images of an episode, each of a class at random.
        features: numbers that an image is projected to; they come as an image of one row.
        tasks: how many there are; None: no end of them.
        fixed_labels: share of training episodes in which classes keep the labels 0 to n_way - 1, as the first classes
            have them. It helps a learner off a plateau: in these, what is asked can be learned without the context.
        task_seed: of the tasks; those of another seed are all others.
        images_per_class: different images of a class in an episode, which come again and again; None: drawn of all. For
            the start of a curriculum: an image that comes again is recognised by its likeness alone.

    Raises:
        UserError: a setting is out of its range.

    Example:
        >>> images = torch.randint(0, 256, (12, 20, 1, 8, 8), dtype=torch.uint8)
        >>> Projected(images, n_way=3, steps=20, features=32).sample(8, torch.Generator().manual_seed(0)).x.shape
        torch.Size([20, 8, 1, 1, 32])
    """

    def __init__(
        self,
        images: Tensor,
        n_way: Count,
        steps: Count,
        features: Count,
        tasks: Count | None = None,
        fixed_labels: Share = 0.0,
        task_seed: Index = 0,
        images_per_class: Count | None = None,
    ):
        require_images(images)
        require("n_way", n_way, 2, images.shape[0], "the classes of the data set")
        require("steps", steps, 2, None, "a label can be known from the second step on")
        require("features", features, 1, None, "numbers of an input")
        if tasks is not None:
            require("tasks", tasks, 1, NO_END, "one at least")
        require("task_seed", task_seed, 0, SEEDS - 1, "seeds whose tasks are all others")
        if images_per_class is not None:
            require("images_per_class", images_per_class, 1, images.shape[1], "the images of a class")
        self.images, self.n_way, self.length, self.features = images, n_way, steps, features
        self.tasks, self.fixed_labels, self.task_seed = tasks, fixed_labels, task_seed
        self.images_per_class = images_per_class
        pixels = images[:, :TYPICAL].flatten(2).float() / 255
        self.mean = pixels.mean(dim=(0, 1))
        self.deviation = (pixels - self.mean).std().clamp(min=1e-3)

    def __str__(self) -> str:
        return f"{self.tasks or 'all'} tasks"

    @property
    def device(self) -> torch.device:
        return self.images.device

    def task(self, number: int) -> tuple[Float[Tensor, "features pixels"], Int[Tensor, " n_way"]]:
        """The matrix of a task, and the class of each label."""
        draw = Generator().manual_seed(self.task_seed * NO_END + number)
        pixels = self.images[0, 0].numel()
        matrix = torch.randn(self.features, pixels, generator=draw) / pixels**0.5
        return matrix, torch.randperm(self.images.shape[0], generator=draw)[: self.n_way]

    def sample(self, batch: int, generator: Generator) -> Episode:
        """Draw a batch of episodes; the generator, on the device of the images, decides everything."""
        numbers = torch.randint(self.tasks or NO_END, (batch,), generator=generator, device=self.device)
        drawn = [self.task(number) for number in numbers.tolist()]
        matrices, classes = (torch.stack(each).to(self.device) for each in zip(*drawn, strict=True))
        if self.fixed_labels:
            fixed = torch.rand(batch, 1, generator=generator, device=self.device) < self.fixed_labels
            classes = torch.where(fixed, torch.arange(self.n_way, device=self.device), classes)
        shape = (self.length, batch)
        y = torch.randint(self.n_way, shape, generator=generator, device=self.device)
        image = self._images(y, generator)
        seen = self.images[classes.T.gather(0, y), image].flatten(2)  # [time, batch, pixels]
        x = (seen.float() / 255 - self.mean) / self.deviation
        x = torch.einsum("tbp,bfp->tbf", x, matrices)[:, :, None, None]
        return Episode(x=x, y_seen=delayed(y, 1), y=y, shot=shots(y, 1))

    def _images(self, y: Int[Tensor, "time batch"], generator: Generator) -> Int[Tensor, "time batch"]:
        """Which image of its class each step shows."""
        if self.images_per_class is None:
            return torch.randint(self.images.shape[1], y.shape, generator=generator, device=self.device)
        few = (self.images_per_class, self.n_way, y.shape[1])
        chosen = torch.randint(self.images.shape[1], few, generator=generator, device=self.device)
        which = torch.randint(self.images_per_class, y.shape, generator=generator, device=self.device)
        return chosen[which, y, torch.arange(y.shape[1], device=self.device)]
