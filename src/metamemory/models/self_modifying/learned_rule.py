"""Rules by which networks learn: what a rule must say, and what follows from it for all of them.

An episode is the life of a network. It begins with random synapses, is shown labelled minibatches of a data set one
after the other, changes by the rule after each, and is asked in the end. The parameters of a learner of this kind are
those of the rule, so few that they know nothing of any data set; all that is learned of one is in the network, which is
the state.

    network_0 = random         logits_t, network_{t+1} = learn(x_t, y_t, network_t)        logits = answer(x, network_T)

Since a rule is of synapses, not of layers, a network of any size learns by it: `hidden` and the shape of the inputs are
free, and a rule that was trained on small networks is tested on large ones by building it anew with its parameters.

Random networks are drawn from the global generator in training. In evaluation they are drawn with a fixed seed, the
same networks each time, so that a rule's tests are the same whatever was drawn before.

Shape legend: B networks (the batch of episodes), M samples of a minibatch, N queries, K labels, I numbers of an input.
"""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Generator, Tensor

from metamemory.models.learner import Learner
from metamemory.nn.delay_buffer import until_labelled
from metamemory.nn.labels import Classes, Labels, labels_for
from metamemory.shapes import Float, Int

TEST_NETWORKS = 30_000_000  # seed of the random networks of evaluations

Network = tuple[Tensor, ...]


class LifeState(NamedTuple):
    """Samples that wait for their labels, [delay, B, ...], and the networks, each [B, ...]; float32."""

    waiting: Tensor
    network: Network


class LearnedRule(Learner, abstract=True):
    """A rule by which networks learn. A subclass says how networks begin (`start`), change (`learn`) and `answer`.

    Args:
        input_shape: of one input.
        n_way: K.
        delay: steps between a sample and its label, where samples come one at a time.
        minibatch: M, samples that a support set is cut into.

    Attributes:
        candidates: how many settings of the rule are to be tried in validation, the best of which is kept (`choose`); 1
            where there is nothing to choose.
    """

    answers = "rule"
    needs_delay = True
    told = ("minibatch",)
    candidates: ClassVar[int] = 1

    def __init__(self, input_shape: Sequence[int], n_way: int | Labels, delay: int, minibatch: int):
        super().__init__()
        self.labels = labels_for(self.name, n_way, Classes)
        self.n_way, self.delay, self.minibatch = self.labels.n_way, delay, minibatch
        self.inputs = math.prod(input_shape)

    def start(self, batch: int) -> Network:
        """Networks that have learned nothing yet, each tensor [batch, ...]."""
        raise NotImplementedError

    def learn(
        self, x: Float[Tensor, "samples batch *shape"], y: Int[Tensor, "samples batch"], network: Network
    ) -> tuple[Float[Tensor, "samples batch n_way"], Network]:
        """A step: what the networks answer to a minibatch, x [M, B, ...], and the networks after they were shown its
        labels y [M, B], of which none is null."""
        raise NotImplementedError

    def answer(
        self, x: Float[Tensor, "samples batch *shape"], network: Network
    ) -> Float[Tensor, "samples batch n_way"]:
        """Logits [N, B, K] of x [N, B, ...]; the networks do not change."""
        raise NotImplementedError

    def choose(self, candidate: int) -> None:
        """Take one of the `candidates`."""

    def initial_state(self, batch: int) -> LifeState:
        network = self.start(batch)
        return LifeState(network[0].new_zeros(self.delay, batch, *self.input_shape), network)

    def run(
        self, x: Float[Tensor, "time batch *shape"], y_seen: Int[Tensor, "time batch"], state: LifeState
    ) -> tuple[Float[Tensor, "time batch n_way"], LifeState]:
        """One sample at a time: first its label is learned, then the new sample is answered."""
        labelled, waiting = until_labelled(state.waiting, x)
        network, answers = state.network, []
        for sample, y, new in zip(labelled[:, None], y_seen[:, None], x[:, None], strict=True):
            network = self._learn_if_labelled(sample, y, network)
            answers.append(self.answer(new, network))
        return torch.cat(answers), LifeState(waiting, network)

    def predict(
        self,
        query_x: Float[Tensor, "query batch *shape"],
        state: LifeState,
        y_seen: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "query batch n_way"]:
        """As in `Learner`; all queries are answered by the same networks, of which no copies are made."""
        network = state.network
        if y_seen is not None:
            labelled, _ = until_labelled(state.waiting, torch.zeros_like(query_x[:1]))
            network = self._learn_if_labelled(labelled, y_seen[None], network)
        return self.answer(query_x, network)

    def answer_queries(
        self,
        support_x: Float[Tensor, "support batch *shape"],
        support_y: Int[Tensor, "support batch"],
        query_x: Float[Tensor, "query batch *shape"],
    ) -> Float[Tensor, "query batch n_way"]:
        """As in `Learner`: the support set is learned in minibatches, in its order."""
        network = self.start(support_x.shape[1])
        for x, y in zip(support_x.split(self.minibatch), support_y.split(self.minibatch), strict=True):
            _, network = self.learn(x, y, network)
        return self.answer(query_x, network)

    def answer_stream(
        self, x: Float[Tensor, "samples batch *shape"], y: Int[Tensor, "samples batch"]
    ) -> Float[Tensor, "samples batch n_way"]:
        """Logits [S, B, K] of samples [S, B, ...] that are learned in minibatches, as networks answered before that."""
        network, answers = self.start(x.shape[1]), []
        for part in zip(x.split(self.minibatch), y.split(self.minibatch), strict=True):
            logits, network = self.learn(*part, network)
            answers.append(logits)
        return torch.cat(answers)

    def _learn_if_labelled(self, x: Tensor, y: Tensor, network: Network) -> Network:
        """The networks after one sample each, [1, B, ...]; those whose label [1, B] is null (-1) stay as they are."""
        _, learned = self.learn(x, y.clamp(min=0), network)
        labelled = y[0] >= 0
        return tuple(
            torch.where(labelled.view(-1, *(1,) * (new.dim() - 1)), new, before)
            for new, before in zip(learned, network, strict=True)
        )

    def _random_numbers(self, like: Tensor) -> Callable[..., Tensor]:
        """What new networks are drawn with: of a shape, numbers uniform from -1 to 1 or, where `normal`, of the
        standard normal distribution."""
        fixed = not self.training and like.device.type != "meta"
        generator = Generator(like.device).manual_seed(TEST_NETWORKS) if fixed else None

        def draw(*shape: int, normal: bool = False) -> Tensor:
            function = torch.randn if normal else torch.rand
            values = function(shape, generator=generator, device=like.device, dtype=like.dtype)
            return values if normal else 2 * values - 1

        return draw


class SampleBySample(LearnedRule, abstract=True):
    """A rule whose networks change with every sample, and answer one sample each: a query is asked of a copy of them.
    A subclass says how they do (`_answer_each`).

    Attributes:
        queries: answered at once.
    """

    queries: ClassVar[int] = 16

    def answer(
        self, x: Float[Tensor, "samples batch *shape"], network: Network
    ) -> Float[Tensor, "samples batch n_way"]:
        return torch.cat([self._answer_some(part, network) for part in x.split(self.queries)])

    def _answer_some(self, x: Tensor, network: Network) -> Tensor:
        count, batch = x.shape[:2]
        copies = tuple(each.expand(count, *each.shape).flatten(0, 1) for each in network)
        return self._answer_each(x.flatten(0, 1), copies).unflatten(0, (count, batch))

    def _answer_each(self, x: Tensor, network: Network) -> Tensor:
        """Logits [B, K] of x [B, ...], a sample a network."""
        raise NotImplementedError


def samples_last(x: Float[Tensor, "samples batch *shape"]) -> Float[Tensor, "batch samples inputs"]:
    """[M, B, ...] -> [B, M, I]."""
    return x.flatten(2).transpose(0, 1) if x.dim() > 2 else x[..., None].transpose(0, 1)
