"""Learners whose slow weights can be exchanged, once they have learned to write fast ones beside them."""

from metamemory.models.learner import Learner


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
