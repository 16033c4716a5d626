"""MANN with a feed-forward controller, which remembers nothing itself (Santoro et al. 2016, section 3.1 and Table 2):
see `models.memory.mann_base`."""

from metamemory.models.memory.mann_base import MemoryAugmented
from metamemory.nn.labels import Labels


class MANNFeedForward(MemoryAugmented):
    """A feed-forward controller with an external memory, and a classifier.

    Args:
        input_shape, n_way, hidden, slots, width, heads, decay: of `MemoryAugmented`.
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
        super().__init__(input_shape, n_way, hidden, slots, width, heads, decay, 1.0, "feedforward")
