"""A self-referential weight matrix (SRWM; Irie et al. 2022): fast weights that write themselves.

    z_t = U [CNN(x_t), y_seen_t] + a                                   a token a step
    z   = norm(z) + O self_reference(z)                                in each layer
    z   = z + MLP(norm(z))
    logits_t = W z_t + b

DeltaNet but for its layers: there slow weights, which are trained and then stay, say what is read and written; here the
weights that are written say so themselves (`kernels.self_reference`). Only what they are at the start of an episode is
trained.

From the authors' published code (IDSIA/modern-srwm, Omniglot): sizes; no softmax of a layer's input; no normalisation
before the layer, and one beside it. Departures: as DeltaNet.
"""

import inspect

from metamemory.models.fast_weights.delta_net import DeltaNet
from metamemory.nn.delta_layers import SelfReference


class SRWM(DeltaNet):
    """A DeltaNet whose layers refer to themselves.

    Args: as `DeltaNet` has them.

    Example:
        >>> learner = SRWM((1, 28, 28), n_way=5)
        >>> support, queries = torch.rand(5, 8, 1, 28, 28), torch.rand(25, 8, 1, 28, 28)
        >>> learner.answer_queries(support, torch.arange(5)[:, None].expand(5, 8), queries).shape
        torch.Size([25, 8, 5])
    """

    title = "Self-referential weights (SRWM)"
    paper = "irie2022"
    layer = SelfReference
    __signature__ = inspect.signature(DeltaNet)  # said here for Python before 3.11.4, which else has that of `__new__`
