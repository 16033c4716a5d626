"""Fixtures shared by all tests; shapes and types of public signatures are checked at every call."""

import sys
from types import ModuleType

import pytest
import torch
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

# Triton reads the text of its functions and must find them as they are, so that kernels are named one by one.
CHECKED = ("models", "nn", *(f"kernels.{name}" for name in ("batch_norm", "conv_lstm", "gates", "least_recently_used",
                                                            "memory_network", "native", "zero_state")))  # fmt: skip
checker = ModuleType("metamemory_checker")  # a whole number will do for a real one
checker.typechecker = beartype(conf=BeartypeConf(is_pep484_tower=True))
sys.modules[checker.__name__] = checker
install_import_hook([f"metamemory.{name}" for name in CHECKED], f"{checker.__name__}.typechecker")


@pytest.fixture(autouse=True)
def one_thread():
    """Tests are small: one thread is fastest, and makes sums come out the same everywhere."""
    torch.set_num_threads(1)


@pytest.fixture
def images():
    """[class 12, drawing 10, channel 1, 8, 8] uint8: every drawing different, so that it can be told apart."""
    return torch.randint(0, 256, (12, 10, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
