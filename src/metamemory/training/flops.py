"""Floating-point operations, counted without doing them (1 multiply-add = 2 FLOPs)."""

import copy

import torch
from torch.utils.flop_counter import FlopCounterMode

from metamemory.models.learner import Learner


def flops_per_step(learner: Learner, input_shape: tuple[int, int, int]) -> int:
    """FLOPs of one step of one episode, forward only: products of convolutions and matrices.

    Counted on the meta device, where torch counts its LSTM right (on the CPU it reports none), on a copy.
    """
    ghost = copy.deepcopy(learner).to("meta").eval()
    x = torch.empty(1, *input_shape, device="meta")
    y = torch.empty(1, dtype=torch.int64, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        ghost.step(x, y, ghost.initial_state(1))
    return counter.get_total_flops()
