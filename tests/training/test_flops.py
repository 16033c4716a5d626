"""FLOPs against closed formulas, for labels of all kinds."""

import pytest
import torch
from torch import nn

from metamemory.models.recurrent.lstm import LSTM
from metamemory.nn.labels import Characters, Values
from metamemory.training.flops import flops_of, flops_per_step


@pytest.mark.parametrize("labels", [5, Characters(5, 5), Values(1)])
def test_an_lstm_is_its_products(labels):
    """4 H (inputs + H) of the gates and H outputs of the classifier, 2 FLOPs each."""
    learner = LSTM((1, 8, 8), labels, hidden=6)
    inputs, outputs = 64 + learner.labels.inputs, learner.labels.outputs
    assert flops_per_step(learner, (1, 8, 8), labels) == 2 * (4 * 6 * (inputs + 6) + 6 * outputs)


def test_the_learner_is_left_as_it_is():
    learner = LSTM((1, 8, 8), 3, hidden=4).train()
    flops_per_step(learner, (1, 8, 8))
    assert learner.training and all(each.device.type == "cpu" for each in learner.parameters())


def test_a_backward_pass_is_counted_where_it_is_asked_for():
    """Of a linear layer whose input needs no gradient it is one product as large as the forward one."""
    layer, x = nn.Linear(8, 3, bias=False), torch.empty(1, 8, device="meta")
    assert flops_of(layer, lambda ghost: ghost(x)) == 2 * 8 * 3
    assert flops_of(layer, lambda ghost: ghost(x).sum().backward(), gradients=True) == 2 * 2 * 8 * 3
