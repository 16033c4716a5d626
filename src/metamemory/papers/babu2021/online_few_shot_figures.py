"""Figures of online few-shot learning that are of this paper's learner: its layers, its recipe, its delays."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.ticker import MaxNLocator

from metamemory.models.recurrent.cl_lstm import CLLSTM
from metamemory.study.curves import EPISODES, Panel, learning_curves
from metamemory.study.figures import MUTED, chance_line, legend_beside
from metamemory.study.methods import colour
from metamemory.study.results import Group, Result

LAYER_COLOURS = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00")  # from the first layer up
STATE, LABEL = "#0072B2", "#D55E00"  # arrows of the architecture


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
    figure, panels = plt.subplots(1, len(kinds), figsize=(4.75 * len(kinds), 3.8), sharey=True, squeeze=False)
    for axes, (name, own) in zip(panels[0], sorted(kinds.items()), strict=True):
        for group in own:
            _draw_by_delay(axes, group, shot)
        chance_line(axes, n_way)
        axes.set(xlabel="delay in the test, steps", ylim=(0, 102))
        axes.set_title(name, fontsize="medium")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(title="delay in training", fontsize="small", title_fontsize="small")
    panels[0, 0].set_ylabel(f"{shot}-shot accuracy, %")
    figure.tight_layout()
    return figure


def _delay_of(group: Group) -> int:
    return group.results[0].manifest["configuration"]["task"]["delay"]


def _draw_by_delay(axes: Axes, group: Group, shot: int) -> None:
    trained_at = _delay_of(group)
    tint = plt.get_cmap("viridis")(min(trained_at, 10) / 11)  # the same for a delay in both panels
    label: str | None = f"{trained_at} steps"
    for result in group.results:
        rows = [row for row in result.example["by_delay"] if row["shot"] == shot]
        delays = [row["delay"] for row in rows]
        low, high = ([100 * row[end] for row in rows] for end in ("low", "high"))
        axes.fill_between(delays, low, high, color=tint, alpha=0.2, lw=0)
        axes.plot(delays, [100 * row["accuracy"] for row in rows], color=tint, marker=".", label=label)
        at = [100 * row["accuracy"] for row in rows if row["delay"] == trained_at]
        axes.plot([trained_at] * len(at), at, "o", color=tint, markersize=9)
        label = None


def layers(result: Result) -> Figure:
    """Accuracy by shot with the state of one part reset before every step, and frozen from a step on."""
    figure, both = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
    shown = result.example
    titles = (
        ("reset", "state reset before every step"),
        ("frozen", f"state frozen from step {shown['frozen_after']} on"),
    )
    for axes, (kind, name) in zip(both, titles, strict=True):
        axes.plot([100 * row["accuracy"] for row in result.scores], color="black", label="as trained")
        for (part, accuracy), tint in zip(shown[kind].items(), LAYER_COLOURS, strict=True):
            axes.plot([100 * each for each in accuracy], color=tint, marker="o", markersize=3, label=part)
        axes.set(xlabel="labelled samples seen before (shot)", ylim=(0, 102))
        axes.set_title(name, fontsize="medium")
    both[0].set_ylabel("accuracy, %")
    legend_beside(both[1])
    figure.tight_layout()
    return figure


def moved(result: Result) -> Figure:
    """How far the label of each step moves the state of each part, as a share of its length."""
    figure, axes = plt.subplots(figsize=(7, 3.6))
    for (part, share), tint in zip(result.example["moved"].items(), LAYER_COLOURS, strict=True):
        axes.plot(range(1, len(share)), [100 * each for each in share[1:]], color=tint, label=part)
    axes.set(xlabel="step", ylabel="moved by the label, % of the state's length", ylim=(0, None))
    legend_beside(axes)
    return figure


def architecture(learner: CLLSTM, input_shape: tuple[int, int, int]) -> Figure:
    """The layers of a CL+LSTM with the sizes of their states, drawn from the learner itself."""
    figure, axes = plt.subplots(figsize=(9.2, 3.0))
    axes.set(xlim=(-0.7, 13.1), ylim=(-2.2, 2.1))
    axes.axis("off")
    at = {}
    for place, (name, detail, key, fill) in enumerate(_boxes(learner, input_shape)):
        x = at[key] = 2.05 * place
        axes.add_patch(FancyBboxPatch((x - 0.65, -0.6), 1.3, 1.2, boxstyle="round,pad=0.04", fc=fill, ec="black"))
        axes.text(x, 0.22, name, ha="center", va="center", fontsize=10 if len(name) < 8 else 8.5, weight="bold")
        axes.text(x, -0.24, detail, ha="center", va="center", fontsize=8)
        if place:
            _arrow(axes, (x - 1.36, 0), (x - 0.7, 0))
        if key.startswith(("cl", "lstm")):
            _arrow(axes, (x + 0.35, 0.66), (x - 0.35, 0.66), curve=1.1, tint=STATE)
    axes.text(at["cl1"], 1.55, "state $h, c$\nfrom step to step", ha="center", color=STATE, fontsize=8.5)
    start, end, below = at["cl2"] + 0.95, at["cl4"] - 0.95, -1.0
    axes.plot([start, start, end, end], [0, below, below, -0.3], color=MUTED, lw=1.3)
    _arrow(axes, (end, -0.35), (end, -0.02), tint=MUTED)
    axes.text((start + end) / 2, below - 0.28, "skip, added", ha="center", color=MUTED, fontsize=8.5)
    for key in sorted(learner.inject):
        _arrow(axes, (at[key], -1.55), (at[key], -0.68), tint=LABEL)
    if learner.inject:
        centre = np.mean([at[key] for key in learner.inject])
        words = "label shown with $x_t$ ($y_{t-1}$, null at first)"
        axes.text(centre, -1.95, words, ha="center", color=LABEL, fontsize=9)
    return figure


def _boxes(learner: CLLSTM, input_shape: tuple[int, int, int]) -> list[tuple[str, str, str, str]]:
    """Name, detail, key and colour of each box, from the input to the classifier."""
    channels, height, width = input_shape
    boxes = [("$x_t$", f"{channels}×{height}×{width}", "input", "#FFFFFF")]
    for layer, (cl, size) in enumerate(zip(learner.cl, learner.sizes, strict=True), start=1):
        pooled = "\npool 2×2" if layer in learner.pool_after else ""
        boxes.append((f"CL-{layer}", f"{cl.filters}×{size[0]}×{size[1]}{pooled}", f"cl{layer}", "#E3EEF7"))
    boxes.append(("LSTM", str(learner.lstm.hidden_size), "lstm", "#E3EEF7"))
    boxes.append(("classifier", f"{learner.n_way} logits", "out", "#FFFFFF"))
    return boxes


def _arrow(axes: Axes, start, end, curve: float = 0.0, tint: str = "black") -> None:
    style = f"arc3,rad={curve}"
    axes.add_patch(
        FancyArrowPatch(start, end, connectionstyle=style, arrowstyle="-|>", mutation_scale=11, color=tint, lw=1.3)
    )
