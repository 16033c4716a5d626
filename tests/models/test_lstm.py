"""The LSTM baseline's size, from the closed formula."""

from metamemory.models.lstm import LSTM
from metamemory.training.flops import flops_per_step


def test_parameters_and_flops():
    learner = LSTM((1, 20, 20), n_way=5, hidden=200)
    weights = 4 * 200 * (405 + 200) + 5 * 200
    assert sum(each.numel() for each in learner.parameters()) == weights + 2 * 4 * 200 + 5
    assert flops_per_step(learner, (1, 20, 20)) == 2 * weights
