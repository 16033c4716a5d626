"""VSML synapse by synapse."""

import numpy as np
import pytest
import torch

from metamemory.models import TaskDescription, build

INPUTS, WAYS, UNITS, MESSAGES = 4, 3, 6, 5


def small(**settings):
    torch.manual_seed(0)
    settings = {"units": UNITS, "messages": MESSAGES, "minibatch": 3, **settings}
    return build("vsml", TaskDescription((INPUTS,), WAYS), settings).double().eval()


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


class Oracle:
    """One network: every synapse an LSTM with lists of its own, every message computed where it is sent."""

    def __init__(self, rule, network, which):
        self.p = {name: each.detach().numpy() for name, each in rule.named_parameters()}
        self.rule, self.sizes = rule, rule.sizes
        layers = len(self.sizes) - 1
        self.h, self.c = ([network[2 * n + k][which].numpy().copy() for n in range(layers)] for k in range(2))
        self.forward = [np.zeros((size, MESSAGES)) for size in self.sizes[:-1]]  # read by layer n
        self.backward = [np.zeros((size, MESSAGES)) for size in self.sizes[1:]]

    def step(self, x, label):
        p = self.p
        self.forward[0] = np.zeros((INPUTS, MESSAGES))
        self.forward[0][:, 0] = x
        for n, (ins, outs) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            said_forward, said_backward = np.zeros((ins, outs, MESSAGES)), np.zeros((ins, outs, MESSAGES))
            for i, j in np.ndindex(ins, outs):
                h, c = self.h[n][i, j], self.c[n][i, j]
                for _ in range(self.rule.ticks):
                    read = np.concatenate([self.forward[n][i], self.backward[n][j], h])
                    weights = np.concatenate([p["w_forward"], p["w_backward"], p["w_own"]])
                    gi, gf, go, gg = np.split(read @ weights + p["bias"], 4)
                    c = sigmoid(gf) * c + sigmoid(gi) * np.tanh(gg)
                    h = sigmoid(go) * np.tanh(c)
                self.h[n][i, j], self.c[n][i, j] = h, c
                said_forward[i, j] = p["forward_head.weight"] @ h
                said_backward[i, j] = p["backward_head.weight"] @ h
            of_root = (ins**0.5, outs**0.5) if self.rule.power == 0.5 else (ins, outs)
            message = said_forward.sum(axis=0) / of_root[0] + p["forward_head.bias"]
            if n:
                self.backward[n - 1] = said_backward.sum(axis=1) / of_root[1] + p["backward_head.bias"]
            if n < len(self.sizes) - 2:
                self.forward[n + 1] = message
        logits = 100 * np.tanh(message[:, 1] / 100)
        shares = np.exp(logits - logits.max())
        self.backward[-1] = np.zeros((WAYS, MESSAGES))
        self.backward[-1][:, 0] = shares / shares.sum() - np.eye(WAYS)[label]
        return logits


@torch.no_grad()
@pytest.mark.parametrize("settings", [{}, {"hidden": [2], "merge": "mean"}, {"hidden": [3, 2], "ticks": 1}])
def test_it_is_its_equations_synapse_by_synapse(settings):
    rule = small(**settings)
    network = rule.start(2)
    oracles = [Oracle(rule, network, which) for which in range(2)]
    draw = torch.Generator().manual_seed(1)
    for _ in range(2):
        x, y = (
            torch.randn(3, 2, INPUTS, generator=draw, dtype=torch.float64),
            torch.randint(WAYS, (3, 2), generator=draw),
        )
        asked = rule.answer(x[:1], network)
        logits, network = rule.learn(x, y, network)
        torch.testing.assert_close(asked[0], logits[0])
        for which, oracle in enumerate(oracles):
            for sample in range(3):
                expected = oracle.step(x[sample, which].numpy(), y[sample, which])
                np.testing.assert_allclose(logits[sample, which], expected, rtol=1e-8)


def test_it_has_as_many_parameters_as_in_the_paper():
    assert sum(each.numel() for each in build("vsml", TaskDescription((1, 28, 28), 10), {}).parameters()) == 2384


def test_gradients_are_cut_off_between_minibatches_where_truncated():
    x, y = torch.randn(6, 2, INPUTS).double(), torch.randint(WAYS, (6, 2))
    for truncated in (False, True):
        rule = small(truncated=truncated).train()
        network = tuple(each.requires_grad_() for each in rule.start(2))
        loss = rule.learn(x[3:], y[3:], rule.learn(x[:3], y[:3], network)[1])[0].square().sum()
        (gradient,) = torch.autograd.grad(loss, network[0], allow_unused=True)
        assert (gradient is None) == truncated
