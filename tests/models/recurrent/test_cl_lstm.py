"""CL+LSTM: the paper's sizes, and its equations step by step."""

import itertools

import pytest
import torch
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.models.recurrent.cl_lstm import CLLSTM
from metamemory.training.flops import flops_per_step


def by_the_equations(learner, x, y_seen):
    """Every step, layer after layer, from the equations: of the learner only weights are used."""
    filters, hidden = learner.cl[0].filters, learner.lstm.hidden_size
    batch = x.shape[1]
    h = [torch.zeros(batch, filters, *size) for size in learner.sizes]
    c = [torch.zeros(batch, filters, *size) for size in learner.sizes]
    top_h, top_c = torch.zeros(batch, hidden), torch.zeros(batch, hidden)
    logits, skip = [], None
    for t in range(len(x)):
        label = torch.zeros(batch, learner.n_way)
        for b, seen in enumerate(y_seen[t].tolist()):
            if seen >= 0:
                label[b, seen] = 1
        z = x[t]
        for n, layer in enumerate(learner.cl):
            if n == 3:
                z = z + skip
            if f"cl{n + 1}" in learner.inject:
                planes = torch.ones(batch, learner.n_way, *z.shape[2:]) * label[:, :, None, None]
                z = torch.cat([z, planes], dim=1)
            a = fn.conv2d(z, layer.w_x, padding=1)
            scale = layer.gain / (layer.running_var + 1e-5).sqrt()
            a = (a - layer.running_mean[:, None, None]) * scale[:, None, None] + layer.bias[:, None, None]
            i, f, o, g = (a + fn.conv2d(h[n], layer.w_h, padding=1)).split(filters, dim=1)
            c[n] = f.sigmoid() * c[n] + i.sigmoid() * g.tanh()
            h[n] = o.sigmoid() * c[n].tanh()
            z = fn.max_pool2d(h[n], 2) if n + 1 in learner.pool_after else h[n]
            if n == 1:
                skip = fn.max_pool2d(z, 2) if 3 in learner.pool_after else z
        features = z.flatten(1)
        if "lstm" in learner.inject:
            features = torch.cat([features, label], dim=1)
        lstm = learner.lstm
        a = features @ lstm.weight_ih_l0.T + lstm.bias_ih_l0 + top_h @ lstm.weight_hh_l0.T + lstm.bias_hh_l0
        i, f, g, o = a.split(hidden, dim=1)
        top_c = f.sigmoid() * top_c + i.sigmoid() * g.tanh()
        top_h = o.sigmoid() * top_c.tanh()
        logits.append(top_h @ learner.classifier.weight.T + learner.classifier.bias)
    return torch.stack(logits)


@pytest.mark.parametrize(
    "inject", [(), ("lstm",), ("cl1",), ("cl1", "lstm"), ("cl1", "cl2", "cl3", "cl4"), ("cl2", "cl4", "lstm")]
)
@pytest.mark.parametrize("pool_after", [(1, 2), (1, 2, 3)])
def test_forward_equals_the_equations(inject, pool_after):
    torch.manual_seed(0)
    learner = CLLSTM((1, 11, 11), 3, filters=4, hidden=7, inject=inject, pool_after=pool_after).eval()
    for layer in learner.cl:
        layer.running_mean.normal_()
        layer.running_var.uniform_(0.5, 2)
    x, y_seen = torch.rand(5, 2, 1, 11, 11), torch.randint(-1, 3, (5, 2))
    expected = by_the_equations(learner, x, y_seen)
    torch.testing.assert_close(learner(x, y_seen), expected, rtol=1e-4, atol=1e-5)


def test_the_size_that_the_paper_reports():
    """1.047 M parameters in the CL layers and 0.40 GFLOPs a step at 28x28, 5-way: facts from its section 4.3."""
    learner = CLLSTM((1, 28, 28), n_way=5, normalise=False)
    assert sum(each.numel() for each in learner.cl.parameters()) == 1_047_040
    assert flops_per_step(learner, (1, 28, 28)) / 1e9 == pytest.approx(0.40, abs=0.005)


def test_parameters_and_flops_are_those_of_the_closed_formulas():
    filters, hidden, n_way = 64, 256, 5
    learner = CLLSTM((1, 28, 28), n_way=n_way)
    features = filters * 3 * 3 + n_way
    cl = [4 * filters * (c_in + filters) * 9 for c_in in (1 + n_way, filters, filters, filters)]
    lstm = 4 * hidden * (features + hidden)
    head = n_way * hidden
    # beside the products: a bias and a gain for every gate of every CL layer, two biases in torch's LSTM
    extra = 4 * (2 * 4 * filters) + 2 * 4 * hidden + n_way
    assert sum(each.numel() for each in learner.parameters()) == sum(cl) + lstm + head + extra
    pixels = [28 * 28, 14 * 14, 7 * 7, 3 * 3]
    flops = 2 * (sum(weights * area for weights, area in zip(cl, pixels, strict=True)) + lstm + head)
    assert flops_per_step(learner, (1, 28, 28)) == flops


def test_only_the_layers_that_are_told_can_see_a_label():
    """The first CL layer's state depends on the labels exactly when they are shown to it."""
    for inject in itertools.chain.from_iterable(itertools.combinations(("cl1", "cl3", "lstm"), n) for n in range(4)):
        torch.manual_seed(0)
        learner = CLLSTM((1, 8, 8), 3, filters=4, hidden=8, inject=inject, pool_after=(1, 2)).eval()
        x, state = torch.rand(2, 1, 8, 8), learner.initial_state(2)
        one, other = (learner.step(x, torch.full((2,), label), state)[1] for label in (0, 1))
        differs = [not torch.equal(a.h, b.h) for a, b in zip(one.cl, other.cl, strict=True)]
        differs.append(not torch.equal(one.lstm[0], other.lstm[0]))
        reached = [any(place in inject for place in ("cl1", "cl2", "cl3", "cl4", "lstm")[: n + 1]) for n in range(5)]
        assert differs == reached


def test_impossible_settings_are_refused():
    with pytest.raises(UserError, match="inject is \\['cl5'\\], .* one of cl1, cl2"):
        CLLSTM((1, 28, 28), 5, inject=("cl5",))
    with pytest.raises(UserError, match="leaves nothing"):
        CLLSTM((1, 8, 8), 5, pool_after=(1, 2, 3, 4))
