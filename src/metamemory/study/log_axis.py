"""A logarithmic axis that can be read."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter


def log_axis(axes: Axes, at: Sequence[float] | None = None) -> None:
    """A logarithmic axis along x with numbers as they are: at these places, or at 1, 2 and 5 of each power of ten."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if at is None else FixedLocator(at))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
