"""What a learner keeps whose weights an evolution strategy finds (`training.evolution.Covariance`)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector


class Told(nn.Module):
    """For a learner's class to have before the learner's own.

    Attributes:
        origin: its weights at the start, [weights].
        told: the losses that the strategy was told, [generation, population] float64. From these two the strategy is
            built again where a training goes on.
    """

    origin: Tensor

    def __init__(self, *given: Any, **named: Any):
        super().__init__(*given, **named)
        self.register_buffer("origin", parameters_to_vector(self.parameters()).detach().clone())
        self.told = torch.zeros(0, 0, dtype=torch.float64)

    def get_extra_state(self) -> Tensor:
        return self.told

    def set_extra_state(self, state: Tensor) -> None:
        self.told = state.cpu()
