"""Learners that adapt to a stream by gradient descent, one step a labelled sample: what OML, ANML and fine-tuning
share.

Some of the weights, theta, are adapted within an episode; the others, phi, stay as they were trained.

    theta_0 = theta        theta_{t+1} = theta_t - alpha grad_{theta_t} L(f(x; phi, theta_t), y)    (x, y) labelled at t
    L_query = sum over queries of L(f(x_q; phi, theta_T), y_q)

Training takes the gradient of L_query with respect to phi and to theta_0, through all T inner steps. It is of second
order, as in MAML (see `nn.inner_loop`), by the Hessians in

    d theta_{t+1} / d theta_t = 1 - alpha Hessian of L at theta_t

for which the first order takes the identity. Public code of both OML and ANML took it unawares; here `order` says
which, and a test counts the double backward passes.

The last layer starts at zero. Labels are reshuffled in every episode, so that none should begin with an advantage; and
a start that all of them share does not change their softmax, then or after any number of steps. So no weight belongs to
a label, and a learner can be asked for any number of them. (Javed and White's code samples new weights for a new
class.)

A label comes `delay` steps after its sample, so what has been computed of the last `delay` samples waits for it (see
`nn.delay_buffer`). In a step, first the weights are adapted to the sample whose label is shown, then the new sample is
answered. Without gradients asked for from outside, nothing is kept of the steps before but theta: memory is constant.

Shape legend: T steps, N samples, B episodes of a batch, K ways, H numbers that the last layer reads. Every episode has
weights of its own: a weight of shape [...] is [B, ...] in the state.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from metamemory.models.learner import Learner
from metamemory.nn import inner_loop
from metamemory.nn.delay_buffer import until_labelled
from metamemory.nn.labels import Classes, Labels, labels_for
from metamemory.shapes import Float, Int

Weights = tuple[Tensor, ...]


class FastState(NamedTuple):
    """What waits for its label, each [delay, B, ...]; and theta, each [B, ...]; float32."""

    waiting: tuple[Tensor, ...]
    theta: Weights


def blank(features: int, n_way: int, like: Tensor) -> Weights:
    """The last layer before it has learned anything: [K, H] and [K] zeros."""
    return like.new_zeros(n_way, features), like.new_zeros(n_way)


class OnlineSGD(Learner, abstract=True):
    """One step of gradient descent a labelled sample.

    A subclass says what is adapted (`start`), what the weights that are not adapted make of a sample (`prepare`), and
    what the adapted ones answer to that (`answer`).

    Args:
        n_way: K, the number of labels.
        delay: steps between a sample and its label.
        rate: alpha.
        order: of the derivatives of the inner loss that reach the parameters, 1 or 2.

    Raises:
        UserError: `order` is neither 1 nor 2.
    """

    needs_delay = True

    def __init__(self, n_way: int | Labels, delay: int, rate: float, order: int):
        super().__init__()
        inner_loop.require_order(self.name, order)
        self.labels = labels_for(self.name, n_way, Classes)
        self.n_way, self.delay, self.rate, self.order = self.labels.n_way, delay, rate, order

    def start(self) -> Weights:
        """theta_0, without a dimension for episodes."""
        raise NotImplementedError

    @property
    def waiting_shapes(self) -> Sequence[Sequence[int]]:
        """Of what `prepare` makes of one sample."""
        raise NotImplementedError

    def prepare(self, x: Tensor) -> tuple[Tensor, ...]:
        """x [N, B, channel, height, width] -> what is needed of it to answer and to adapt, each [N, B, ...]."""
        raise NotImplementedError

    def answer(
        self, theta: Weights, *prepared: Float[Tensor, "samples batch ..."]
    ) -> Float[Tensor, "samples batch n_way"]:
        """Logits [N, B, K] of prepared samples [N, B, ...], each episode by its own weights."""
        raise NotImplementedError

    def initial_state(self, batch: int) -> FastState:
        theta = self.start()
        waiting = (theta[0].new_zeros(self.delay, batch, *shape) for shape in self.waiting_shapes)
        return FastState(tuple(waiting), tuple(each.expand(batch, *each.shape) for each in theta))

    def run(
        self, x: Float[Tensor, "time batch channel height width"], y_seen: Int[Tensor, "time batch"], state: FastState
    ) -> tuple[Float[Tensor, "time batch n_way"], FastState]:
        prepared = self.prepare(x)
        thetas, state = self._descend(prepared, y_seen, state)
        samples = zip(*(each[:, None].unbind() for each in prepared), strict=True)  # of step t: each [1, B, ...]
        logits = [self.answer(theta, *sample) for theta, sample in zip(thetas, samples, strict=True)]
        return torch.cat(logits), state

    def absorb(
        self, x: Float[Tensor, "time batch channel height width"], y_seen: Int[Tensor, "time batch"], state: FastState
    ) -> FastState:
        """The state after these steps, as `run` has it; their answers, which cost a forward pass each, are left out."""
        return self._descend(self.prepare(x), y_seen, state)[1]

    def _descend(
        self, prepared: tuple[Tensor, ...], y_seen: Tensor, state: FastState
    ) -> tuple[list[Weights], FastState]:
        """theta of every step, adapted to the label that is shown in it, and the state after the last."""
        streams = [until_labelled(*each) for each in zip(state.waiting, prepared, strict=True)]
        labelled = zip(*(each[:, None].unbind() for each, _ in streams), strict=True)
        theta, thetas = state.theta, []
        for sample, y in zip(labelled, y_seen, strict=True):
            theta = self.adapt(theta, y[None], *sample)
            thetas.append(theta)
        return thetas, FastState(tuple(waiting for _, waiting in streams), theta)

    def adapt(self, theta: Weights, y: Tensor, *prepared: Tensor, rate: float | None = None, steps: int = 1) -> Weights:
        """theta after steps on the mean loss of N samples, prepared [N, B, ...], with labels y [N, B]; a null label
        (-1) moves nothing. The rate is the learner's, if no other is given."""

        def loss(theta: Weights, y: Tensor, *prepared: Tensor) -> Tensor:
            return inner_loop.mean_cross_entropy(self.answer(theta, *prepared), y)

        given = (y, *prepared)
        return inner_loop.descend(loss, theta, self.rate if rate is None else rate, self.order, steps, given)

    def predict(
        self,
        query_x: Float[Tensor, "query batch channel height width"],
        state: FastState,
        y_seen: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "query batch n_way"]:
        """As in `Learner`; all queries are answered by the same weights, of which no copies are made."""
        if y_seen is not None:
            state = self.absorb(torch.zeros_like(query_x[:1]), y_seen[None], state)
        return self.answer(state.theta, *self.prepare(query_x))


def linear(
    weight: Float[Tensor, "batch outputs inputs"],
    bias: Float[Tensor, "batch outputs"],
    x: Float[Tensor, "samples batch inputs"],
) -> Float[Tensor, "samples batch outputs"]:
    """A linear layer with weights [B, out, in] and [B, out] of each episode: [N, B, in] -> [N, B, out]."""
    return torch.einsum("boi,nbi->nbo", weight, x) + bias
