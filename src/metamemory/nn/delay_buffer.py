"""Embeddings that wait for their label.

A method that files a sample under its class needs the sample and its label together. Where labels come `delay`
steps late it has to know the delay and to keep as many embeddings: more than the protocol gives the learners
that only see the stream (Babu et al. 2021, section 4.2).
"""

import torch
from torch import Tensor

from metamemory.shapes import Float


def until_labelled(
    waiting: Float[Tensor, "delay batch *shape"], e: Float[Tensor, "time batch *shape"]
) -> tuple[Float[Tensor, "time batch *shape"], Float[Tensor, "delay batch *shape"]]:
    """The embeddings whose labels are shown now, and those that wait after that.

    Args:
        waiting: [delay, B, ...], the oldest first; zeros at the start of an episode, when the labels shown are null.
        e: [T, B, ...], those of the next T steps.

    Returns:
        [T, B, ...], at each step the embedding of `delay` steps before; and the next `waiting`.
    """
    stream = torch.cat([waiting, e])
    return stream[: len(e)], stream[len(e) :]
