"""Intervals of the bootstrap."""

import numpy as np
import pytest

from metamemory.training.statistics import bootstrap


def test_the_interval_holds_the_mean_it_should():
    values = np.random.default_rng(1).normal(0.7, 0.1, size=400)
    interval = bootstrap(values, "episodes")
    expected = 1.96 * 0.1 / 20
    assert interval.low == pytest.approx(interval.mean - expected, abs=0.003)
    assert interval.high == pytest.approx(interval.mean + expected, abs=0.003)
    assert bootstrap(values, "episodes") == interval
    assert bootstrap(np.array([0.5, np.nan]), "seeds") == (0.5, 0.5, 0.5, "seeds")
