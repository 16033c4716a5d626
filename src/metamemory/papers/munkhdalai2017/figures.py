"""Figures of Munkhdalai and Yu 2017: networks that were never trained."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from metamemory.papers.munkhdalai2017.reported import FIGURE_3, FIGURE_3_EVERY
from metamemory.study.curves import EPISODES, draw_curves
from metamemory.study.figures import MUTED
from metamemory.study.results import Group

NETWORKS = {"target": ("", "#CC79A7"), "small": ("_small", "#0072B2"), "big": ("_big", "#E69F00")}  # column, colour


def other_networks(shown: Sequence[Group]) -> Figure:
    """Figure 3: test accuracy against tasks trained on, of the network that fast weights were learned for and of two
    that were never trained; beside it the paper's. A panel a group."""
    figure, panels = plt.subplots(1, len(shown) + 1, figsize=(4.4 * (len(shown) + 1), 3.6), sharey=True, squeeze=False)
    for axes, group in zip(panels[0], shown, strict=False):
        configuration = group.results[0].manifest["configuration"]
        filters = {"target": configuration.get("model", {}).get("filters", 64)}
        filters |= {name: each["filters"] for name, each in configuration["others"].items()}
        for name, (column, tint) in NETWORKS.items():
            kind = "its own network" if name == "target" else "random slow weights"
            look = {"color": tint, "label": f"{kind}, {filters[name]} filters"}
            draw_curves(axes, group, f"test_accuracy{column}", EPISODES, look)
        axes.set_title(f"this study, {group.label}", fontsize="small")
    last = panels[0, -1]
    for name, (_, tint) in NETWORKS.items():
        values = FIGURE_3[name]
        trials = [FIGURE_3_EVERY * (place + 1) for place in range(len(values))]
        last.plot(trials, values, color=tint, linewidth=1.2, label={"target": "64", "small": "32", "big": "128"}[name])
    last.set_title("the paper, its Figure 3", fontsize="small")
    for axes in panels[0]:
        axes.set(xlabel=EPISODES.label, ylim=(0, 102))
        axes.axhline(20, color=MUTED, linestyle=":", linewidth=1)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.legend(fontsize="small", loc="lower right")
    panels[0, 0].set_ylabel("accuracy in tests, %")
    figure.tight_layout()
    return figure
