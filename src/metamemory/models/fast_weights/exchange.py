"""Learners that write fast weights: slow ones can be exchanged beside them, both be looked at and taken away."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from torch import Tensor

from metamemory.models.learner import Learner
from metamemory.shapes import Float, Int


class ExchangesNetwork(Learner, abstract=True):
    """A learner that writes fast weights for a network coordinate by coordinate, and so for any network."""

    def with_other_network(self, filters: int, seed: int) -> "ExchangesNetwork":
        """A copy of this learner that answers with another network, whose slow weights are random and stay so.

        Args:
            filters: of each convolution of the other network.
            seed: of its weights, the same for each copy.
        """
        raise NotImplementedError


class SharesRule(Learner, abstract=True):
    """A learner with slow weights for a problem, and a rule by which it writes fast ones for any."""

    def for_another_problem(self, seed: int) -> "SharesRule":
        """A learner for tasks of the same form with slow weights of its own, drawn anew, and this one's rule: whatever
        trains it trains the rule of both.

        Args:
            seed: of its slow weights.
        """
        raise NotImplementedError


class Inside(NamedTuple):
    """What a learner makes of a support set for its queries.

    Attributes:
        attention: of each query to each support sample, [B, Q, S], summing to 1 over them.
        slow: weights by layer of the network that answers, [...].
        fast: those made for each query, [B, Q, ...].
        task: those made for the whole task, in the network that embeds, [B, ...]; empty where there are none.
    """

    attention: Tensor
    slow: Mapping[str, Tensor]
    fast: Mapping[str, Tensor]
    task: Mapping[str, Tensor]


class ShowsFastWeights(Learner, abstract=True):
    """A learner whose fast weights can be looked at, and taken away."""

    def inside(
        self,
        support_x: Float[Tensor, "support batch *shape"],
        support_y: Int[Tensor, "support batch"],
        query_x: Float[Tensor, "query batch *shape"],
    ) -> Inside:
        """What `answer_queries` makes on its way to its answers."""
        raise NotImplementedError

    def altered(
        self, parts: str = "both", task_weights: bool = True, without: Collection[str] = ()
    ) -> "ShowsFastWeights":
        """A copy with some of its weights taken away.

        Args:
            parts: of the augmented layers of the network that answers: "both", "slow" or "fast".
            task_weights: whether there are any.
            without: layers that have no fast weights.
        """
        raise NotImplementedError
