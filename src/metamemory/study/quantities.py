"""Quantities: numbers with their intervals, measured of finished runs."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from metamemory.study.results import Group, Result
from metamemory.training.statistics import Interval, bootstrap

Quantity = Callable[[Result], Interval | None]  # of one run, over its test episodes; None where it was not measured


def at_shot(shot: int, measure: str = "accuracy") -> Quantity:
    """A measure in the row of a shot: the columns `measure` and the ends of its interval, `low` and `high` for
    accuracy, `<measure>_low` and `<measure>_high` for any other."""
    before = "" if measure == "accuracy" else f"{measure}_"

    def of(result: Result) -> Interval | None:
        rows = result.scores
        if shot >= len(rows):
            return None
        row = rows[shot]
        return Interval(row[measure], row[f"{before}low"], row[f"{before}high"], over="episodes")

    return of


def over_seeds(group: Group, quantity: Quantity) -> Interval | None:
    """The quantity of a group: over its seeds where there are several, else over the episodes of the one; None where it
    was not measured of all."""
    each = [quantity(result) for result in group.results]
    if any(one is None for one in each):
        return None
    return each[0] if len(each) == 1 else bootstrap(np.array([one.mean for one in each]), over="seeds")


class Measured(NamedTuple):
    """A quantity of the runs of one method in one setting of an experiment, at whatever scale they are."""

    experiment: str
    method: str
    setting: str
    quantity: Quantity
