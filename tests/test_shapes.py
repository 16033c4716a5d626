"""Shapes of public signatures are checked in tests, and nothing but tests needs what checks them."""

import subprocess
import sys

import pytest
import torch
from jaxtyping import TypeCheckError

from metamemory.errors import UserError
from metamemory.models.attention.snail import SNAIL
from metamemory.models.recurrent.lstm import LSTM
from metamemory.nn.addressing import cosine, read
from metamemory.nn.attention import rotate
from metamemory.nn.encoder import Encoder
from metamemory.nn.labels import one_hot

WITHOUT = """
import sys
sys.modules["jaxtyping"] = sys.modules["beartype"] = None  # an import of either fails
import torch
from metamemory import shapes
from metamemory.models import TaskDescription, available, build, learner_class

assert shapes.Float[torch.Tensor, "time batch"] is torch.Tensor
[learner_class(name) for name in available()]
SMALL = {"lstm": {"hidden": 8}, "cl_lstm": {"filters": 4, "hidden": 8, "pool_after": [1]}, "protonet": {}}
for name, settings in SMALL.items():
    learner = build(name, TaskDescription((1, 8, 8), 3), settings)
    optimiser = torch.optim.SGD(learner.parameters(), lr=0.1)
    x, y = torch.rand(6, 2, 1, 8, 8), torch.randint(3, (6, 2))
    before = [each.clone() for each in learner.parameters()]
    learner.answer_queries(x[:4], y[:4], x[4:]).logsumexp(dim=-1).sum().backward()
    optimiser.step()
    assert any(not torch.equal(one, other) for one, other in zip(before, learner.parameters()))
assert not any(name.split(".")[0] in ("jaxtyping", "beartype") and module for name, module in sys.modules.items())
print("trained")
"""


def test_without_the_checkers_everything_is_imported_and_trains():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0 and done.stdout == "trained\n", done.stderr


@pytest.mark.parametrize(
    "call",
    [
        lambda: rotate(torch.rand(5, 2, 4), 0),  # no heads
        lambda: cosine(torch.rand(2, 3, 7), torch.rand(2, 8, 5)),  # lengths
        lambda: Encoder((1, 8, 8), filters=4)(torch.rand(8, 8)),  # no channel
        lambda: read(torch.rand(2, 3, 7), torch.rand(2, 8, 5)),  # rows
        lambda: one_hot(torch.rand(3), 4),  # no integers
        lambda: Encoder((1, 8, 8), filters="many"),  # beartype, of what is no tensor
    ],
)
def test_what_does_not_fit_is_found_at_the_call(call):
    with pytest.raises(TypeCheckError):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: LSTM((1, 8, 8), 3)(torch.rand(5, 2, 1, 8, 8), torch.zeros(4, 2, dtype=torch.int64)),  # times
        lambda: LSTM((1, 8, 8), 3)(torch.rand(5, 2, 1, 8, 8), torch.zeros(5, 3, dtype=torch.int64)),  # batches
        lambda: LSTM((1, 8, 8), 3)(torch.zeros(5, 2, 1, 8, 8, dtype=torch.uint8), torch.zeros(5, 2).long()),  # pixels
        lambda: SNAIL((1, 8, 8), 3, filters=4)(torch.rand(5, 2, 64), torch.zeros(5, 2).long()),  # no images
    ],
)
def test_what_does_not_fit_a_learner_is_told_in_its_own_words(call):
    with pytest.raises(UserError, match="must be"):
        call()


def test_a_real_setting_may_be_a_whole_number():
    assert LSTM((1, 8, 8), 3, forget_bias=1).classifier.out_features == 3
