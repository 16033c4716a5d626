"""Reptile (Nichol, Achiam and Schulman 2018).

A start, W, from which a network is trained on a task in a few steps; it is moved towards where they lead:

    W~ = W after n steps of Adam on samples of the task          W <- W + epsilon (mean over tasks of W~ - W)

(their Algorithm 2). No gradient goes through the steps, and none is taken of a loss on other samples: the support set
is all that a task is trained on, and in training it is larger than in tests (10 samples a class for 1 or 5).

How it is trained here. W~ - W is no gradient of a loss. What is asked of a learner are answers to queries, and what it
is moved by is the gradient of their loss; so the answers are those of W~, and whatever they are worth, the gradient
that they hand back to W is W - W~. With an optimiser that takes plain steps (`sgd`, `momentum` 0, no clipping), the
learning rate is epsilon, and a `cooldown` of 1 its linear fall, as the paper has it. The loss of a few queries is for
display.

From the paper and the authors' code: all of the above; four convolutions of 64 filters with a stride of 2, whose maps
the last layer reads (on photographs 32 filters and pooling); Adam with beta1 = 0, whose second moment v is never reset,
in tests goes on from where training left it, and is put back; steps on `inner_batch` samples at a time; more steps in
tests. Batch statistics, always: of the samples of a step, then, `transductive`, of all queries together, or else of
the support set and one query at a time, each answered on its own.

Our choices: all tasks of an update begin with the same v, and the mean of theirs is kept, where theirs pass it on from
task to task; the support set, which is in random order, is gone through in that order again and again. In a stream,
which the paper does not have, the weights take one plain step for every labelled sample (`models.gradient.online_sgd`),
and each sample is normalised on its own, over its channels and pixels.

An output belongs to a label, as in `models.gradient.maml`.

Shape legend: S support samples, Q queries, N samples, B tasks, K ways, D features.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from metamemory.models.gradient.online_sgd import OnlineSGD, Weights, linear
from metamemory.nn import inner_loop
from metamemory.nn.episode_network import EpisodeNetwork
from metamemory.nn.labels import Labels, one_hot
from metamemory.settings import Count, Positive, Width
from metamemory.shapes import Float, Int

ABSENT = -1e9  # logit of a label that the support set does not have: finite, so that gradients are
BETA_2, TINY = 0.999, 1e-8  # of Adam


class Reptile(OnlineSGD):
    """A start that is moved towards the weights that tasks are learned with.

    Args:
        input_shape: (channel, height, width).
        n_way: K, the number of labels.
        delay: steps between a sample and its label, in a stream.
        filters: of each convolution.
        strided: convolutions have a stride of 2; else 2x2 max pooling after each.
        inner_steps, inner_batch: n and the samples of a step, in training.
        test_steps, test_batch: the same in evaluation.
        inner_rate: of Adam.
        rate: of the steps in a stream.
        transductive: queries are normalised together; else each with the support set.

    Example:
        >>> learner = Reptile((1, 28, 28), n_way=5, filters=8).eval()
        >>> support, queries = torch.rand(5, 4, 1, 28, 28), torch.rand(25, 4, 1, 28, 28)
        >>> learner.answer_queries(support, torch.arange(5)[:, None].expand(5, 4), queries).shape
        torch.Size([25, 4, 5])
    """

    title = "Reptile"
    paper = "nichol2018"
    adapts = True

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        delay: int = 1,
        filters: Width = 64,
        strided: bool = True,
        inner_steps: Count = 5,
        inner_batch: Count = 10,
        test_steps: Count = 50,
        test_batch: Count = 5,
        inner_rate: Positive = 1e-3,
        rate: Positive = 0.01,
        transductive: bool = False,
    ):
        super().__init__(n_way, delay, rate, order=1)
        self.input_shape, self.transductive, self.inner_rate = input_shape, transductive, inner_rate
        self.in_training, self.in_tests = (inner_steps, inner_batch), (test_steps, test_batch)
        self.net = EpisodeNetwork(input_shape, self.n_way, filters, strided, average=False)
        self.register_buffer("steps_taken", torch.zeros((), dtype=torch.int64))
        for number, weight in enumerate(self.start()):
            self.register_buffer(f"v_{number}", torch.zeros_like(weight, requires_grad=False))

    def answer_queries(
        self,
        support_x: Float[Tensor, "support batch channel height width"],
        support_y: Int[Tensor, "support batch"],
        query_x: Float[Tensor, "query batch channel height width"],
    ) -> Float[Tensor, "query batch n_way"]:
        """As in `Learner`, by W~ of each task; in training its gradient is W - W~, mean over tasks, whatever is done
        with the answers."""
        trains = self.training and torch.is_grad_enabled()
        with torch.inference_mode(False), torch.no_grad():  # in it no gradient could be taken, nor of what it made
            support_x, support_y = support_x.clone(), support_y.clone()
            theta = self._trained(support_x, support_y)
            # answers in training are for display, and the support set of training is large
            answers = self._answers(theta, None if self.training or self.transductive else support_x, query_x)
        if not trains:
            return answers
        return Towards.apply(answers, *self.start(), *(each.mean(dim=0) for each in theta))

    def _trained(self, x: Tensor, y: Tensor) -> Weights:
        """W~, each [B, ...], of tasks with samples x [S, B, ...] and labels y [S, B]; v is kept in training."""
        batch, start = x.shape[1], self.start()
        theta = tuple(each.expand(batch, *each.shape) for each in start)
        moments = [getattr(self, f"v_{number}").expand_as(each) for number, each in enumerate(theta)]
        there = one_hot(y, self.n_way).any(dim=0)  # [B, K]
        steps, size = self.in_training if self.training else self.in_tests

        def loss(theta: Weights, x: Tensor, y: Tensor) -> Tensor:
            logits = self._logits(theta, self.net.features(theta[:-2], x))
            return inner_loop.mean_cross_entropy(logits.where(there, ABSENT), y)

        for step in range(1, steps + 1):
            chosen = torch.arange((step - 1) * size, step * size, device=x.device) % len(x)
            theta, gradients = inner_loop.differentiate(loss, theta, (x[chosen], y[chosen]), order=1, trains=False)
            moments = [BETA_2 * v + (1 - BETA_2) * g.square() for v, g in zip(moments, gradients, strict=True)]
            known = 1 - BETA_2 ** (self.steps_taken + step).double()  # v began at 0; exact, as it begins near 0 itself
            moves = [g / ((v / known).sqrt() + TINY) for v, g in zip(moments, gradients, strict=True)]
            theta = tuple(each - self.inner_rate * move for each, move in zip(theta, moves, strict=True))
        if self.training:
            self.steps_taken += steps
            for number, v in enumerate(moments):
                getattr(self, f"v_{number}").copy_(v.mean(dim=0))
        return theta

    def _answers(self, theta: Weights, support_x: Tensor | None, query_x: Tensor) -> Tensor:
        """[Q, B, K]; with a support set one query after the other, normalised beside it."""
        if support_x is None:
            return self._logits(theta, self.net.features(theta[:-2], query_x))
        beside = (self.net.features(theta[:-2], torch.cat([support_x, each[None]]))[-1:] for each in query_x)
        return torch.cat([self._logits(theta, features) for features in beside])

    def start(self) -> Weights:
        return *self.net.body(), *self.net.head()

    @property
    def waiting_shapes(self) -> Sequence[Sequence[int]]:
        return [self.input_shape]

    def prepare(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x,)

    def answer(self, theta: Weights, *prepared: Tensor) -> Tensor:
        (x,) = prepared
        return self._logits(theta, self.net.features(theta[:-2], x, alone=True))

    def _logits(self, theta: Weights, features: Tensor) -> Tensor:
        """[N, B, D] -> [N, B, K]."""
        return linear(theta[-2], theta[-1], features)


class Towards(torch.autograd.Function):
    """`Towards.apply(answers, *weights, *ends)` is the answers; the gradient of each weight is weight - end."""

    @staticmethod
    def forward(ctx: Any, answers: Tensor, *weights_and_ends: Tensor) -> Tensor:
        half = len(weights_and_ends) // 2
        pairs = zip(weights_and_ends[:half], weights_and_ends[half:], strict=True)
        ctx.save_for_backward(*(weight - end for weight, end in pairs))
        return answers.clone()

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor | None, ...]:
        return None, *ctx.saved_tensors, *(None for _ in ctx.saved_tensors)
