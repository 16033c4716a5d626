"""Figures of online few-shot learning that are of this paper's learner: its layers, its recipe, its delays."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from metamemory.models.recurrent.cl_lstm import CLLSTM
from metamemory.study.curves import EPISODES, Panel, learning_curves
from metamemory.study.diagrams import QUIET, SMALL, Box, Diagram
from metamemory.study.figures import MUTED, band, chance_line, legend_below, narrow
from metamemory.study.methods import colour
from metamemory.study.quantities import at_shot
from metamemory.study.results import Group, Result

DELAY_COLOURS = {1: "#56B4E9", 2: "#0072B2", 4: "#E69F00", 5: "#CC79A7", 10: "#009E73"}  # by the delay trained at
LAYER_COLOURS = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00")  # from the first layer up


def plateaus(groups: Sequence[Group], named: Sequence[str], shot: int = 5, n_way: int = 5) -> Figure:
    """Validation accuracy of one learner at one shot during training, a line a seed: the settings `named` in colour,
    the first of them in the learner's own, the others in grey."""

    def look(group: Group) -> dict[str, Any]:
        setting = group.run.setting
        if setting not in named:
            return {"color": MUTED, "linewidth": 0.8, "alpha": 0.6}
        place = named.index(setting)
        shade = plt.get_cmap("viridis")(0.9 * (place - 1) / max(len(named) - 2, 1))
        tint = shade if place else colour(group.run.method)
        return {"color": tint, "linewidth": 2, "label": setting.replace("_", " "), "zorder": 3}

    panel = Panel([(f"accuracy_{shot}_shot", look)], EPISODES, f"{shot}-shot validation accuracy, %")
    return learning_curves(groups, [panel], n_way)


def by_delay(groups: Sequence[Group], shot: int = 5, n_way: int = 5) -> Figure:
    """Accuracy against the delay of the labels, one panel a way of training: a line for each delay trained at, with its
    interval over test episodes and, larger, that delay itself."""
    kinds: dict[str, list[Group]] = {}
    for group in sorted(groups, key=_delay_of):
        first = group.run.setting.endswith("_pretrained")
        name = "trained at a delay of 1 first" if first else "trained at the delay from the start"
        kinds.setdefault(name, []).append(group)
    figure, panels = narrow(len(kinds), height=3.6)
    for delay in sorted(set(map(_delay_of, groups))):  # the legend is in their order, whichever panel has them
        label = f"trained at {delay} step{'s' if delay > 1 else ''}"
        panels[0].plot([], [], color=DELAY_COLOURS.get(delay, MUTED), marker=".", label=label)
    for axes, (name, own) in zip(panels, sorted(kinds.items()), strict=True):
        for group in own:
            _draw_by_delay(axes, group, shot)
        chance_line(axes, n_way)
        axes.set(xlabel="delay in the test, steps", ylim=(0, 102))
        axes.set_title(textwrap.fill(name, 24), fontsize="small")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].set_ylabel(f"{shot}-shot accuracy, %")
    legend_below(figure)
    return figure


def by_place(groups: Mapping[str, Group], n_way: int = 5) -> Figure:
    """Accuracy by shot of one learner, a line for each place where labels are shown, the best first in the legend."""
    figure, (axes,) = narrow(height=3.8)
    best_first = sorted(groups.items(), key=lambda item: -item[1].results[0].scores[-1]["accuracy"])
    for k, (place, group) in enumerate(best_first):
        shots = range(len(group.results[0].scores))
        tint = plt.get_cmap("viridis")(0.9 * k / max(len(best_first) - 1, 1))
        band(axes, shots, group, [at_shot(shot) for shot in shots], tint, marker="o", label=place)
    chance_line(axes, n_way)
    axes.set(xlabel="labelled samples of the class seen before (shot)", ylabel="accuracy, %", ylim=(0, 102))
    legend_below(figure)
    return figure


def _delay_of(group: Group) -> int:
    return group.results[0].manifest["configuration"]["task"]["delay"]


def _draw_by_delay(axes: Axes, group: Group, shot: int) -> None:
    trained_at = _delay_of(group)
    tint = DELAY_COLOURS.get(trained_at, MUTED)
    for result in group.results:
        rows = [row for row in result.example["by_delay"] if row["shot"] == shot]
        delays = [row["delay"] for row in rows]
        low, high = ([100 * row[end] for row in rows] for end in ("low", "high"))
        axes.fill_between(delays, low, high, color=tint, alpha=0.2, lw=0)
        axes.plot(delays, [100 * row["accuracy"] for row in rows], color=tint, marker=".")
        at = [100 * row["accuracy"] for row in rows if row["delay"] == trained_at]
        axes.plot([trained_at] * len(at), at, "o", color=tint, markersize=9)


def layers(result: Result) -> Figure:
    """Accuracy by shot with the state of one part reset before every step, and frozen from a step on."""
    figure, both = narrow(2)
    shown = result.example
    titles = (
        ("reset", "state reset before every step"),
        ("frozen", f"state frozen from step {shown['frozen_after']} on"),
    )
    for axes, (kind, name) in zip(both, titles, strict=True):
        axes.plot([100 * row["accuracy"] for row in result.scores], color="black", label="as trained")
        for (part, accuracy), tint in zip(shown[kind].items(), LAYER_COLOURS, strict=True):
            axes.plot([100 * each for each in accuracy], color=tint, marker="o", markersize=3, label=part)
        axes.set(xlabel="labelled samples\nseen before (shot)", ylim=(0, 102))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(name, fontsize="small")
    both[0].set_ylabel("accuracy, %")
    legend_below(figure)
    return figure


def moved(result: Result) -> Figure:
    """How far the label of each step moves the state of each part, as a share of its length."""
    figure, (axes,) = narrow(height=3.8)
    for (part, share), tint in zip(result.example["moved"].items(), LAYER_COLOURS, strict=True):
        axes.plot(range(1, len(share)), [100 * each for each in share[1:]], color=tint, label=part)
    axes.set(xlabel="step", ylabel="moved by the label, % of the state's length", ylim=(0, None))
    legend_below(figure)
    return figure


def architecture(learner: CLLSTM, input_shape: tuple[int, int, int]) -> Figure:
    """The layers of a CL+LSTM with the sizes of their states, drawn from the learner itself, from the image down."""
    diagram = Diagram(colour("cl_lstm"), 5.3)
    diagram.text(3.45, 0.66, "kept from step to step", size=SMALL, tint=QUIET)
    x = 2.0
    channels, height, width = input_shape
    boxes = [diagram.fixed(x, 0.22, 0.9, 0.3, "$x_t$")]
    diagram.text(2.55, 0.22, f"{channels}×{height}×{width}", size=SMALL, tint=QUIET, ha="left")
    for layer, (cl, size) in enumerate(zip(learner.cl, learner.sizes, strict=True), start=1):
        box = diagram.fixed(x, 0.3 + 0.66 * layer, 0.9, 0.34, f"CL-{layer}")
        _state(diagram, box, [[0.2, 0.7, 0.3], [0.8, 0.4, 0.9], [0.3, 0.6, 0.2]], f"{cl.filters}×{size[0]}×{size[1]}")
        boxes.append(box)
    boxes.append(diagram.fixed(x, 3.6, 0.9, 0.34, "LSTM"))
    _state(diagram, boxes[-1], [[0.2, 0.9, 0.5, 0.7]], str(learner.lstm.hidden_size))
    boxes.append(diagram.fixed(x, 4.26, 0.9, 0.34, "classifier"))
    diagram.text(2.55, 4.26, f"{learner.n_way} logits", size=SMALL, tint=QUIET, ha="left")
    for number, (above, below) in enumerate(zip(boxes, boxes[1:], strict=False)):
        diagram.down(above, below)
        if number in learner.pool_after:
            diagram.text(x + 0.08, (above.bottom[1] + below.top[1]) / 2, "pool 2×2", size=SMALL, tint=QUIET, ha="left")
    skip = [
        (boxes[2].left[0], boxes[2].y),
        (1.25, boxes[2].y),
        (1.25, boxes[4].y),
        (boxes[4].left[0] - 0.03, boxes[4].y),
    ]
    diagram.path(skip, lw=1.4)
    diagram.text(1.18, (boxes[2].y + boxes[3].y) / 2 - 0.09, "skip,\nadded", size=SMALL, tint=QUIET, ha="right")
    for place, box in zip(("cl1", "cl2", "cl3", "cl4", "lstm"), boxes[1:], strict=False):
        if place in learner.inject:
            chip = diagram.chip(0.9, box.y - 0.09, "1")
            diagram.arrow((chip.right[0] + 0.03, chip.y), (box.left[0] - 0.03, chip.y))
    if learner.inject:
        diagram.text(0.66, 0.36, "label of the\nstep before", size=SMALL, tint=QUIET)
    diagram.legend(4.8, query=False)
    return diagram.figure


def _state(diagram: Diagram, box: Box, shown: list[list[float]], size: str) -> None:
    """What a layer keeps, beside its box: written, and read at the next step."""
    state = diagram.cells(3.05, box.y, shown, 0.1)
    diagram.arrow((box.right[0] + 0.04, box.y + 0.07), (state.left[0] - 0.04, box.y + 0.07), kept=True)
    diagram.arrow((state.left[0] - 0.04, box.y - 0.07), (box.right[0] + 0.04, box.y - 0.07), kept=True)
    diagram.text(3.34, box.y, size, size=SMALL, tint=QUIET, ha="left")
