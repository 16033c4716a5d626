"""The exact posterior of functions that switch between two Gaussian processes, or of one process, with its
hyper-parameters known: what no learner can do better that answers with a mean and a variance.

Of one process, with the known values y at places X, and k(x, x') = exp(-|x - x'|^2 / (2 length_scale^2)):

    mean = k_* (K + noise^2)^-1 y            variance = 1 + noise^2 - k_* (K + noise^2)^-1 k_*^T

Where a function switches at s, uniform in [-reach, reach] along the first axis, from one process to another, only the
values on a place's own side tell of it. All that matters of s is between which two of the N known places it lies: there
are N + 1 cases.

    p(case | y) ~ length of the case's interval  N(y_left; 0, K_1 + noise^2)  N(y_right; 0, K_2 + noise^2)
    p(y_* | y) = sum over cases of p(case | y) ( P(x_* < s | case) N_left(y_*) + P(x_* > s | case) N_right(y_*) )

This mixture is answered by its own mean and variance: of all normal densities, that one has the highest expected
log-likelihood.

It keeps every value, and what it does for an answer takes a cube of their number.

Shape legend: N known, M asked for, B batch, D numbers of a place, J cases.
"""

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as fn

from metamemory.models.learner import Learner
from metamemory.nn.labels import Labels, Values, labels_for
from metamemory.settings import Items, Positive
from metamemory.shapes import Float


class Samples(NamedTuple):
    """The places so far, [T, B, D], and the values shown with them, [T, B, 1], the first of which is null."""

    x: Tensor
    y_seen: Tensor


class ExactProcess(Learner):
    """The posterior; nothing to train.

    Args:
        input_shape: (D,).
        n_way: how values are written (`nn.labels.Values`), of one number.
        length_scales: of the process; or of the two, on the left and on the right of the switch.
        noise, reach: of the functions.

    Example:
        >>> from metamemory.nn.labels import Values
        >>> learner = ExactProcess((1,), Values(1))
        >>> learner.answer_queries(torch.rand(10, 2, 1), torch.rand(10, 2, 1), torch.rand(4, 2, 1)).shape
        torch.Size([4, 2, 2])
    """

    title = "Exact Gaussian process"
    paper = "garnelo2018"
    answers = "value"
    trained_by = "nothing"
    told = ("length_scales", "noise", "reach")

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_way: int | Labels,
        length_scales: Annotated[Sequence[Positive], Items(least=1, most=2)] = (0.4,),
        noise: Positive = 0.02,
        reach: Positive = 2.0,
    ):
        super().__init__()
        self.labels = labels_for("exact_process", n_way, Values)
        self.length_scales, self.noise, self.reach = tuple(length_scales), noise, reach
        self.register_buffer("origin", torch.zeros(torch.Size(input_shape).numel()), persistent=False)

    def answer_queries(
        self,
        support_x: Float[Tensor, "support batch place"],
        support_y: Float[Tensor, "support batch 1"],
        query_x: Float[Tensor, "query batch place"],
    ) -> Float[Tensor, "query batch 2"]:
        """As in `Learner`."""
        x, places = (each.transpose(0, 1).double() for each in (support_x, query_x))  # [B, N, D], [B, M, D]
        y = support_y[..., 0].T.double()
        x = x.where(~y.isnan()[..., None], self.reach)  # what is not known lies at the end, its interval is empty
        order = x[..., 0].argsort(dim=-1, stable=True)
        x, y = x.gather(1, order[..., None].expand_as(x)), y.gather(1, order)
        mean, variance = self._posterior(x, y, places)
        return torch.stack([mean, variance.log()], dim=-1).float().transpose(0, 1)

    def initial_state(self, batch: int) -> Samples:
        empty = self.origin.new_zeros(0, batch, len(self.origin))
        return Samples(empty, empty.new_zeros(0, batch, 1))

    def step(
        self, x_t: Float[Tensor, "batch place"], y_seen_t: Float[Tensor, "batch 1"], state: Samples
    ) -> tuple[Float[Tensor, "batch 2"], Samples]:
        state = Samples(torch.cat([state.x, x_t[None]]), torch.cat([state.y_seen, y_seen_t[None]]))
        return self.answer_queries(state.x[:-1], state.y_seen[1:], x_t[None])[0], state

    def _posterior(self, x: Tensor, y: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, N, D] in order, y [B, N] nan where not known; places [B, M, D] -> mean and variance [B, M]."""
        n = x.shape[1]
        cases = [n] if len(self.length_scales) == 1 else range(n + 1)  # how many of the known lie on the left
        left = torch.arange(n, device=x.device) < torch.tensor(cases, device=x.device)[:, None]  # [J, N]
        length, on_left = self._cases(x[..., 0], places[..., 0])
        root, alpha = self._solved(x, y, left)
        weight = length.log() + self._evidence(root, alpha, y)  # [B, J]
        share, first, second = weight.softmax(dim=-1)[..., None], 0.0, 0.0
        for scale, side, of_side in self._sides(left, on_left):
            cross = self._kernel(places, x, scale)[:, None] * (side & ~y.isnan()[:, None])[:, :, None]  # [B, J, M, N]
            mean = (cross @ alpha[..., None])[..., 0]
            white = torch.linalg.solve_triangular(root, cross.transpose(-1, -2), upper=False)
            variance = 1 + self.noise**2 - white.square().sum(dim=-2)
            first = first + (share * of_side * mean).sum(dim=1)
            second = second + (share * of_side * (variance + mean.square())).sum(dim=1)
        return first, (second - first.square()).clamp(min=self.noise**2)

    def _cases(self, x: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Length of the interval of each case [B, J], and how likely a place is on its left [B, J, M]; x [B, N] in
        order, places [B, M]."""
        if len(self.length_scales) == 1:
            return x.new_ones(len(x), 1), places.new_ones(len(x), 1, places.shape[1])
        begin, end = fn.pad(x, (1, 0), value=-self.reach), fn.pad(x, (0, 1), value=self.reach)
        length = (end - begin).clamp(min=0)
        share = (end[..., None] - places[:, None]) / length[..., None].clamp(min=1e-300)
        return length, share.clamp(0, 1)

    def _sides(self, left: Tensor, on_left: Tensor) -> list[tuple[float, Tensor, Tensor]]:
        """Length scale, which of the known are there [J, N], and how likely a place is [B, J, M]; left, then right."""
        return list(zip(self.length_scales, (left, ~left), (on_left, 1 - on_left), strict=False))

    def _solved(self, x: Tensor, y: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
        """In each case, the Cholesky factor L of the covariance of what is known [B, J, N, N], and (L L^T)^-1 y
        [B, J, N]. What is not known has a variance of 1 and a value of 0."""
        known = ~y.isnan()[:, None]  # [B, 1, N]
        covariance = 0.0
        for scale, side in zip(self.length_scales, (left, ~left), strict=False):
            there = side & known  # [B, J, N]
            covariance = covariance + self._kernel(x, x, scale)[:, None] * (there[..., None] & there[..., None, :])
        diagonal = torch.where(known, self.noise**2, 1.0).expand(-1, len(left), -1)
        root = torch.linalg.cholesky(covariance + torch.diag_embed(diagonal))
        values = y.nan_to_num(0.0)[:, None, :, None].expand(-1, len(left), -1, -1)
        return root, torch.cholesky_solve(values, root)[..., 0]

    @staticmethod
    def _evidence(root: Tensor, alpha: Tensor, y: Tensor) -> Tensor:
        """Log-density of the known values in each case, [B, J]."""
        log_determinant = 2 * root.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
        squares = (alpha * y.nan_to_num(0.0)[:, None]).sum(dim=-1)
        return -(squares + log_determinant + y.shape[-1] * math.log(2 * math.pi)) / 2

    @staticmethod
    def _kernel(one: Tensor, other: Tensor, length_scale: float) -> Tensor:
        """[B, M, D], [B, N, D] -> [B, M, N]."""
        return (
            (torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist") / length_scale).square().div(-2).exp()
        )
