"""How figures mark what was measured, and what a paper reports: the same in all of them."""

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.typing import ColorType

from metamemory.training.statistics import Interval

PAPER = "#000000"
LIGHTEST = 0.3  # relative luminance: a contrast of 3 to white


def on_white(tint: str) -> tuple[float, float, float]:
    """A colour, darker where a thin mark in it would hardly be seen: of a pale yellow its olive. For figures whose rows
    are named, in which a colour need not be told from another."""
    colour = to_rgb(tint)
    luminance = sum(
        weight * (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4)
        for weight, each in zip((0.2126, 0.7152, 0.0722), colour, strict=True)
    )
    share = min(1.0, (LIGHTEST / max(luminance, LIGHTEST)) ** (1 / 2.2))
    return tuple(share * each for each in colour)


def measured(axes: Axes, place: float, found: Interval, tint: ColorType, decides: bool) -> None:
    """A share with its interval, in per cent along x; filled where the runs are at the paper's size and on its data."""
    axes.hlines(place, 100 * found.low, 100 * found.high, color=tint, linewidth=2 if decides else 1)
    look = {"mfc": tint if decides else "white", "mec": tint, "linestyle": "none", "zorder": 3}
    axes.plot(100 * found.mean, place, marker="o", markersize=5, **look)


def reported(axes: Axes, place: float, number: float) -> None:
    """A share that a paper reports, in per cent along x."""
    axes.plot(100 * number, place, marker="D", markersize=5, mfc="none", mec=PAPER, linestyle="none", zorder=4)


def of_measured(label: str, tint: str, decides: bool) -> Line2D:
    """In a legend."""
    face = tint if decides else "white"
    return Line2D([], [], color=tint, marker="o", mfc=face, linewidth=2 if decides else 1, label=label)


def of_reported(label: str) -> Line2D:
    """In a legend."""
    return Line2D([], [], color=PAPER, marker="D", mfc="none", linestyle="none", label=label)
