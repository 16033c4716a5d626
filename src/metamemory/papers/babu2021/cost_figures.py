"""The figure of what a step costs, counted here and in Babu et al. 2021, section 4.3."""

from matplotlib.figure import Figure

from metamemory.papers.babu2021 import cost
from metamemory.papers.babu2021.reported import ADAPTED, FORWARD
from metamemory.study.figures import legend_below, narrow
from metamemory.study.methods import colour, title

SIX = "OML, six layers"


def bars() -> dict[str, tuple[str, float, float]]:
    """label -> the paper's name for it, GFLOPs of a forward and of an adapted step: CL+LSTM and those beside it."""
    found = {}
    for name in FORWARD:
        counted = cost.count(cost.at_full_size(name), cost.INPUT_SHAPE)
        label = "OML, four layers" if name == "oml" else cost.NAMES.get(name, title(name))
        found[label] = (name, counted.forward / 1e9, counted.adapted / 1e9)
    network = cost.public_oml()
    six = (cost.of_network(network, cost.INPUT_SHAPE, adapted=back) / 1e9 for back in (0, 3))
    return {**found, SIX: ("oml", *six)}


def steps() -> Figure:
    """GFLOPs of a forward and of an adapted step, the paper's numbers as diamonds."""
    figure, (axes,) = narrow(height=3)
    shown = bars()
    for y, (name, forward, adapted) in enumerate(shown.values()):
        tint = colour(name)
        axes.barh(y - 0.2, forward, 0.36, color=tint, label="forward" if y == 0 else None)
        axes.barh(y + 0.2, adapted, 0.36, color=tint, alpha=0.5, label="adapted" if y == 0 else None)
        for place, reported in ((y - 0.2, FORWARD), (y + 0.2, ADAPTED)):
            if name in reported:
                axes.plot(reported[name] / 1e9, place, "D", mfc="none", mec="black", markersize=6)
    axes.plot([], [], "D", mfc="none", mec="black", linestyle="none", label="the paper's figure")
    axes.set_yticks(range(len(shown)), list(shown))
    axes.invert_yaxis()
    axes.set(xlabel="GFLOPs a step")
    legend_below(figure)
    return figure
