"""BLUR against its equations, neuron by neuron and synapse by synapse; and back-propagation as one of its genomes."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.models import TaskDescription, build
from metamemory.models.self_modifying.blur import BACKPROPAGATION, Blur

INPUTS, HIDDEN, WAYS, MINIBATCH = 4, [3, 2], 3, 5
SIGMA = {"relu_tanh": lambda z: max(np.tanh(z), 0.0), "tanh": np.tanh, "relu": lambda z: max(z, 0.0)}
VARIANTS = {
    "as in the paper": {},
    "two states": {"states": 2},
    "tied": {"tied": True},
    "shared": {"shared": True},
    "tied and shared": {"tied": True, "shared": True, "genome": "backpropagation"},
    "saturation": {"limit": "saturation", "tied": True},
    "no limit, not normalised": {"limit": "none", "normalise": "neither"},
    "backward normalised, relu of tanh": {"normalise": "backward", "activation": "relu_tanh"},
    "normalised over the layer": {"normalised_over": "layer", "activation": "relu_tanh"},
    "forward normalised, relu": {"normalise": "forward", "activation": "relu"},
}


def small(**settings):
    torch.manual_seed(0)
    learner = build("blur", TaskDescription((INPUTS,), WAYS), {"hidden": HIDDEN, "minibatch": MINIBATCH, **settings})
    with torch.no_grad():
        for each in learner.parameters():
            each += 0.1 * torch.randn_like(each)  # that no number of the genome is 0 or 1
    return learner.double().eval()


def minibatch(seed=0, networks=2):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(MINIBATCH, networks, INPUTS, generator=draw, dtype=torch.float64)
    return x, torch.randint(WAYS, (MINIBATCH, networks), generator=draw)


class Oracle:
    """One network of a `Blur`: a[layer][sample][neuron][state], w[layer][(i, j)][state], v[layer][(j, i)][state]."""

    def __init__(self, learner, network, which):
        self.g = {name: each.detach().numpy() for name, each in learner.named_parameters()}
        self.learner, self.k, self.sizes = learner, learner.states, learner.sizes
        self.w, self.v = [], []
        rest = iter(each[which].numpy() for each in network)
        for number, (ins, outs) in enumerate(itertools.pairwise(self.sizes)):
            w, bias = next(rest), next(rest)
            v = next(rest) if number and not learner.tied else None
            state = (lambda c: 0) if learner.shared else (lambda c: c)
            pairs = itertools.product(range(ins), range(outs))
            of_layer = {
                (i, j): [w[i, state(c), j] if number == 0 else w[state(c), i, j] for c in range(self.k)]
                for i, j in pairs
            }
            of_layer |= {("bias", j): [bias[state(c), j] for c in range(self.k)] for j in range(outs)}
            self.w.append(of_layer)
            if number and not learner.tied:
                pairs = itertools.product(range(outs), range(ins))
                self.v.append({(j, i): [v[state(c), j, i] for c in range(self.k)] for j, i in pairs})
            else:
                self.v.append({(j, i): of_layer[i, j] for i, j in itertools.product(range(ins), range(outs))})

    def active(self, z, which, last=False):
        """z[sample][neuron][state]."""
        new = np.array(z)
        if self.learner.normalises[which]:
            for j, c in np.ndindex(z.shape[1:]):
                values = z[:, :, c] if self.learner.over_layer else z[:, j, c]
                spread = np.sqrt(((values - values.mean()) ** 2).mean() + 1e-5)
                new[:, j, c] = (z[:, j, c] - values.mean()) / spread * self.g[f"{which}_deviation"][c]
                new[:, j, c] += self.g[f"{which}_mean"][c]
        sigma = np.tanh if last else SIGMA[self.learner.activation]
        return np.vectorize(sigma)(new)

    def forward(self, x):
        a = [np.zeros((len(x), size, self.k)) for size in self.sizes]
        a[0][:, :, 0] = x
        for number, outs in enumerate(self.sizes[1:]):
            z = np.zeros((len(x), outs, self.k))
            for m, j, c, d in np.ndindex(len(x), outs, self.k, self.k):
                for i in range(self.sizes[number]):
                    z[m, j, c] += self.w[number][i, j][c] * self.g["nu"][d, c] * a[number][m, i, d]
                z[m, j, c] += self.w[number]["bias", j][c] * self.g["nu"][d, c]
            a[number + 1] = self.active(self.g["gain"] * z, "forward", last=number == len(self.sizes) - 2)
        return a

    def learn(self, x, y):
        a = self.forward(x)
        answer = a[-1][:, :, 0].copy()
        a[-1][:, :, 1:] = 0
        a[-1][:, :, 1] = 2 * np.eye(WAYS)[y] - 1
        for number in range(len(self.sizes) - 2, 0, -1):
            z = self.g["keep"] * a[number]
            for m, i, c, d in np.ndindex(*a[number].shape, self.k):
                for j in range(self.sizes[number + 1]):
                    z[m, i, c] += self.g["gain"] * self.v[number][j, i][c] * self.g["mu"][d, c] * a[number + 1][m, j, d]
            a[number] = self.active(z, "backward")
        for number in range(len(self.w)):
            before, after = a[number], a[number + 1]
            w = {key: self.moved(self.w[number], key, before, after) for key in self.w[number]}
            if self.learner.tied:
                self.v[number] = {(j, i): w[i, j] for j, i in self.v[number]}
            elif number:
                self.v[number] = {key: self.moved(self.v[number], key, after, before) for key in self.v[number]}
            self.w[number] = w
        return answer

    def moved(self, of_layer, key, source, target):
        """The states of one synapse after a minibatch."""
        source_neuron, target_neuron = key
        new = []
        for c in range(self.k):
            part = 0 if self.learner.shared else c
            hebb = 0.0
            for m in range(len(target)):
                pre = np.ones(self.k) if source_neuron == "bias" else source[m, source_neuron]
                post = target[m, target_neuron]
                for e, d in np.ndindex(self.k, self.k):
                    hebb += pre[e] * self.g["pre"][e, part] * self.g["post"][part, d] * post[d] / len(target)
            w = of_layer[key][c]
            kept = self.g["synapse_keep"] * w
            if self.learner.limit == "oja":
                of_bias = source_neuron == "bias"
                into = [key for key in of_layer if key[1] == target_neuron and (key[0] == "bias") == of_bias]
                squares = sum(of_layer[each][c] ** 2 for each in into)
                kept /= 1 + abs(self.g["bound"]) * squares
            moved = kept + self.g["synapse_gain"] * hebb
            if self.learner.limit == "saturation":
                moved = self.g["bound"] * np.tanh(moved / self.g["bound"])
            new.append(moved)
        return new


@torch.no_grad()
@pytest.mark.parametrize("variant", VARIANTS)
def test_it_is_its_equations_neuron_by_neuron_and_synapse_by_synapse(variant):
    learner = small(**VARIANTS[variant])
    network = learner.start(2)
    oracles = [Oracle(learner, network, which) for which in range(2)]
    for seed in range(3):
        x, y = minibatch(seed)
        logits, network = learner.learn(x, y, network)
        for which, oracle in enumerate(oracles):
            np.testing.assert_allclose(logits[:, which], oracle.learn(x[:, which].numpy(), y[:, which]), rtol=1e-6)
    x, _ = minibatch(9)
    found = learner.answer(x, network)
    for which, oracle in enumerate(oracles):
        np.testing.assert_allclose(found[:, which], oracle.forward(x[:, which].numpy())[-1][:, :, 0], rtol=1e-6)


@pytest.mark.parametrize("activation", ["tanh", "relu", "relu_tanh"])
def test_with_the_genome_of_back_propagation_it_is_gradient_descent(activation):
    """All weights of a network of the same sigma, under cross-entropy, after ten steps of the same rate."""
    task = TaskDescription((INPUTS,), WAYS)
    settings = {"hidden": HIDDEN, "minibatch": MINIBATCH, "activation": activation, "rate": 0.25, **BACKPROPAGATION}
    learner = build("blur", task, settings).double().eval()
    network = learner.start(2)
    first, *rest = network[::2]
    weights = [[first[n, :, 0], *(each[n, 0] for each in rest)] for n in range(2)]
    biases = [[each[n, 0] for each in network[1::2]] for n in range(2)]
    sigma = {"tanh": torch.tanh, "relu": torch.relu, "relu_tanh": lambda z: z.tanh().relu()}[activation]
    with torch.no_grad():
        for seed in range(10):
            network = learner.learn(*minibatch(seed), network)[1]
    for n in range(2):
        for seed in range(10):
            x, y = minibatch(seed)
            theta = [each.detach().clone().requires_grad_() for each in (*weights[n], *biases[n])]
            h = x[:, n]
            for number in range(3):
                h = h @ theta[number] + theta[3 + number]
                h = sigma(h) if number < 2 else h
            gradients = torch.autograd.grad(fn.cross_entropy(h, y[:, n]), theta)
            moved = [each.detach() - 0.25 * gradient for each, gradient in zip(theta, gradients, strict=True)]
            weights[n], biases[n] = moved[:3], moved[3:]
        torch.testing.assert_close(network[0][n, :, 0], weights[n][0])
        for number in (1, 2):
            torch.testing.assert_close(network[2 * number][n, 0], weights[n][number])
            torch.testing.assert_close(network[2 * number + 1][n, 0], biases[n][number])


def test_the_genome_is_as_large_as_in_the_paper():
    """Twenty numbers for two states and 68 for four, before those of normalisation and the limit of synapses."""
    for states, count in ((2, 20), (4, 68)):
        bare = small(states=states, normalise="neither", limit="none")
        assert sum(each.numel() for each in bare.parameters()) == count
        whole = small(states=states)
        assert sum(each.numel() for each in whole.parameters()) == count + 4 * states + 1


@torch.no_grad()
@pytest.mark.parametrize("limit", ["oja", "saturation"])
def test_limits_keep_synapses_finite_that_grow_without_them(limit):
    x, y = minibatch()
    sizes = {}
    for name in (limit, "none"):
        learner = small(limit=name, rate=0.5)
        learner.synapse_keep.fill_(1.1)
        network = learner.start(2)
        for _ in range(200):
            network = learner.learn(x, y, network)[1]
        sizes[name] = max(each.abs().max().item() for each in network)
    assert sizes[limit] < 100 and not sizes["none"] < 1e4


def test_a_genome_is_of_networks_of_any_size():
    learner = small()
    wide = build("blur", TaskDescription((2, 5, 5), WAYS), {"hidden": [7, 6, 5]}).double()
    wide.load_state_dict(learner.state_dict())
    x = torch.randn(MINIBATCH, 2, 2, 5, 5, dtype=torch.float64)
    assert wide.answer_queries(x, minibatch()[1], x).shape == (MINIBATCH, 2, WAYS)


def test_fewer_than_two_states_are_refused():
    with pytest.raises(UserError, match="blur: states is 1 and must be at least 2"):
        Blur((4,), 3, states=1)
