"""Figures. A method has the same colour everywhere, and shares it only with methods that it is never shown beside. They
are from Okabe and Ito's palette, and where that ends from Tol's muted one; both are safe for colour-blind readers."""

import base64
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.ticker import MaxNLocator

from metamemory.models.recurrent.cl_lstm import CLLSTM
from metamemory.papers.babu2021 import reported as papers
from metamemory.study.results import Group, Result
from metamemory.tasks import Episode
from metamemory.tasks.sampling import denormalise

COLOURS = {
    "cl_lstm": "#D55E00",
    "lstm": "#0072B2",
    "nearest_neighbour": "#767676",
    "counting": "#BBBBBB",
    "ntm": "#009E73",
    "apl": "#E69F00",
    "opn": "#56B4E9",
    "cpm": "#CC79A7",
    "snail": "#882255",
    "transformer": "#332288",
    "mann": "#117733",
    "cnn_lstm": "#44AA99",
    "cnn_f_lstm": "#999933",
    "oml": "#0072B2",
    "anml": "#009E73",
    "fine_tuning": "#767676",
    "mann_strength": "#AA4499",
    "mann_feedforward": "#88CCEE",
    "feedforward": "#BBBBBB",
    "autoencoder_neighbour": "#000000",
    "gaussian_process": "#767676",
}
SPARE_COLOURS = ("#000000", "#8C6D31", "#5254A3", "#637939")  # for methods of the reader's own
RIGHT, WRONG, MUTED = "#009E73", "#D55E00", "#8A8A8A"


def use_style() -> None:
    """Set the look of all figures; every notebook and page calls it once."""
    sns.set_theme(context="notebook", style="ticks", font_scale=0.95)
    plt.rcParams.update(
        {
            "figure.dpi": 110,
            "savefig.bbox": "tight",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.grid.axis": "y",
            "grid.alpha": 0.4,
            "legend.frameon": False,
        }
    )


def colour(method: str) -> str:
    """The method's colour; one of a few spare ones, always the same, for a method of the reader's own."""
    return COLOURS.get(method) or SPARE_COLOURS[sum(map(ord, method)) % len(SPARE_COLOURS)]


def accuracy_by_shot(groups: Sequence[Group], n_way: int = 5) -> Figure:
    """Accuracy against the number of labelled samples seen, with 95 % intervals, and the paper's values."""
    figure, axes = plt.subplots(figsize=(7, 4.2))
    _draw_accuracy_by_shot(axes, groups, n_way)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return figure


def accuracy_by_shot_at(scales: Mapping[str, Sequence[Group]], n_way: int = 5) -> Figure:
    """The same for several scales side by side, a panel each under its title; the legend is of the most methods."""
    figure, panels = plt.subplots(1, len(scales), figsize=(1 + 4.2 * len(scales), 4.2), sharey=True, squeeze=False)
    for axes, (title, groups) in zip(panels[0], scales.items(), strict=True):
        _draw_accuracy_by_shot(axes, groups, n_way)
        axes.set_title(title, fontsize="small")
        axes.set_xlabel("samples of the class seen before (shot)")
        axes.label_outer()
    most = max(panels[0], key=lambda axes: len(axes.get_legend_handles_labels()[1]))
    axes.legend(*most.get_legend_handles_labels(), loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    figure.tight_layout()
    return figure


def _draw_accuracy_by_shot(axes: Axes, groups: Sequence[Group], n_way: int) -> None:
    for group in _best_first(groups):
        shots = range(len(group.results[0].by_shot))
        intervals = [group.accuracy(shot) for shot in shots]
        tint = colour(group.run.method)
        mean, low, high = (
            100 * np.array([getattr(each, end) for each in intervals]) for end in ("mean", "low", "high")
        )
        axes.plot(shots, mean, marker="o", markersize=4, color=tint, label=papers.title(group.run.method))
        axes.fill_between(shots, low, high, color=tint, alpha=0.2, linewidth=0)
        for shot, reported in papers.TABLE_1.get(group.run.setting, {}).get(group.run.method, {}).items():
            axes.plot(shot, 100 * reported.mean, marker="D", markersize=6, mfc="none", mec=tint, linestyle="none")
    axes.plot([], [], marker="D", mfc="none", mec=MUTED, linestyle="none", label="the paper's figure")
    axes.axhline(100 / n_way, color=MUTED, linestyle=":", linewidth=1)
    axes.text(len(shots) - 1, 100 / n_way + 1, "chance", color=MUTED, ha="right", fontsize="small")
    axes.set(xlabel="labelled samples of the class seen before (shot)", ylabel="accuracy, %", ylim=(0, 102))


def _best_first(groups: Sequence[Group]) -> list[Group]:
    """In the order in which lines end, from above, so that a legend beside them reads as they do."""
    return sorted(groups, key=lambda group: -group.results[0].by_shot[-1]["accuracy"])


def learning_curves(groups: Sequence[Group], shot: int = 5, n_way: int = 5) -> Figure:
    """Validation accuracy at one shot against episodes trained on and against time; a line a seed."""
    figure, (by_episodes, by_time) = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True)
    for group in _best_first(groups):
        label = papers.title(group.run.method)
        for history in (result.history for result in group.results if result.history):
            accuracy = [100 * row[f"accuracy_{shot}_shot"] for row in history]
            tint = colour(group.run.method)
            by_episodes.plot([row["episodes"] for row in history], accuracy, color=tint)
            by_time.plot([row["seconds"] / 60 for row in history], accuracy, color=tint, label=label)
            label = None
    for axes in (by_episodes, by_time):
        axes.axhline(100 / n_way, color=MUTED, linestyle=":", linewidth=1)
    by_time.text(1, 100 / n_way - 1, "chance", color=MUTED, fontsize="small", ha="right", va="top",
                 transform=by_time.get_yaxis_transform())  # fmt: skip
    by_episodes.set(
        xlabel="training episodes", xscale="log", ylabel=f"{shot}-shot validation accuracy, %", ylim=(0, 102)
    )
    by_time.set(xlabel="training time, minutes")
    by_time.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    figure.tight_layout()
    return figure


def plateaus(groups: Sequence[Group], named: Sequence[str], shot: int = 5, n_way: int = 5) -> Figure:
    """Validation accuracy of one learner at one shot during training, a line a seed: the settings `named` in colour,
    the first of them in the learner's own, the others in grey."""
    figure, axes = plt.subplots(figsize=(8, 3.8))
    for group in sorted(groups, key=lambda each: each.run.setting in named):  # these on top
        setting = group.run.setting
        style = {"color": MUTED, "linewidth": 0.8, "alpha": 0.6}
        if setting in named:
            place = named.index(setting)
            tint = (
                plt.get_cmap("viridis")(0.9 * (place - 1) / max(len(named) - 2, 1))
                if place
                else colour(group.run.method)
            )
            style = {"color": tint, "linewidth": 2}
        for result in group.results:
            lines = axes.plot(
                [row["episodes"] / 1000 for row in result.history],
                [100 * row[f"accuracy_{shot}_shot"] for row in result.history],
                **style,
            )
        if setting in named:
            lines[0].set_label(setting.replace("_", " "))
    axes.axhline(100 / n_way, color=MUTED, lw=1, ls=":")
    axes.set(xlabel="training episodes, thousands", ylabel=f"{shot}-shot validation accuracy, %", ylim=(0, 102))
    if any(group.run.setting in named for group in groups):
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    figure.tight_layout()
    return figure


def by_delay(groups: Sequence[Group], shot: int = 5, n_way: int = 5) -> Figure:
    """Accuracy against the delay of the labels, one panel a way of training: a line for each delay trained at, with its
    interval over test episodes and, larger, that delay itself."""

    def delay_of(group: Group) -> int:
        return group.results[0].manifest["configuration"]["task"]["delay"]

    kinds: dict[str, list[Group]] = {}
    for group in sorted(groups, key=delay_of):
        first = group.run.setting.endswith("_pretrained")
        name = "trained at a delay of 1 first" if first else "trained at the delay from the start"
        kinds.setdefault(name, []).append(group)
    figure, panels = plt.subplots(1, len(kinds), figsize=(4.75 * len(kinds), 3.8), sharey=True, squeeze=False)
    for axes, (name, own) in zip(panels[0], sorted(kinds.items()), strict=True):
        for group in own:
            trained_at = delay_of(group)
            tint = plt.get_cmap("viridis")(min(trained_at, 10) / 11)  # the same for a delay in both panels
            for result in group.results:
                rows = [row for row in result.example["by_delay"] if row["shot"] == shot]
                delays = [row["delay"] for row in rows]
                low, high = ([100 * row[end] for row in rows] for end in ("low", "high"))
                axes.fill_between(delays, low, high, color=tint, alpha=0.2, lw=0)
                label = f"{trained_at} steps" if result is group.results[0] else None
                axes.plot(delays, [100 * row["accuracy"] for row in rows], color=tint, marker=".", label=label)
                at = [100 * row["accuracy"] for row in rows if row["delay"] == trained_at]
                axes.plot([trained_at] * len(at), at, "o", color=tint, markersize=9)
        axes.axhline(100 / n_way, color=MUTED, lw=1, ls=":")
        axes.set(xlabel="delay in the test, steps", ylim=(0, 102))
        axes.set_title(name, fontsize="medium")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(title="delay in training", fontsize="small", title_fontsize="small")
    panels[0, 0].set_ylabel(f"{shot}-shot accuracy, %")
    figure.tight_layout()
    return figure


def calibration(results: Sequence[Result]) -> Figure:
    """Accuracy and mean confidence against the shot, and the calibration error; a colour a method."""
    figure, (sure, error) = plt.subplots(1, 2, figsize=(9, 3.6))
    for result in results:
        tint, shown = colour(result.run.method), result.example
        shots = range(len(shown["confidence"]))
        sure.plot(shots, [100 * row["accuracy"] for row in result.by_shot], color=tint, marker="o", markersize=4)
        sure.plot(shots, [100 * each for each in shown["confidence"]], color=tint, linestyle="--")
        error.plot(
            shots, [100 * each for each in shown["calibration_error"]], color=tint, marker="o", markersize=4,
            label=papers.title(result.run.method),
        )  # fmt: skip
    sure.plot([], [], color=MUTED, marker="o", markersize=4, label="accuracy")
    sure.plot([], [], color=MUTED, linestyle="--", label="mean confidence")
    for axes, name in ((sure, "%"), (error, "expected calibration error, points of %")):
        axes.set(xlabel="labelled samples of the class seen before (shot)", ylabel=name)
        axes.legend(fontsize="small")
    sure.set_ylim(0, 102)
    error.set_ylim(0, None)
    figure.tight_layout()
    return figure


LAYER_COLOURS = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00")  # from the first layer up


def layers(result: Result) -> Figure:
    """Accuracy by shot with the state of one part reset before every step, and frozen from a step on."""
    figure, both = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
    shown = result.example
    titles = (
        ("reset", "state reset before every step"),
        ("frozen", f"state frozen from step {shown['frozen_after']} on"),
    )
    for axes, (kind, title) in zip(both, titles, strict=True):
        axes.plot([100 * row["accuracy"] for row in result.by_shot], color="black", label="as trained")
        for (part, accuracy), tint in zip(shown[kind].items(), LAYER_COLOURS, strict=True):
            axes.plot([100 * each for each in accuracy], color=tint, marker="o", markersize=3, label=part)
        axes.set(xlabel="labelled samples seen before (shot)", ylim=(0, 102))
        axes.set_title(title, fontsize="medium")
    both[0].set_ylabel("accuracy, %")
    both[1].legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    return figure


def moved(result: Result) -> Figure:
    """How far the label of each step moves the state of each part, as a share of its length."""
    figure, axes = plt.subplots(figsize=(7, 3.6))
    for (part, share), tint in zip(result.example["moved"].items(), LAYER_COLOURS, strict=True):
        axes.plot(range(1, len(share)), [100 * each for each in share[1:]], color=tint, label=part)
    axes.set(xlabel="step", ylabel="moved by the label, % of the state's length", ylim=(0, None))
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def episode(sample: Episode, index: int = 0, steps: int = 15) -> Figure:
    """The first steps of one episode as the learner meets it: drawing, label shown with it, answer wanted."""
    steps = min(steps, len(sample.y))
    figure, every = plt.subplots(1, steps, figsize=(0.82 * steps, 1.9))
    for t, axes in enumerate(every):
        shown = sample.y_seen[t, index].item()
        _picture(axes, denormalise(sample.x[t, index]).cpu().numpy())
        axes.set_title("null" if shown < 0 else str(shown), fontsize=10, color=MUTED if shown < 0 else "black")
        axes.set_xlabel(f"{sample.y[t, index].item()}\nshot {sample.shot[t, index].item()}", fontsize=9)
    for height, word in ((1.22, "label shown"), (-0.2, "label wanted")):
        every[0].text(-0.15, height, word, transform=every[0].transAxes, ha="right", va="center", fontsize=9)
    return figure


def answers(results: Sequence[Result], steps: int = 45) -> Figure:
    """One test episode and each learner's probability for every label at every step. A GPU draws other episodes than a
    processor: learners are put together by their episode, below its drawings."""
    by_episode: dict[str, list[tuple[str, dict]]] = {}
    for result in results:
        example = result.example
        by_episode.setdefault(example["x"], []).append((result.run.method, example))
    steps = min(steps, len(example["y"]))  # the same task for all
    heights = [height for shown in by_episode.values() for height in (1.1, *[2.2] * len(shown))]
    figure, all_rows = plt.subplots(
        len(heights),
        1,
        figsize=(0.26 * steps + 1.2, 0.4 + 0.6 * sum(heights)),
        gridspec_kw={"height_ratios": heights, "hspace": 0.35},
        sharex=True,
    )
    rows = iter(all_rows)
    for shown in by_episode.values():
        _draw_images(next(rows), shown[0][1], steps)
        for method, example in shown:
            _draw_answers(next(rows), example, steps, method)
    all_rows[-1].set_xlabel("step")
    return figure


def _draw_images(axes: Axes, example: dict, steps: int) -> None:
    images = np.frombuffer(base64.b64decode(example["x"]), dtype=np.uint8).reshape(example["x_shape"])
    strip = np.concatenate(list(images[:steps]), axis=-1)
    axes.imshow(_pixels(strip), cmap="gray_r", vmin=0, vmax=255, extent=(-0.5, steps - 0.5, 0, 1), aspect="auto")
    axes.set(yticks=[], ylabel="x")
    axes.grid(False)
    axes.tick_params(bottom=False)


def _draw_answers(axes: Axes, example: dict, steps: int, method: str) -> None:
    probability = np.array(example["probability"])[:steps].T
    axes.imshow(probability, cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for t in range(steps):
        wanted, answer = example["y"][t], int(probability[:, t].argmax())
        edge = RIGHT if answer == wanted else WRONG
        axes.add_patch(plt.Rectangle((t - 0.5, wanted - 0.5), 1, 1, fill=False, lw=1.4, ec=edge))
    axes.grid(False)
    axes.set(yticks=range(len(probability)), ylabel="label")
    axes.set_title(papers.title(method), loc="left", fontsize=10, color=colour(method))


def architecture(learner: CLLSTM, input_shape: tuple[int, int, int]) -> Figure:
    """The layers of a CL+LSTM with the sizes of their states, drawn from the learner itself."""
    figure, axes = plt.subplots(figsize=(9.2, 3.0))
    axes.set(xlim=(-0.7, 13.1), ylim=(-2.2, 2.1))
    axes.axis("off")
    channels, height, width = input_shape
    nodes = [("$x_t$", f"{channels}×{height}×{width}", "input", "#FFFFFF")]
    for layer, (cl, size) in enumerate(zip(learner.cl, learner.sizes, strict=True), start=1):
        pooled = "\npool 2×2" if layer in learner.pool_after else ""
        nodes.append((f"CL-{layer}", f"{cl.filters}×{size[0]}×{size[1]}{pooled}", f"cl{layer}", "#E3EEF7"))
    nodes.append(("LSTM", str(learner.lstm.hidden_size), "lstm", "#E3EEF7"))
    nodes.append(("classifier", f"{learner.n_way} logits", "out", "#FFFFFF"))
    at = {}
    for place, (name, detail, key, fill) in enumerate(nodes):
        x = 2.05 * place
        at[key] = x
        axes.add_patch(FancyBboxPatch((x - 0.65, -0.6), 1.3, 1.2, boxstyle="round,pad=0.04", fc=fill, ec="black"))
        axes.text(x, 0.22, name, ha="center", va="center", fontsize=10 if len(name) < 8 else 8.5, weight="bold")
        axes.text(x, -0.24, detail, ha="center", va="center", fontsize=8)
        if place:
            _arrow(axes, (x - 1.36, 0), (x - 0.7, 0))
        if key.startswith(("cl", "lstm")):
            _arrow(axes, (x + 0.35, 0.66), (x - 0.35, 0.66), curve=1.1, tint="#0072B2")
    axes.text(at["cl1"], 1.55, "state $h, c$\nfrom step to step", ha="center", color="#0072B2", fontsize=8.5)
    start, end, below = at["cl2"] + 0.95, at["cl4"] - 0.95, -1.0
    axes.plot([start, start, end, end], [0, below, below, -0.3], color=MUTED, lw=1.3)
    _arrow(axes, (end, -0.35), (end, -0.02), tint=MUTED)
    axes.text((start + end) / 2, below - 0.28, "skip, added", ha="center", color=MUTED, fontsize=8.5)
    for key in sorted(learner.inject):
        _arrow(axes, (at[key], -1.55), (at[key], -0.68), tint="#D55E00")
    if learner.inject:
        axes.text(
            np.mean([at[key] for key in learner.inject]), -1.95, "label shown with $x_t$ ($y_{t-1}$, null at first)",
            ha="center", color="#D55E00", fontsize=9,
        )  # fmt: skip
    return figure


def alphabet(images: torch.Tensor, classes: Sequence[int], drawings: int = 10) -> Figure:
    """A few classes, a row each, several people's drawings side by side. images as in `data.ImageSet`."""
    figure, every = plt.subplots(len(classes), drawings, figsize=(0.6 * drawings, 0.6 * len(classes)), squeeze=False)
    for row, index in zip(every, classes, strict=True):
        for axes, drawing in zip(row, images[index], strict=False):
            _picture(axes, drawing.numpy())
    return figure


def _pixels(image: np.ndarray) -> np.ndarray:
    """uint8 [channel, height, width] as matplotlib has it: a drawing [height, width], a photograph in colour."""
    return image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)


def _picture(axes: Axes, image: np.ndarray) -> None:
    axes.imshow(_pixels(image), cmap="gray_r", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set(visible=True, color="#CCCCCC", linewidth=0.8)


def _arrow(axes: Axes, start, end, curve: float = 0.0, tint: str = "black") -> None:
    style = f"arc3,rad={curve}"
    axes.add_patch(
        FancyArrowPatch(start, end, connectionstyle=style, arrowstyle="-|>", mutation_scale=11, color=tint, lw=1.3)
    )
