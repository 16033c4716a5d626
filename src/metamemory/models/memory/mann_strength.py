"""MANN with a strength of the keys, which its paper does not have: see `models.memory.mann_base`.

    w^r(i) = softmax_i beta cosine(k, M(i))

A cosine lies between -1 and 1. Without a strength no row can be preferred to another by more than e^2, and in a
memory of 128 rows a perfect match gets a few per cent of a read: what is read is nearly the mean of the memory. With
beta of 10 a match can be all of it. The Neural Turing Machine (Graves et al. 2014, eq. 5) has a strength that the
controller emits; here it is a constant.
"""

from metamemory.models.memory.mann_base import MemoryAugmented
from metamemory.nn.labels import Labels


class MANNStrength(MemoryAugmented):
    """An LSTM controller with an external memory whose keys are sharp, and a classifier.

    Args:
        input_shape, n_way, hidden, slots, width, heads, decay, strength, forget_bias: of `MemoryAugmented`.
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
        strength: float = 10.0,
        forget_bias: float = 1.0,
    ):
        super().__init__(input_shape, n_way, hidden, slots, width, heads, decay, strength, "lstm", forget_bias)
