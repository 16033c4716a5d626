"""What every learner of the study can do."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn


class Learner(nn.Module):
    """A model that learns a task within an episode, from inputs and labels shown one step at a time.

    A subclass is built as `Subclass(input_shape, n_way, **settings)` with input_shape = (channel, height, width); one
    that stores samples until their labels come takes `delay` besides, and is told it. It defines `initial_state` and
    `run`, of which `step` and `forward` are the two ends: one step, and a whole episode. One whose steps cost less on
    their own than within an episode defines these two instead, so that they agree in evaluation mode. One that learns
    from a support set by gradient descent also has `adapt_and_answer(support_x, support_y, query_x)` -> logits [query,
    batch, n_way].

    Attributes:
        transductive: whether an answer may depend on other inputs that are to be answered at the same time.
        answers: what an answer is: a "label" that the episode deals out, a "mask" of such labels, one a pixel, an
            "image"'s class, the same in every episode, which only weights can know, or a "value" of a function.
    """

    transductive: ClassVar[bool] = False
    answers: ClassVar[str] = "label"

    def initial_state(self, batch: int) -> Any:
        """The state before the first step of `batch` episodes: a NamedTuple of tensors."""
        raise NotImplementedError

    def run(self, x: Tensor, y_seen: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Go on with an episode: x [time, batch, channel, height, width] float32, y_seen [time, batch] int64 (-1
        null) -> logits [time, batch, n_way] float32 and the state after the last step."""
        raise NotImplementedError

    def step(self, x_t: Tensor, y_seen_t: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Online use. x_t [batch, channel, height, width], y_seen_t [batch] (-1 null) -> logits [batch, n_way]
        and the next state."""
        logits, state = self.run(x_t[None], y_seen_t[None], state)
        return logits[0], state

    def forward(self, x: Tensor, y_seen: Tensor) -> Tensor:
        """A whole episode. x [time, batch, ...], y_seen [time, batch] -> logits [time, batch, n_way]."""
        return self.run(x, y_seen, self.initial_state(x.shape[1]))[0]

    def predict(self, query_x: Tensor, state: Any) -> Tensor:
        """Answers from a frozen state: each query [query, batch, ...] on its own, without a label."""
        null = torch.full(query_x.shape[1:2], -1, device=query_x.device)
        return torch.stack([self.step(x, null, state)[0] for x in query_x])
