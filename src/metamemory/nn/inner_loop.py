"""Model-agnostic meta-learning, MAML (Finn, Abbeel and Levine 2017, section 2.2, Algorithms 1 and 2).

The weights theta are learned so that a few steps of gradient descent on an episode's support set give weights that are
good for the episode:

    theta_0 = theta        theta_{i+1} = theta_i - alpha grad_{theta_i} L_support(theta_i)        i < n
    theta <- theta - beta grad_theta sum over episodes of L_query(theta_n)                        by the training loop

The last gradient goes through the ones before it: MAML is of second order, by the Hessians in

    d theta_{i+1} / d theta_i = 1 - alpha Hessian of L_support at theta_i

The first-order variant (their section 5.2) takes the identity for it.

Shape legend: N support samples, B episodes of a batch. Every episode has weights of its own: a weight of shape [...] is
[B, ...] here, and all episodes are computed at once.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as fn

Weights = dict[str, Tensor]


def adapt(model: nn.Module, x: Tensor, y: Tensor, steps: int, rate: float, order: int) -> Weights:
    """theta_n of each episode, differentiable with respect to the parameters of `model`.

    Args:
        model: from samples [N, ...] to logits [N, way], each sample on its own; all of its parameters are adapted.
        x, y: support set [N, B, ...] and its labels [N, B] int64; the loss is their mean cross-entropy.
        steps: n.
        rate: alpha.
        order: of the derivatives of the loss that reach the parameters, 1 or 2.
    """
    with torch.enable_grad():  # the inner gradient is needed in evaluation as well
        theta = {name: weight.expand(x.shape[1], *weight.shape) for name, weight in model.named_parameters()}
        for _ in range(steps):
            logits = answer(model, theta, x)
            loss = fn.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum") / len(x)  # of all episodes
            # an episode's loss depends on its own weights only, so the gradient of the sum is that of each
            gradients = torch.autograd.grad(loss, list(theta.values()), create_graph=order == 2)
            theta = {name: theta[name] - rate * g for name, g in zip(theta, gradients, strict=True)}
    return theta


def answer(model: nn.Module, theta: Weights, x: Tensor) -> Tensor:
    """Logits [N, B, way] for x [N, B, ...], each episode by its own weights."""

    def of_one(own: Weights, samples: Tensor) -> Tensor:
        return functional_call(model, own, (samples,))

    return vmap(of_one, in_dims=(0, 1), out_dims=1)(theta, x)
