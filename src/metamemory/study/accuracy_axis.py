"""The axis of accuracies of all figures: in per cent, or of errors where they are near the top."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

NEAR_TOP = 95  # per cent: accuracies from here on are told apart by their errors
LEAST_ERROR = 0.05  # per cent, the smallest that such an axis shows
TICKS = (0, 50, 80, 90, 95, 98, 99, 99.5, 99.8, 99.9)  # of it


def accuracy_axis(axes: Axes, best: float, along: str = "y", what: str = "accuracy", worst: float = 0) -> None:
    """The axis of accuracies in per cent, along "y" or "x". Where the best that is shown is at least NEAR_TOP it is one
    of errors, and begins below the worst: the logarithm of what is missing to 100, so that 98.2 and 99.5 can be told
    apart."""
    if best < NEAR_TOP:
        axes.set(**{f"{along}label": f"{what}, %", f"{along}lim": (0, 102)})
        return
    getattr(axes, f"set_{along}scale")("function", functions=(_of_errors, _of_places))
    ends = max(100 - 1.5 * (100 - worst), 0), 100 - max((100 - best) / 1.5, LEAST_ERROR)
    axes.set(**{f"{along}label": f"{what}, % (errors on a log scale)", f"{along}lim": ends})
    axis = getattr(axes, f"{along}axis")
    axis.set_major_locator(FixedLocator(_ticks(*ends, share=0.15 if along == "x" else 0)))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_locator(NullLocator())


def _ticks(low: float, high: float, share: float) -> list[float]:
    """Those between the ends, of which two that are next to each other have at least a share of the axis between
    them."""
    gap = share * (_of_errors(high) - _of_errors(low))
    chosen: list[float] = []
    for tick in (each for each in TICKS if low <= each <= high):
        if not chosen or _of_errors(tick) - _of_errors(chosen[-1]) >= gap:
            chosen.append(tick)
    return chosen


def _of_errors(accuracy: np.ndarray) -> np.ndarray:
    return -np.log10(np.maximum(100 - accuracy, LEAST_ERROR / 2))


def _of_places(place: np.ndarray) -> np.ndarray:
    return 100 - 10.0 ** -np.asarray(place)
