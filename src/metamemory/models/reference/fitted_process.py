"""A Gaussian process for images, whose few hyper-parameters are trained as a learner's weights are.

    k(x, x') = amplitude^2 exp(-|x - x'| / length_scale)         y = mean + f(x) + noise e,  f ~ GP(0, k)

for each channel on its own, with the same kernel; a mean for each. Garnelo et al. (2018, section 4.2) compare with a
process and do not say which; this kernel, whose functions are continuous and not smooth, is our choice: images have
edges.

Where n values are known, an answer takes a cube of n.

Shape legend: N known, M asked for, B batch, D numbers of a place, V channels.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from metamemory.models.learner import Learner
from metamemory.nn.labels import Labels, Values, labels_for
from metamemory.shapes import Float

JITTER = 1e-6  # added to the noise's variance


class Samples(NamedTuple):
    """The places so far, [T, B, D], and the values shown with them, [T, B, V], the first of which is null."""

    x: Tensor
    y_seen: Tensor


class FittedProcess(Learner):
    """Length scale, amplitude, noise and means, and the posterior.

    Args:
        input_shape: (D,).
        n_way: how values are written (`nn.labels.Values`), V numbers each.

    Example:
        >>> from metamemory.nn.labels import Values
        >>> learner = FittedProcess((1,), Values(1))
        >>> learner.answer_queries(torch.rand(10, 2, 1), torch.rand(10, 2, 1), torch.rand(4, 2, 1)).shape
        torch.Size([4, 2, 2])
    """

    title = "Gaussian process, fitted"
    paper = "garnelo2018"
    answers = "value"

    def __init__(self, input_shape: tuple[int, ...], n_way: int | Labels):
        super().__init__()
        self.labels = labels_for("fitted_process", n_way, Values)
        self.input_shape = tuple(input_shape)
        self.mean = nn.Parameter(torch.full((self.labels.size,), 0.5))
        self.log_length_scale = nn.Parameter(torch.tensor(0.3).log())
        self.log_amplitude = nn.Parameter(torch.tensor(0.3).log())
        self.log_noise = nn.Parameter(torch.tensor(0.1).log())

    def answer_queries(
        self,
        support_x: Float[Tensor, "support batch place"],
        support_y: Float[Tensor, "support batch value"],
        query_x: Float[Tensor, "query batch place"],
    ) -> Float[Tensor, "query batch answer"]:
        """As in `Learner`."""
        x, y, places = (each.transpose(0, 1).double() for each in (support_x, support_y, query_x))
        known = ~y.isnan().any(dim=-1)  # [B, N]
        values = (y - self.mean).nan_to_num(0.0) * known[..., None]
        noise = (2 * self.log_noise).exp().double() + JITTER
        # what is not known has a variance of 1 and a value of 0
        covariance = self._kernel(x, x) * (known[:, :, None] & known[:, None])
        root = torch.linalg.cholesky(covariance + torch.diag_embed(torch.where(known, noise, 1.0)))
        cross = self._kernel(places, x) * known[:, None]  # [B, M, N]
        white = torch.linalg.solve_triangular(root, cross.transpose(1, 2), upper=False)  # [B, N, M]
        mean = self.mean + white.transpose(1, 2) @ torch.linalg.solve_triangular(root, values, upper=False)
        variance = (2 * self.log_amplitude).exp() + noise - white.square().sum(dim=1)  # [B, M]
        log_variance = variance.clamp(min=JITTER).log()[..., None].expand_as(mean)
        return torch.cat([mean, log_variance], dim=-1).float().transpose(0, 1)

    def initial_state(self, batch: int) -> Samples:
        zeros = self.mean.new_zeros
        return Samples(zeros(0, batch, *self.input_shape), zeros(0, batch, self.labels.size))

    def step(
        self, x_t: Float[Tensor, "batch place"], y_seen_t: Float[Tensor, "batch value"], state: Samples
    ) -> tuple[Float[Tensor, "batch answer"], Samples]:
        state = Samples(torch.cat([state.x, x_t[None]]), torch.cat([state.y_seen, y_seen_t[None]]))
        return self.answer_queries(state.x[:-1], state.y_seen[1:], x_t[None])[0], state

    def _kernel(self, one: Tensor, other: Tensor) -> Tensor:
        """[B, M, D], [B, N, D] -> [B, M, N]."""
        distance = torch.cdist(one, other)
        return (2 * self.log_amplitude - distance / self.log_length_scale.exp()).exp()
