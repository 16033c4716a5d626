"""How labels are written for a network, and how many numbers an answer takes.

    Classes(K)          one of K labels: one-hot in, K logits out
    Characters(L, K)    a string of L characters out of K: L one-hots side by side in, L K logits out
    Values(D)           D real numbers: themselves in; a mean and the logarithm of a variance for each out
    Masks(H, W)         object or ground for each pixel: a plane in, a logit for each pixel out

What is not known yet is shown as the null label, which a network reads as zeros (of masks, as a plane of -1).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.refusals import Sizes
from metamemory.shapes import Float, Int


@dataclass(frozen=True)
class Classes(Sizes):
    """One label out of n_way: int64 [...], -1 null."""

    n_way: int

    @property
    def inputs(self) -> int:
        return self.n_way

    @property
    def outputs(self) -> int:
        return self.n_way

    def __call__(self, y: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape inputs"]:
        """[...] -> [..., inputs] float32."""
        return one_hot(y, self.n_way)

    def null(self, *shape: int, device: torch.device | str | None = None) -> Tensor:
        """The null label, int64 [*shape]."""
        return torch.full(shape, -1, device=device)

    def __str__(self) -> str:
        return f"{self.n_way} classes"


@dataclass(frozen=True)
class Characters(Sizes):
    """A string of `length` characters out of `alphabet`: int64 [..., length], -1 null (Santoro et al. 2016, section
    4.1). Its answer, [..., length * alphabet], holds the logits of one character after the other."""

    length: int
    alphabet: int

    @property
    def inputs(self) -> int:
        return self.length * self.alphabet

    @property
    def outputs(self) -> int:
        return self.length * self.alphabet

    def __call__(self, y: Int[Tensor, "*shape length"]) -> Float[Tensor, "*shape inputs"]:
        """[..., length] -> [..., inputs] float32."""
        return one_hot(y, self.alphabet).flatten(-2)

    def null(self, *shape: int, device: torch.device | str | None = None) -> Tensor:
        """The null label, int64 [*shape, length]."""
        return torch.full((*shape, self.length), -1, device=device)

    def __str__(self) -> str:
        return f"strings of {self.length} characters"


@dataclass(frozen=True)
class Values(Sizes):
    """`size` real numbers: float32 [..., size], nan null. Its answer, [..., 2 * size], holds means, then logarithms of
    variances."""

    size: int

    @property
    def inputs(self) -> int:
        return self.size

    @property
    def outputs(self) -> int:
        return 2 * self.size

    def __call__(self, y: Float[Tensor, "*shape size"]) -> Float[Tensor, "*shape inputs"]:
        """[..., size] -> [..., inputs] float32."""
        return y.nan_to_num(0.0)

    def null(self, *shape: int, device: torch.device | str | None = None) -> Tensor:
        """The null label, float32 [*shape, size]."""
        return torch.full((*shape, self.size), torch.nan, device=device)

    def __str__(self) -> str:
        return f"{self.size} real numbers"


@dataclass(frozen=True)
class Masks(Sizes):
    """Object or ground for each pixel: float32 [..., height, width], 1 on the object, 0 on the ground, -1 everywhere
    for null. Its answer, [..., height, width], holds the logit of the object."""

    height: int
    width: int

    @property
    def inputs(self) -> int:
        return self.height * self.width

    @property
    def outputs(self) -> int:
        return self.height * self.width

    def __call__(self, y: Float[Tensor, "*shape height width"]) -> Float[Tensor, "*shape inputs"]:
        """[..., height, width] -> [..., inputs] float32."""
        return y.flatten(-2).float()

    def null(self, *shape: int, device: torch.device | str | None = None) -> Tensor:
        """The null label, float32 [*shape, height, width]."""
        return torch.full((*shape, self.height, self.width), -1.0, device=device)

    def __str__(self) -> str:
        return f"masks of {self.width}x{self.height} pixels"


Labels = Classes | Characters | Values | Masks
WRITTEN = (Classes, Characters, Values)  # side by side with features, in one vector


def labels_of(n_way: int | Labels) -> Labels:
    """A number of classes stands for `Classes`."""
    return Classes(n_way) if isinstance(n_way, int) else n_way


def labels_for(learner: str, n_way: int | Labels, *kinds: type[Labels]) -> Labels:
    """The labels of a learner that knows labels of these kinds.

    Raises:
        UserError: they are of another kind.
    """
    labels = labels_of(n_way)
    if not isinstance(labels, kinds):
        known = " or ".join(kind.__name__ for kind in kinds)
        raise UserError(f"{learner}: cannot answer with {labels}; its labels must be {known}")
    return labels


@torch.no_grad()
def amplify_labels(weight: Float[Tensor, "units inputs"], labels: Labels, gain: float) -> None:
    """Make the weights that read the label `gain` times as large as they were drawn.

    A label is a few numbers of an input of some four hundred, and next to a drawing it is hardly heard: a network has
    to find out first that it is there.

    Args:
        weight: [unit, input] of the first layer, whose last inputs are the label; changed in place.
        labels: how the label is written.
        gain: 1 changes nothing.
    """
    weight[:, weight.shape[1] - labels.inputs :] *= gain


def one_hot(y: Int[Tensor, "*shape"], n_way: int) -> Float[Tensor, "*shape n_way"]:
    """[...] int64 -> [..., n_way] float32; the null label -1 is all zeros."""
    return fn.one_hot(y + 1, n_way + 1)[..., 1:].float()
