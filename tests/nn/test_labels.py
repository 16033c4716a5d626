"""Labels as a network reads them: one-hot, strings of characters, numbers; the null label is nothing."""

import pytest
import torch

from metamemory.models.memory.mann import MANN
from metamemory.models.memory.ntm import NTM
from metamemory.models.recurrent.lstm import LSTM
from metamemory.nn.labels import Characters, Classes, Values, labels_of, one_hot


def test_one_hot():
    assert one_hot(torch.tensor([[0, 2], [-1, 1]]), 3).tolist() == [[[1, 0, 0], [0, 0, 1]], [[0, 0, 0], [0, 1, 0]]]
    assert labels_of(3) == Classes(3)


def test_characters_lie_side_by_side():
    written = Characters(2, 3)(torch.tensor([[2, 0], [-1, -1]]))
    assert written.tolist() == [[0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]]


def test_numbers_stand_for_themselves():
    assert Values(2)(torch.tensor([[0.5, -1.0], [torch.nan, torch.nan]])).tolist() == [[0.5, -1.0], [0.0, 0.0]]


@pytest.mark.parametrize("learner", [LSTM, MANN, NTM])
@pytest.mark.parametrize(
    ("labels", "y"),
    [
        (Characters(5, 5), torch.randint(5, (4, 2, 5))),
        (Values(1), torch.rand(4, 2, 1)),
        (3, torch.randint(3, (4, 2))),
    ],
)
def test_a_learner_takes_and_gives_what_the_labels_ask_for(learner, labels, y):
    """Inputs need not be images: x is [time, batch, feature] here."""
    answers = learner((7,), labels, hidden=6)(torch.rand(4, 2, 7), y)
    assert answers.shape == (4, 2, labels_of(labels).outputs)
