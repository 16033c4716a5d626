"""The inner loop of meta-learning by gradient descent (MAML: Finn, Abbeel and Levine 2017, Algorithms 1 and 2).

Weights theta are learned so that a few steps of gradient descent on an episode's samples give weights that are good for
the episode:

    theta_0 = theta        theta_{i+1} = theta_i - alpha grad_{theta_i} L(theta_i)        i < n
    theta <- theta - beta grad_theta sum over episodes of L_query(theta_n)                by the training loop

The last gradient goes through the ones before it: MAML is of second order, by the Hessians in

    d theta_{i+1} / d theta_i = 1 - alpha Hessian of L at theta_i

The first-order variant (their section 5.2) takes the identity for it. Public code of several methods took it without
saying so; here `order` says which, and tests count the double backward passes.

    descend         theta_n of any loss, for any weights              MAML, OML, ANML, fine-tuning in a stream
    differentiate   the gradient of one step alone                    Reptile, whose steps are Adam's
    adapt           theta_n of a module and a support set             fine-tuning of a U-Net
    answer          what the module answers with the weights of each episode

Every episode has weights of its own, and all episodes of a batch are computed at once. An episode's loss depends on its
own weights only, so that the gradient of the sum of the losses is that of each.

Normalisation: with `batch_statistics` a layer of batch normalisation takes the statistics of an episode's samples that
are put through together, as the code of Finn et al. does. Then an answer depends on the queries beside it (the learner
is transductive). Without, such layers are refused, unless they are in evaluation mode and use running statistics.

Shape legend: N samples, B episodes of a batch, K ways. A weight of shape [...] is [B, ...] here.
"""

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as fn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from metamemory.errors import UserError
from metamemory.shapes import Float, Int, Shaped

Weights = dict[str, Tensor]


def descend(
    loss: Callable[..., Tensor],
    theta: Sequence[Tensor],
    rate: float,
    order: int,
    steps: int = 1,
    given: Sequence[Tensor] = (),
) -> tuple[Tensor, ...]:
    """theta_n.

    In `torch.inference_mode` nothing can be derived, and what was made in it never can: there the steps are taken
    outside of it, on copies.

    Args:
        loss: of weights, each [B, ...], and of what is `given`; summed over the episodes.
        theta: theta_0, each [B, ...].
        rate: alpha.
        order: of the derivatives of the loss that reach theta_0 and what else the loss depends on: 1 or 2. Where no
            gradient is asked for from outside, none is kept, and memory does not grow with the steps.
        steps: n.
        given: what else the loss is computed from, but parameters of which no gradient is asked.
    """
    trains, theta = torch.is_grad_enabled(), tuple(theta)
    if torch.is_inference_mode_enabled() or any(each.is_inference() for each in (*theta, *given)):
        with torch.inference_mode(False), torch.set_grad_enabled(trains):
            theta, given = ([each.clone() for each in part] for part in (theta, given))
            return _descend(loss, theta, given, rate, order, steps, trains)
    return _descend(loss, theta, given, rate, order, steps, trains)


def _descend(
    loss: Callable[..., Tensor],
    theta: Sequence[Tensor],
    given: Sequence[Tensor],
    rate: float,
    order: int,
    steps: int,
    trains: bool,
) -> tuple[Tensor, ...]:
    for _ in range(steps):
        theta, gradients = differentiate(loss, theta, given, order, trains)
        theta = tuple(each - rate * gradient for each, gradient in zip(theta, gradients, strict=True))
    return theta


def differentiate(
    loss: Callable[..., Tensor], theta: Sequence[Tensor], given: Sequence[Tensor], order: int, trains: bool
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """theta, cut off from what it was made of unless a gradient is asked for from outside (`trains`), and the gradient
    of the loss there; other arguments as those of `descend`."""
    theta = tuple(each if trains and each.requires_grad else each.detach().requires_grad_() for each in theta)
    with torch.enable_grad():  # the inner gradient is needed in evaluation as well
        return theta, torch.autograd.grad(loss(theta, *given), theta, create_graph=trains and order == 2)


def mean_cross_entropy(
    logits: Float[Tensor, "samples batch n_way"], y: Int[Tensor, "samples batch"]
) -> Float[Tensor, ""]:
    """Of the samples of an episode, summed over the episodes: logits [N, B, K], y [N, B]. A null label (-1) counts as 0
    in the mean."""
    return fn.cross_entropy(logits.flatten(0, 1), y.flatten(), ignore_index=-1, reduction="sum") / len(y)


def adapt(
    model: nn.Module,
    x: Float[Tensor, "samples batch *shape"],
    y: Shaped[Tensor, "samples batch *label"],
    steps: int,
    rate: float,
    order: int,
    adapted: Collection[str] | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] = mean_cross_entropy,
    batch_statistics: bool = False,
) -> Weights:
    """theta_n of each episode, differentiable with respect to all parameters of `model`.

    Args:
        model: from samples [N, ...] to logits [N, K].
        x, y: support set [N, B, ...] and its labels [N, B, ...].
        steps: n.
        rate: alpha.
        order: of the derivatives of the loss that reach the parameters, 1 or 2.
        adapted: names of the parameters that are adapted; None for all. The others are the same in every episode.
        loss: of answers and labels, summed over episodes.
        batch_statistics: see above.

    Raises:
        UserError: there is no parameter of a name; batch normalisation that does not fit `batch_statistics`.
    """
    parameters = dict(model.named_parameters())
    names = list(parameters) if adapted is None else list(adapted)
    if unknown := set(names) - set(parameters):
        raise UserError(f"inner loop: no parameter {', '.join(sorted(unknown))}; there are {', '.join(parameters)}")
    theta = [parameters[name].expand(x.shape[1], *parameters[name].shape) for name in names]

    def loss_of(theta: tuple[Tensor, ...], x: Tensor, y: Tensor) -> Tensor:
        return loss(answer(model, dict(zip(names, theta, strict=True)), x, batch_statistics), y)

    return dict(zip(names, descend(loss_of, theta, rate, order, steps, (x, y)), strict=True))


def answer(
    model: nn.Module, theta: Weights, x: Float[Tensor, "samples batch *shape"], batch_statistics: bool = False
) -> Float[Tensor, "samples batch *answer"]:
    """Logits [N, B, K] for x [N, B, ...], each episode by its own weights; those that are not in theta are the
    model's."""
    _require_statistics(model, batch_statistics)

    def of_one(own: Weights, samples: Tensor) -> Tensor:
        return functional_call(model, own, (samples,))

    return vmap(of_one, in_dims=(0, 1), out_dims=1)(theta, x)


def require_order(learner: str, order: int) -> None:
    """Refuse an order that does not exist."""
    if order not in (1, 2):
        raise UserError(f"{learner}: order is {order!r} and must be 1 or 2")


def _require_statistics(model: nn.Module, batch_statistics: bool) -> None:
    for name, layer in model.named_modules():
        if not isinstance(layer, BatchNorm):
            continue
        if batch_statistics and layer.track_running_stats:
            raise UserError(
                f"inner loop: {name} keeps running statistics, which episodes with weights of their own cannot share; "
                "build it with track_running_stats=False"
            )
        if not batch_statistics and (layer.training or not layer.track_running_stats):
            raise UserError(
                f"inner loop: {name} takes the statistics of all samples put through together; set batch_statistics, "
                "or normalise each sample (GroupNorm)"
            )
