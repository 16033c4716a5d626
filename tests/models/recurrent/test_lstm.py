"""The LSTM baseline: its equation, and its size from the closed formula."""

import numpy as np
import torch

from metamemory.models.recurrent.lstm import LSTM
from metamemory.training.flops import flops_per_step


@torch.no_grad()
def test_forward_equals_the_equation(lstm_step):
    torch.manual_seed(0)
    learner = LSTM((1, 4, 4), n_way=3, hidden=7).double()
    w = {name: value.numpy() for name, value in learner.state_dict().items()}
    x, y_seen = torch.rand(6, 2, 1, 4, 4, dtype=torch.float64), torch.randint(-1, 3, (6, 2))
    logits = learner(x, y_seen)
    for b in range(2):
        h, c = np.zeros(7), np.zeros(7)
        for t in range(6):
            label = [float(y_seen[t, b] == k) for k in range(3)]  # null: all 0
            shown = np.concatenate([x[t, b].numpy().ravel(), label])
            h, c = lstm_step(w, shown, h, c)
            expected = w["classifier.weight"] @ h + w["classifier.bias"]
            np.testing.assert_allclose(logits[t, b].numpy(), expected, rtol=1e-9, atol=1e-12)


def test_forget_gates_start_open_and_no_other_does():
    learner = LSTM((1, 4, 4), n_way=3, hidden=200)
    i, f, g, o = (each.mean().item() for each in learner.lstm.bias_ih_l0.chunk(4))  # torch's order
    assert f == 1 and all(abs(each) < 0.02 for each in (i, g, o))


def test_parameters_and_flops():
    learner = LSTM((1, 20, 20), n_way=5, hidden=200)
    weights = 4 * 200 * (405 + 200) + 5 * 200
    assert sum(each.numel() for each in learner.parameters()) == weights + 2 * 4 * 200 + 5
    assert flops_per_step(learner, (1, 20, 20)) == 2 * weights
