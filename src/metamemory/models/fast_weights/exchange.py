"""Learners whose answering network can be exchanged for another, once they have learned to write weights for theirs."""

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
