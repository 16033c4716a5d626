"""MANN: a memory-augmented neural network with least recently used access (Santoro et al. 2016, section 3), and an LSTM
for its controller: see `models.memory.mann_base`."""

from metamemory.models.memory.mann_base import MemoryAugmented
from metamemory.nn.labels import Labels


class MANN(MemoryAugmented):
    """An LSTM controller with an external memory, and a classifier.

    Args:
        input_shape, n_way, hidden, slots, width, heads, decay, forget_bias: of `MemoryAugmented`.

    Example:
        >>> learner = MANN((1, 20, 20), n_way=5)
        >>> learner(torch.rand(50, 16, 1, 20, 20), torch.full((50, 16), -1)).shape
        torch.Size([50, 16, 5])
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
        forget_bias: float = 1.0,
    ):
        super().__init__(input_shape, n_way, hidden, slots, width, heads, decay, 1.0, "lstm", forget_bias)
