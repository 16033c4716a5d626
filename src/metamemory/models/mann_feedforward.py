"""MANN with a feed-forward controller, which remembers nothing itself (Santoro et al. 2016, section 3.1 and Table
2)."""

from metamemory.models.mann import MANN
from metamemory.nn.labels import Labels


class MANNFeedForward(MANN):
    """`MANN(controller="feedforward")`, under a name of its own.

    Args:
        input_shape, n_way, hidden, slots, width, heads, decay: of `MANN`.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_way: int | Labels,
        hidden: int = 200,
        slots: int = 128,
        width: int = 40,
        heads: int = 4,
        decay: float = 0.99,
    ):
        super().__init__(input_shape, n_way, hidden, slots, width, heads, decay, controller="feedforward")
