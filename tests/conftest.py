"""Fixtures shared by all tests."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Tests are small: one thread is fastest, and makes sums come out the same everywhere."""
    torch.set_num_threads(1)


@pytest.fixture
def images():
    """[class 12, drawing 10, channel 1, 8, 8] uint8: every drawing different, so that it can be told apart."""
    return torch.randint(0, 256, (12, 10, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
