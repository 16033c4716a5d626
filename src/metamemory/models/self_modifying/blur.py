"""BLUR, bidirectional learned update rules (Sandler et al. 2021).

Neurons and synapses have k states. What a neuron's states do to another's, forwards and backwards, and how synapses
change by the two of them, is said by four small matrices and a few numbers, the *genome*, shared by all of a network:

    forward     a_j^c  <-  sigma( f a_j^c + eta  sum_{i,d} w_ij^c nu^{dc} a_i^d )                                 (5)
    backward    a_i^c  <-  sigma( f a_i^c + eta  sum_{j,d} v_ji^c mu^{dc} a_j^d )                                 (6)
    synapses    w_ij^c <-  f~ w_ij^c + eta~ sum_{e,d} a_i^e nu~^{ec} mu~^{cd} a_j^d,  and v_ji^c in the same way  (7)

In the forward pass all states begin at 0, but the inputs', whose first state is the input. The first state of the last
layer is the answer; before the backward pass its second state is set to the label, 1 or -1, and the others to 0. Inputs
are not changed by the backward pass. Sums over a minibatch are means in (7). With w and v `tied`, v is w's transpose;
with `shared`, all states of a synapse are one number, which changes as the first one would.

Before sigma, each state of each neuron is normalised over the minibatch to a mean and a deviation of the genome, one
for each state c. Synapses are kept finite by a term like Oja's, the first of (8), or by saturation:

    w_ij <- f~ w_ij / (1 + |omega| sum_r w_rj^2) + ...         w_ij <- alpha tanh(w_ij / alpha)

Back-propagation is the genome nu = (1 1; 0 0), mu = 1, nu~ = 1, mu~ = (0 1; 1 0) of k = 2 states, with tied and shared
synapses, the second state of the forward pass through sigma' in place of sigma, the backward pass multiplied with it in
place of added to it, and the error in place of the label (section 3.1):

    Blur(..., **BACKPROPAGATION)                               this network is gradient descent

Departures. The paper normalises "per channel, similar to batch normalisation", and does not say over what; over a whole
layer is a choice here as well. It subtracts the inhibitory term, times a number of the genome; that is omega, without
the factor f~ - 1, which is 0 at the start. Divided by, as here, it is the same to first order and cannot overshoot
where synapses are large; the synapse of the bias is limited by itself. sigma is tanh, a choice beside the relu(tanh) of
its code. A network of 5 classes has 10 answers, of which 5 are never right. Answers are normalised over the queries
that are asked together, and so depend on them, as the paper's do; where samples come one at a time there is nothing to
normalise over but the layer.

Shape legend: B networks, M samples, I and J neurons of two layers, k states, s states of a synapse (k, or 1: shared).
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.kernels import states
from metamemory.models.self_modifying.learned_rule import LearnedRule, Network, samples_last
from metamemory.nn.labels import Labels
from metamemory.settings import Count, Items, Positive, Width
from metamemory.shapes import Float, Int

BACKPROPAGATION = {
    "states": 2,
    "tied": True,
    "shared": True,
    "genome": "backpropagation",
    "backward": "multiplied",
    "feedback": "error",
    "normalise": "neither",
    "limit": "none",
}


class Layer(NamedTuple):
    """Synapses between two layers; those of one whose neurons have one state that is not 0, the input, hold
    [B, I, s, J].

    Attributes:
        w: [B, s, I, J] forwards.
        bias: [B, s, J], from a neuron all of whose states are 1.
        v: [B, s, J, I] backwards; None where tied, or where it leads to inputs.
    """

    w: Tensor
    bias: Tensor
    v: Tensor | None


class Blur(LearnedRule):
    """Bidirectional learned update rules.

    Args:
        input_shape: of one input.
        n_way: K.
        delay: steps between a sample and its label, where samples come one at a time.
        hidden: neurons of the layers between inputs and answers.
        states: k.
        minibatch: M.
        tied: whether v is w's transpose.
        shared: whether all states of a synapse are one number.
        genome: where its matrices begin: "random", each number of the standard normal distribution, or
            "backpropagation".
        backward: whether the backward pass is "added" to the states, as in (6), or the second state and those behind
            it are "multiplied" with it.
        feedback: what the second state of the last layer is set to: the "label", or the "error" softmax(answer) -
            label, for which that layer has no sigma.
        normalise: "both" passes, "forward", "backward", or "neither".
        limit: of synapses: "oja", "saturation", or "none".
        activation: sigma: "tanh", "relu_tanh" or "relu"; of answers it is tanh.
        normalised_over: each neuron's state over the "minibatch", or those of all neurons of a "layer" together.
        rate: |eta~| at the start; its sign is that by which back-propagation descends.
        spread: synapses begin uniform within spread / sqrt(I + 1).

    Raises:
        UserError: there are fewer than two states.
    """

    title = "BLUR"
    paper = "sandler2021"

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_way: int | Labels,
        delay: int = 1,
        hidden: Annotated[Sequence[Width], Items()] = (64, 32),
        states: Count = 4,
        minibatch: Count = 128,
        tied: bool = False,
        shared: bool = False,
        genome: Literal["random", "backpropagation"] = "random",
        backward: Literal["added", "multiplied"] = "added",
        feedback: Literal["label", "error"] = "label",
        normalise: Literal["both", "forward", "backward", "neither"] = "both",
        limit: Literal["oja", "saturation", "none"] = "oja",
        activation: Literal["relu_tanh", "tanh", "relu"] = "tanh",
        normalised_over: Literal["minibatch", "layer"] = "minibatch",
        rate: Positive = 0.1,
        spread: Positive = 1.0,
    ):
        super().__init__(input_shape, n_way, delay, minibatch)
        if states < 2:
            raise UserError(f"{self.name}: states is {states} and must be at least 2: the answer, and the label")
        self.sizes = (self.inputs, *hidden, self.n_way)
        self.states, self.tied, self.shared, self.spread = states, tied, shared, spread
        self.multiplied, self.error = backward == "multiplied", feedback == "error"
        self.limit, self.activation, self.over_layer = limit, activation, normalised_over == "layer"
        self.normalises = {each: normalise in ("both", each) for each in ("forward", "backward")}
        matrices = _backpropagation(states) if genome == "backpropagation" else torch.randn(4, states, states)
        self.nu, self.mu, self.pre, self.post = (nn.Parameter(each.clone()) for each in matrices)
        self.keep, self.gain = nn.Parameter(torch.ones(())), nn.Parameter(torch.ones(()))
        self.synapse_keep, self.synapse_gain = (
            nn.Parameter(torch.ones(())),
            nn.Parameter(torch.tensor(-rate if self.error else rate)),
        )
        for name, normalised in self.normalises.items():
            if normalised:
                setattr(self, f"{name}_mean", nn.Parameter(torch.zeros(states)))
                setattr(self, f"{name}_deviation", nn.Parameter(torch.ones(states)))
        if limit != "none":
            self.bound = nn.Parameter(torch.tensor(0.01 if limit == "oja" else 1.0))
        self.transductive = self.normalises["forward"]

    def start(self, batch: int) -> Network:
        draw, s = self._random_numbers(self.nu), 1 if self.shared else self.states
        found: list[Tensor] = []
        for number, (ins, outs) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            reach = self.spread / math.sqrt(ins + 1)
            w = draw(batch, ins, s, outs) if number == 0 else draw(batch, s, ins, outs)
            found += [reach * w, reach * draw(batch, s, outs)]
            if number and not self.tied:
                found.append(self.spread / math.sqrt(outs) * draw(batch, s, outs, ins))
        return tuple(found)

    def learn(
        self, x: Float[Tensor, "samples batch *shape"], y: Int[Tensor, "samples batch"], network: Network
    ) -> tuple[Float[Tensor, "samples batch n_way"], Network]:
        layers, x = self._layers(network), samples_last(x)
        a = self._forward(x, layers)
        logits = a[-1][:, 0].transpose(0, 1)
        a[-1] = self._feedback(a[-1], y.T)
        self._backward(a, layers)
        pre = [x, *a[:-1]]
        changed = [self._changed(*each) for each in zip(pre, a, layers, strict=True)]
        return logits, tuple(each for layer in changed for each in layer if each is not None)

    def answer(
        self, x: Float[Tensor, "samples batch *shape"], network: Network
    ) -> Float[Tensor, "samples batch n_way"]:
        return self._forward(samples_last(x), self._layers(network))[-1][:, 0].transpose(0, 1)

    def _layers(self, network: Network) -> list[Layer]:
        rest = iter(network)
        numbers = range(len(self.sizes) - 1)
        return [Layer(next(rest), next(rest), next(rest) if number and not self.tied else None) for number in numbers]

    def _forward(self, x: Tensor, layers: Sequence[Layer]) -> list[Tensor]:
        """(5): states of all layers but the inputs', each [B, k, M, J]; x [B, M, I]."""
        found: list[Tensor] = []
        of_bias = self.nu.sum(dim=0)[:, None] * self.gain
        for number, layer in enumerate(layers):
            bias = (layer.bias * of_bias)[:, :, None]
            if number == 0:  # the input has one state, so that all of the next layer's are one product
                product = (x @ layer.w.flatten(2)).unflatten(2, layer.w.shape[2:]).transpose(1, 2)
                z = torch.addcmul(bias, product, (self.nu[0] * self.gain)[:, None, None])
            else:
                z = _product(_mixed(found[-1], self.nu * self.gain), layer.w, bias)
            found.append(self._active(z, "forward", last=number == len(layers) - 1))
        return found

    def _feedback(self, last: Tensor, y: Tensor) -> Tensor:
        """The last layer before the backward pass: last [B, k, M, K], y [B, M]."""
        answer, label = last[:, :1], fn.one_hot(y, self.n_way).to(last.dtype)[:, None]
        told = answer.softmax(dim=-1) - label if self.error else 2 * label - 1
        return torch.cat([answer, told, last.new_zeros(()).expand_as(last[:, 2:])], dim=1)

    def _backward(self, a: list[Tensor], layers: Sequence[Layer]) -> None:
        """(6): change the states of all layers but the last one's and the inputs'."""
        for number in range(len(layers) - 1, 0, -1):
            w, v = layers[number].w, layers[number].v
            back = w.transpose(-1, -2) if v is None else v
            before = a[number - 1]
            if self.multiplied:
                z = _product(_mixed(a[number], self.mu), back)
                a[number - 1] = torch.cat([before[:, :1], before[:, 1:] * z[:, 1:]], dim=1) * self.keep
            else:
                z = _product(_mixed(a[number], self.mu * self.gain), back, self.keep * before)
                a[number - 1] = self._active(z, "backward")

    def _active(self, z: Tensor, which: str, last: bool = False) -> Tensor:
        """sigma of z [B, k, M, J], normalised."""
        slopes = self.multiplied and which == "forward"
        plain_tanh = not self.error if last else self.activation == "tanh" and not slopes
        if self.normalises[which]:
            mean, deviation = getattr(self, f"{which}_mean"), getattr(self, f"{which}_deviation")
            if self.over_layer:
                z = fn.layer_norm(z, z.shape[2:], eps=states.EPS)
                z = torch.addcmul(mean[:, None, None], z, deviation[:, None, None])
            elif plain_tanh:
                return states.normalised_tanh(z, mean, deviation)
            else:
                z = states.normalised(z, mean, deviation)
        if last:
            return z if self.error else z.tanh()
        if slopes:
            both = [_activation(z[:, :1], self.activation), _slope(z[:, 1:2], self.activation)]
            return torch.cat([*both, _activation(z[:, 2:], self.activation)], dim=1)
        return _activation(z, self.activation)

    def _changed(self, pre: Tensor, post: Tensor, layer: Layer) -> tuple[Tensor, Tensor, Tensor | None]:
        """(7) for one layer: pre [B, k, M, I], or [B, M, I] of inputs; post [B, k, M, J]."""
        s, count = layer.bias.shape[1], post.shape[2]
        after = _mixed(post, self.post[:s].T)  # [B, s, M, J]
        if pre.dim() == 3:
            weighted = (after * self.pre[0, :s, None, None]).transpose(1, 2)  # [B, M, s, J]
            w = self._moved(layer.w.flatten(2), pre.transpose(1, 2) @ weighted.flatten(2), count).view_as(layer.w)
        else:
            w = self._moved(layer.w, _mixed(pre, self.pre[:, :s]).transpose(-1, -2) @ after, count)
        of_bias = after.sum(dim=2) * self.pre[:, :s].sum(dim=0)[:, None]
        bias = self._moved(layer.bias[:, :, None], of_bias[:, :, None], count)[:, :, 0]
        if layer.v is None:
            return w, bias, None
        hebb = _mixed(post, self.pre[:, :s]).transpose(-1, -2) @ _mixed(pre, self.post[:s].T)
        return w, bias, self._moved(layer.v, hebb, count)

    def _moved(self, w: Tensor, hebb: Tensor, count: int) -> Tensor:
        """Synapses [..., I, J] after (7), of which hebb is the sum over `count` samples, and after their limit."""
        planes = [each.flatten(0, -3) for each in (w, hebb)]
        bound = self.bound.abs() if self.limit == "oja" else self.keep.new_zeros(())
        new = states.grown(*planes, self.synapse_keep, bound, self.synapse_gain / count).view(w.shape)
        return self.bound * (new / self.bound).tanh() if self.limit == "saturation" else new


def _backpropagation(states: int) -> Tensor:
    """nu, mu, nu~ and mu~ of back-propagation, [4, k, k]; states behind the second do nothing."""
    found = torch.zeros(4, states, states)
    found[0, 0, :2] = 1
    found[1:3, [0, 1], [0, 1]] = 1
    found[3, [0, 1], [1, 0]] = 1
    return found


def _mixed(a: Tensor, matrix: Tensor) -> Tensor:
    """The states [B, d, M, J], weighted by a matrix [d, c], as [B, c, M, J]."""
    return torch.bmm(matrix.T.expand(len(a), -1, -1), a.flatten(2)).unflatten(2, a.shape[2:])


def _product(a: Tensor, w: Tensor, added: Tensor | None = None) -> Tensor:
    """[B, k, M, I] through synapses [B, s, I, J], s being k or 1, and what is added to it: [B, k, M, J]."""
    if w.shape[1] < a.shape[1]:
        product = (a.flatten(1, 2) @ w[:, 0]).unflatten(1, a.shape[1:3])
        return product if added is None else product + added
    if added is None:
        return a @ w
    added = added.expand(*a.shape[:3], w.shape[3]).flatten(0, 1)
    return torch.baddbmm(added, a.flatten(0, 1), w.flatten(0, 1)).unflatten(0, a.shape[:2])


def _activation(z: Tensor, name: str) -> Tensor:
    if name == "relu":
        return z.relu()
    return z.tanh().relu() if name == "relu_tanh" else z.tanh()


def _slope(z: Tensor, name: str) -> Tensor:
    """The derivative of sigma at z."""
    rising = (z > 0).to(z.dtype)
    if name == "relu":
        return rising
    slope = 1 - z.tanh().square()
    return slope * rising if name == "relu_tanh" else slope
