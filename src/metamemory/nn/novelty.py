"""Answers from distances to prototypes, when some classes have none yet (Ren et al. 2021).

Ren et al. tell a new class by its distance to the nearest prototype, beyond a radius beta with a slope 1 / gamma:

    u = sigmoid((min_k d_k - beta) / gamma)                     p(k | known) = softmax(-d)_k

Their stream has one more answer, "unknown". Here every class has one of K names from the start, so what is unknown
is a class whose name has not been shown, and which of those it is nothing can tell: they share u evenly.

    p(k) = (1 - u) softmax(-d)_k   if k has a prototype          p(k) = u / n_unseen   if it has none

The cross entropy of p at a step is then, but for the constant log n_unseen, theirs: that of known or unknown, and for a
known class that of its name. (They average the second over the steps of known classes only, and keep the first when
every class is known; here u no longer matters then.) Without any prototype all answers are equally likely. Their
minimum is over empty slots as well.
"""

import torch
from torch import Tensor
from torch.nn import functional as fn

from metamemory.shapes import Bool, Float

FAR = 1e9  # distance to a prototype that is not there: finite, so that gradients are


def logits_with_novelty(
    d: Float[Tensor, "*lead n_way"],
    known: Bool[Tensor, "*lead n_way"],
    beta: Float[Tensor, "..."],
    gamma: Float[Tensor, "..."],
) -> Float[Tensor, "*lead n_way"]:
    """Logits, equal to log p(k) but for a constant where every class is known.

    Args:
        d: [..., K] distances; those of classes without a prototype are ignored.
        known: [..., K] bool, whether there is a prototype.
        beta, gamma: [...] or scalars, gamma positive.
    """
    d = d.masked_fill(~known, FAR)
    radius = (d.amin(dim=-1) - beta) / gamma
    n_unseen = (~known).sum(dim=-1).clamp(min=1)
    of_known = fn.logsigmoid(-radius)[..., None] + (-d).log_softmax(dim=-1)
    of_unseen = fn.logsigmoid(radius) - n_unseen.log()
    return torch.where(known, of_known, of_unseen[..., None])
