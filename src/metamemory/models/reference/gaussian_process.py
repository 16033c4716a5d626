"""The exact posterior of a Gaussian process whose hyper-parameters are known (Santoro et al. 2016, section 4.3, Figures
5 and 6): what no learner can do better in the long run.

    k(x, x') = exp(-|x - x'|^2 / (2 length_scale^2)),     y = f(x) + noise e
    mean = k_* (K + noise^2)^-1 y          variance = 1 + noise^2 - k_* (K + noise^2)^-1 k_*^T

of the next value, given all values before. With the Cholesky factor L of the covariance of all values of an episode,
all of them come at once: y = L z, so that y_t, given those before it, has the mean sum_{s < t} L_ts z_s and the
variance L_tt^2.

Like the paper's, it keeps every sample, is told the hyper-parameters, and does at every step what takes a cube of the
number of samples.

Shape legend: T steps, B batch, D dimensions.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from metamemory.models.learner import Learner
from metamemory.nn.labels import Labels, Values, labels_for
from metamemory.settings import Positive
from metamemory.shapes import Float


class Samples(NamedTuple):
    """The places so far, [T, B, D], and the values shown with them, [T, B, 1], the first of which is null."""

    x: Tensor
    y_seen: Tensor


class GaussianProcess(Learner):
    """The posterior; nothing to train.

    Args:
        input_shape: (D,).
        n_way: how values are written (`nn.labels.Values`), of one number.
        length_scale, noise: of the functions.

    Example:
        >>> from metamemory.nn.labels import Values
        >>> learner = GaussianProcess((1,), Values(1))
        >>> learner.answer_queries(torch.rand(10, 2, 1), torch.rand(10, 2, 1), torch.rand(4, 2, 1)).shape
        torch.Size([4, 2, 2])
    """

    title = "Gaussian process"
    paper = "santoro2016"
    answers = "value"
    trained_by = "nothing"
    told = ("length_scale", "noise")

    def __init__(
        self, input_shape: tuple[int, ...], n_way: int | Labels, length_scale: Positive = 1.0, noise: Positive = 0.1
    ):
        super().__init__()
        self.labels = labels_for("gaussian_process", n_way, Values)
        self.length_scale, self.noise = length_scale, noise
        self.register_buffer("origin", torch.zeros(torch.Size(input_shape).numel()), persistent=False)

    def initial_state(self, batch: int) -> Samples:
        empty = self.origin.new_zeros(0, batch, len(self.origin))
        return Samples(empty, empty[..., :1])

    def run(
        self, x: Float[Tensor, "time batch dimensions"], y_seen: Float[Tensor, "time batch 1"], state: Samples
    ) -> tuple[Float[Tensor, "time batch 2"], Samples]:
        """x [T, B, D], y_seen [T, B, 1] -> mean and logarithm of the variance of each value, [T, B, 2]."""
        state = Samples(torch.cat([state.x, x]), torch.cat([state.y_seen, y_seen]))
        return self._posterior(*state)[-len(x) :], state

    def _posterior(self, x: Tensor, y_seen: Tensor) -> Tensor:
        """Of all values so far: [T, B, D], [T, B, 1] -> [T, B, 2]."""
        places = x.transpose(0, 1).double()
        covariance = (torch.cdist(places, places) / self.length_scale).square().div(-2).exp()
        noise = self.noise**2 * torch.eye(len(x), dtype=torch.float64, device=x.device)
        root = torch.linalg.cholesky(covariance + noise)
        # the last value has not been shown; no mean depends on it
        y = torch.cat([y_seen[1:], torch.zeros_like(y_seen[:1])]).transpose(0, 1).double()
        z = torch.linalg.solve_triangular(root, y, upper=False)
        own = root.diagonal(dim1=-2, dim2=-1)[..., None]
        mean, log_variance = root @ z - own * z, 2 * own.log()
        return torch.cat([mean, log_variance], dim=-1).float().transpose(0, 1)
