"""The ConvLSTM layer against loops over pixels, written from the equations."""

import math

import pytest
import torch

from metamemory.errors import UserError
from metamemory.nn import precision
from metamemory.nn.conv_lstm import ConvLSTM, ConvLSTMState
from metamemory.nn.precision import product_type


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def one_step_by_loops(layer, x, h, c):
    """Eqs (1)-(5) of Babu et al. 2021 at every pixel of one image; lists of floats, no tensors' arithmetic."""
    filters, size, kernel = layer.filters, x.shape[-1], layer.w_x.shape[-1]
    w_x, w_h, b = layer.w_x.tolist(), layer.w_h.tolist(), layer.bias.tolist()
    x, h, c = x.tolist(), h.tolist(), c.tolist()

    def convolved(weights, maps, gate, row, column):
        total = 0.0
        for channel, plane in enumerate(maps):
            for i in range(kernel):
                for j in range(kernel):
                    at_row, at_column = row + i - kernel // 2, column + j - kernel // 2
                    if 0 <= at_row < size and 0 <= at_column < size:
                        total += weights[gate][channel][i][j] * plane[at_row][at_column]
        return total

    new_h = [[[0.0] * size for _ in range(size)] for _ in range(filters)]
    new_c = [[[0.0] * size for _ in range(size)] for _ in range(filters)]
    for unit in range(filters):
        for row in range(size):
            for column in range(size):
                i, f, o, g = (
                    convolved(w_x, x, gate, row, column) + convolved(w_h, h, gate, row, column) + b[gate]
                    for gate in range(unit, 4 * filters, filters)
                )
                cell = sigmoid(f) * c[unit][row][column] + sigmoid(i) * math.tanh(g)
                new_c[unit][row][column] = cell
                new_h[unit][row][column] = sigmoid(o) * math.tanh(cell)
    return torch.tensor(new_h), torch.tensor(new_c)


def test_a_sequence_equals_loops_over_pixels():
    torch.manual_seed(0)
    layer = ConvLSTM(2, 3, normalise=False)
    x = torch.randn(3, 1, 2, 4, 4)
    state = ConvLSTMState(torch.randn(1, 3, 4, 4), torch.randn(1, 3, 4, 4))
    hs, last = layer(x, state)
    h, c = state.h[0], state.c[0]
    for t in range(3):
        h, c = one_step_by_loops(layer, x[t, 0], h, c)
        torch.testing.assert_close(hs[t, 0], h, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(last.c[0], c, rtol=1e-4, atol=1e-5)


def test_parameters_are_those_of_the_closed_formula():
    layer = ConvLSTM(6, 64, normalise=False)
    assert sum(each.numel() for each in layer.parameters()) == 4 * 64 * (6 + 64) * 9 + 4 * 64


def test_a_fresh_layer_remembers():
    layer = ConvLSTM(1, 4, forget_bias=1.0)
    assert layer.bias.tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ("vendor_id : AuthenticAMD\nflags : avx512_bf16", torch.bfloat16),
        ("vendor_id : AuthenticAMD\nflags : avx2", torch.float32),
        ("vendor_id : GenuineIntel\nflags : avx512_bf16", torch.float32),
        ("vendor_id : GenuineIntel\nflags : avx512_bf16 amx_bf16", torch.bfloat16),
        (None, torch.float32),  # a system without /proc
    ],
)
def test_bfloat16_is_taken_where_it_is_faster(monkeypatch, tmp_path, about, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(precision, "CPUINFO", tmp_path / "cpuinfo")
    if about is not None:
        (tmp_path / "cpuinfo").write_text(about, encoding="utf-8")
    assert product_type("auto") == expected
    assert product_type("bfloat16") == torch.bfloat16


def test_an_unknown_precision_is_refused():
    with pytest.raises(UserError, match="precision is 'half'"):
        product_type("half")
    assert product_type("auto") in (torch.float32, torch.bfloat16)


def test_statistics_of_a_sample_are_those_of_each_gate_at_one_step_of_one_episode():
    torch.manual_seed(0)
    plain = ConvLSTM(2, 3, normalise=False)
    layer = ConvLSTM(2, 3, statistics="sample", forget_bias=0.0)
    layer.load_state_dict({**plain.state_dict(), "bias": torch.zeros(12), "gain": torch.ones(12)})
    x = torch.randn(1, 5, 2, 4, 4)
    state = layer.initial_state(5, (4, 4))
    with torch.no_grad():
        for sample in range(5):
            u = torch.nn.functional.conv2d(x[0, sample], layer.w_x, padding=1)
            i, f, o, g = ((gate - gate.mean()) / gate.std(correction=0) for gate in u.chunk(4))
            c = torch.sigmoid(i) * torch.tanh(g)
            h, _ = layer(x, state)
            torch.testing.assert_close(h[0, sample], torch.sigmoid(o) * torch.tanh(c), rtol=1e-3, atol=1e-4)


def test_with_statistics_of_a_sample_training_and_evaluation_agree_in_any_company():
    torch.manual_seed(0)
    layer = ConvLSTM(2, 3, statistics="sample")
    x = torch.randn(6, 4, 2, 4, 4)
    h, _ = layer(x, layer.initial_state(4, (4, 4)))
    layer.eval()
    alone, state = [], layer.initial_state(1, (4, 4))
    for x_t in x[:, :1]:
        h_t, state = layer(x_t[None], state)
        alone.append(h_t)
    torch.testing.assert_close(torch.cat(alone), h[:, :1], rtol=1e-4, atol=1e-5)
    assert not any("running" in name for name in layer.state_dict())


def test_unknown_statistics_are_refused():
    with pytest.raises(UserError, match="statistics is 'layer' and must be batch or sample"):
        ConvLSTM(2, 3, statistics="layer")
