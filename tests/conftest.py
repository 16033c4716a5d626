"""Fixtures shared by all tests; shapes and types of public signatures are checked at every call."""

import importlib
import sys
import typing
from types import ModuleType

import pytest
import torch
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

# Triton reads the text of its functions and must find them as they are, so that kernels are named one by one; and a
# generator that is checked is none any more to `torch.no_grad`, so that `training.rollout` is left out.
CHECKED = (
    *("models", "nn", "tasks", "analysis", "protocols"),
    *(f"training.{name}" for name in ("flops", "loop", "statistics", "update")),
    *(f"kernels.{name}" for name in ("batch_norm", "conv_lstm", "gates", "least_recently_used")),
    *(f"kernels.{name}" for name in ("memory_network", "native", "zero_state")),
)
checker = ModuleType("metamemory_checker")  # a whole number will do for a real one
checker.typechecker = beartype(conf=BeartypeConf(is_pep484_tower=True))
sys.modules[checker.__name__] = checker
install_import_hook([f"metamemory.{name}" for name in CHECKED], f"{checker.__name__}.typechecker")
typing.runtime_checkable(importlib.import_module("metamemory.tasks.episode").Task)  # beartype asks for it


def pytest_collection_modifyitems(items):
    """The longest file first, so that the workers end together."""
    items.sort(key=lambda item: item.path.name != "test_pipeline.py")


@pytest.fixture(autouse=True)
def one_thread():
    """Tests are small: one thread is fastest, and makes sums come out the same everywhere."""
    torch.set_num_threads(1)


@pytest.fixture
def images():
    """[class 12, drawing 10, channel 1, 8, 8] uint8: every drawing different, so that it can be told apart."""
    return torch.randint(0, 256, (12, 10, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
