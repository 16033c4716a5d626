"""Floating-point operations, counted without doing them: products of convolutions and matrices, 1 multiply-add being 2
FLOPs.

Counted on the meta device, where torch counts its LSTM right (on the CPU it reports none), on a copy of the learner in
evaluation mode.
"""

import copy
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from metamemory.models.learner import Learner
from metamemory.nn.labels import Labels, labels_of

Module = TypeVar("Module", bound=nn.Module)


def flops_per_step(learner: Learner, input_shape: tuple[int, ...], labels: int | Labels = 1) -> int:
    """FLOPs of the first step of one episode, forward only.

    Args:
        input_shape: of one input: (channel, height, width) or (feature,).
        labels: how the labels of the episode are written; a number of classes may be left out, as a label is one
            number however many there are.
    """
    x = torch.empty(1, *input_shape, device="meta")
    y = labels_of(labels).null(1, device="meta")
    return flops_of(learner, lambda ghost: ghost.step(x, y, ghost.initial_state(1)))


def flops_of(module: Module, call: Callable[[Module], object], gradients: bool = False) -> int:
    """FLOPs of `call(ghost)`, the ghost being a copy of the module on the meta device in evaluation mode.

    Args:
        gradients: let the call take gradients; their products are counted as well.
    """
    ghost = copy.deepcopy(module).to("meta").eval()
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(gradients):
        call(ghost)
    return counter.get_total_flops()
