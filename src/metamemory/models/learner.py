"""What every learner of the study can do."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as fn


class Learner(nn.Module):
    """A model that learns a task within an episode, from inputs and labels shown one step at a time.

    A subclass is built as `Subclass(input_shape, n_way, **settings)` with input_shape = (channel, height,
    width), and defines `initial_state`, `step` and `forward`; `forward` is the unrolled `step`, as fast as
    it can be had, and agrees with it in evaluation mode. One that learns from a support set by gradient descent
    also has `adapt_and_answer(support_x, support_y, query_x)` -> logits [query, batch, n_way].

    Attributes:
        transductive: whether an answer may depend on other inputs that are to be answered at the same time.
    """

    transductive: ClassVar[bool] = False

    def initial_state(self, batch: int) -> Any:
        """The state before the first step of `batch` episodes: a NamedTuple of tensors."""
        raise NotImplementedError

    def step(self, x_t: Tensor, y_seen_t: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Online use. x_t [batch, channel, height, width], y_seen_t [batch] (-1 null) -> logits [batch, n_way]
        and the next state."""
        raise NotImplementedError

    def forward(self, x: Tensor, y_seen: Tensor) -> Tensor:
        """A whole episode. x [time, batch, ...], y_seen [time, batch] -> logits [time, batch, n_way]."""
        raise NotImplementedError

    def predict(self, query_x: Tensor, state: Any) -> Tensor:
        """Answers from a frozen state: each query [query, batch, ...] on its own, without a label."""
        null = torch.full(query_x.shape[1:2], -1, device=query_x.device)
        return torch.stack([self.step(x, null, state)[0] for x in query_x])


def one_hot(y: Tensor, n_way: int) -> Tensor:
    """[...] int64 -> [..., n_way] float32; the null label -1 is all zeros."""
    return fn.one_hot(y + 1, n_way + 1)[..., 1:].float()
