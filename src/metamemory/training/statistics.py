"""Intervals: 95 % percentile bootstrap of a mean."""

from typing import NamedTuple

import numpy as np
from torch import Tensor


class Interval(NamedTuple):
    """A mean and the ends of its 95 % bootstrap interval, and what was resampled ("seeds" or "episodes")."""

    mean: float
    low: float
    high: float
    over: str


def bootstrap(values: np.ndarray | Tensor, over: str, resamples: int = 2000) -> Interval:
    """The mean of `values` [n] (nan left out) with its interval; the same values give the same interval.

    With one value there is nothing to resample: low = high = mean.
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[~np.isnan(values)]
    chosen = np.random.default_rng(0).integers(len(values), size=(resamples, len(values)))
    low, high = np.percentile(values[chosen].mean(axis=1), [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high), over)
