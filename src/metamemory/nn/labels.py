"""How labels are written for a network, and how many numbers an answer takes.

    Classes(K)          one of K labels: one-hot in, K logits out
    Characters(L, K)    a string of L characters out of K: L one-hots side by side in, L K logits out
    Values(D)           D real numbers: themselves in; a mean and the logarithm of a variance for each out

What is not known yet, the null label, is all zeros.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as fn


@dataclass(frozen=True)
class Classes:
    """One label out of n_way: int64 [...], -1 null."""

    n_way: int

    @property
    def inputs(self) -> int:
        return self.n_way

    @property
    def outputs(self) -> int:
        return self.n_way

    def __call__(self, y: Tensor) -> Tensor:
        """[...] -> [..., inputs] float32."""
        return one_hot(y, self.n_way)


@dataclass(frozen=True)
class Characters:
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

    def __call__(self, y: Tensor) -> Tensor:
        """[..., length] -> [..., inputs] float32."""
        return one_hot(y, self.alphabet).flatten(-2)


@dataclass(frozen=True)
class Values:
    """`size` real numbers: float32 [..., size], nan null. Its answer, [..., 2 * size], holds means, then logarithms of
    variances."""

    size: int

    @property
    def inputs(self) -> int:
        return self.size

    @property
    def outputs(self) -> int:
        return 2 * self.size

    def __call__(self, y: Tensor) -> Tensor:
        """[..., size] -> [..., inputs] float32."""
        return y.nan_to_num(0.0)


Labels = Classes | Characters | Values


def labels_of(n_way: int | Labels) -> Labels:
    """A number of classes stands for `Classes`."""
    return Classes(n_way) if isinstance(n_way, int) else n_way


def one_hot(y: Tensor, n_way: int) -> Tensor:
    """[...] int64 -> [..., n_way] float32; the null label -1 is all zeros."""
    return fn.one_hot(y + 1, n_way + 1)[..., 1:].float()
