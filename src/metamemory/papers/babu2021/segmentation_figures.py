"""Figures of online few-shot segmentation: Figure 5 of Babu et al. 2021, and those beyond it."""

import base64
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from metamemory.papers.babu2021.reported import FINE_TUNED, FIRST, NINTH, TABLE_4
from metamemory.papers.babu2021.segmentation import MEASURES, NOWHERE, address, name
from metamemory.study.curves import MINUTES, Panel
from metamemory.study.figures import MUTED, RIGHT, WRONG, band, diamond, legend_below, narrow
from metamemory.study.quantities import at_shot
from metamemory.study.results import Group, Result
from metamemory.tasks.segmentation import MaskEpisode

COLOURS = {FINE_TUNED: "#44AA99", NINTH: "#0072B2", FIRST: "#D55E00", NOWHERE: "#BBBBBB"}
OBJECT, DISTRACTOR = RIGHT, WRONG  # green and orange; the paper has green and red
SPARE = "#000000"
STEPS_ACROSS = 9  # pictures side by side that can still be seen on a telephone
AXIS = {"segmented": "segmentation: IoU, %", "masked": "masking: share left out, %"}


def strip(results: Sequence[Result], names: Sequence[str]) -> Figure:
    """One test episode, the same for all: the pictures, which of them were to be segmented, and what each learner made
    of them. Green is what it marked as the object; orange what of a distractor it left out."""
    first = results[0].example
    pictures = _pixels(first["x"], first["x_shape"]).transpose(0, 2, 3, 1)
    steps, height, width = pictures.shape[:3]
    bits = np.unpackbits(np.frombuffer(base64.b64decode(first["thing"]), np.uint8), count=steps * height * width)
    thing = bits.reshape(steps, height, width).astype(bool)
    wanted = np.array(first["wanted"])[:, None, None]
    lines, across = 2 + len(results), min(steps, STEPS_ACROSS)
    blocks = -(-steps // across)  # one below the other
    figure = plt.figure(figsize=(0.58 * across + 0.9, 0.62 * blocks * (lines + 0.5)))
    answers = [
        np.frombuffer(base64.b64decode(result.example["probability"]), np.uint8).reshape(thing.shape) >= 128
        for result in results
    ]
    layers = [pictures, _overlaid(pictures, thing & wanted, thing & ~wanted)]
    layers += [_overlaid(pictures, answer, thing & ~wanted & ~answer) for answer in answers]
    grids = figure.subfigures(blocks, 1, squeeze=False)[:, 0]
    for block, part in enumerate(grids):
        rows = part.subplots(lines, across, squeeze=False, gridspec_kw={"wspace": 0.06, "hspace": 0.06})
        here = slice(block * across, (block + 1) * across)
        for row, layer, label in zip(rows, layers, ("picture", "truth", *names), strict=True):
            for axes, shown in zip(row, layer[here], strict=False):
                _picture(axes, shown)
            row[0].set_ylabel(textwrap.fill(label, 12), rotation=0, ha="right", va="center", fontsize=9)
        for axes, shot in zip(rows[0], first["shot"][here], strict=False):
            axes.set_title(str(shot), fontsize=9)
        rows[0, 0].text(-0.15, 1.2, "shot", transform=rows[0, 0].transAxes, ha="right", fontsize=9)
        for axes in rows[:, steps - here.start :].flat:  # of a block that is not full
            axes.axis("off")
    return figure


def by_shot(groups: Sequence[Group]) -> Figure:
    """Both measures against how many pictures of the thing were seen before, with 95 % intervals, and the paper's."""
    figure, both = narrow(2)
    for group in groups:
        tint, shots = _tint(group), range(len(group.results[0].scores))
        for axes, measure in zip(both, MEASURES, strict=True):
            band(axes, shots, group, [at_shot(shot, measure) for shot in shots], tint, marker="o", label=name(group))
            for (of, shot), reported in TABLE_4.get(address(group), {}).items():
                if of == measure:
                    diamond(axes, shot, reported, tint)
    both[1].plot([], [], marker="D", mfc="none", mec=MUTED, linestyle="none", label="the paper's figure")
    for axes, measure in zip(both, MEASURES, strict=True):
        axes.set(xlabel="pictures of the thing\nseen before (shot)", ylabel=AXIS[measure], ylim=(0, 102))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_below(figure)
    return figure


def swap(groups: Sequence[Group]) -> Figure:
    """Both measures at each step of an episode in the middle of which object and distractor exchange their roles;
    dashed, the same pictures without the exchange."""
    figure, both = narrow(2)
    for group in groups:
        for axes, measure in zip(both, MEASURES, strict=True):
            for kind, style in (("swapped", "-"), ("plain", "--")):
                steps = np.array([result.example["by_step"][kind][measure] for result in group.results])
                label = name(group) if kind == "swapped" else None
                axes.plot(100 * steps.mean(axis=0), linestyle=style, color=_tint(group), label=label)
    both[1].plot([], [], linestyle="--", color=MUTED, label="without the exchange")
    for axes, measure in zip(both, MEASURES, strict=True):
        axes.axvline(steps.shape[1] / 2 - 0.5, color=MUTED, linewidth=1)
        axes.set(xlabel="step", ylabel=AXIS[measure], ylim=(0, 102))
    both[0].text(steps.shape[1] / 2 - 0.2, 98, "roles exchanged", color=MUTED, fontsize="small", va="top")
    legend_below(figure)
    return figure


def rates(result: Result) -> Figure:
    """Both measures on validation classes against the rate at which the baseline is fine-tuned, and the rate taken."""
    figure, (axes,) = narrow(height=3.6)
    rows = result.example["by_rate"]
    for measure, tint in (("segmented", OBJECT), ("masked", DISTRACTOR)):
        for shot, style in ((1, "--"), (6, "-")):
            values = [100 * row[f"{measure}_{shot}_shot"] for row in rows]
            label = f"{MEASURES[measure]}, {shot}-shot"
            axes.plot([row["rate"] for row in rows], values, style, marker="o", markersize=4, color=tint, label=label)
    axes.axvline(result.manifest["online_rate"], color=MUTED, linewidth=1)
    axes.text(result.manifest["online_rate"], 1, " taken", color=MUTED, fontsize="small", va="bottom")
    axes.set(xscale="log", xlabel="rate of the gradient at each step", ylabel="segmentation, masking, %", ylim=(0, 102))
    legend_below(figure)
    return figure


def _look(group: Group) -> dict[str, Any]:
    return {"label": name(group), "color": _tint(group)}


# Both measures on validation classes at six shots; the baseline, validated as it is trained, has the first alone.
PANELS = [Panel([(f"{measure}_6_shot", _look)], MINUTES, AXIS[measure]) for measure in MEASURES]


def episode(sample: MaskEpisode, index: int = 0) -> Figure:
    """One episode as the learner meets it: the picture, the mask shown with it, the mask wanted."""
    steps = len(sample.x)
    figure, rows = plt.subplots(3, steps, figsize=(0.72 * steps, 2.6), gridspec_kw={"wspace": 0.06, "hspace": 0.06})
    layers = (
        sample.x[:, index].permute(0, 2, 3, 1).cpu().numpy(),
        sample.y_seen[:, index].cpu().numpy(),
        sample.y[:, index].cpu().numpy(),
    )
    for row, layer, label in zip(rows, layers, ("picture", "mask shown\nwith it", "mask wanted"), strict=True):
        for axes, shown in zip(row, layer, strict=True):
            _picture(axes, shown)
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
    for axes, shot in zip(rows[0], sample.shot[:, index].tolist(), strict=True):
        axes.set_title(str(shot), fontsize=9)
    rows[0, 0].text(-0.15, 1.2, "shot", transform=rows[0, 0].transAxes, ha="right", fontsize=9)
    return figure


def _tint(group: Group) -> str:
    return COLOURS.get(address(group), SPARE)


def _pixels(encoded: str, shape: Sequence[int]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(encoded), np.uint8).reshape(shape) / 255


def _overlaid(pictures: np.ndarray, green: np.ndarray, red: np.ndarray) -> np.ndarray:
    """Pictures [step, height, width, 3] in grey, with pixels of the masks [step, height, width] tinted."""
    shown = np.repeat(0.25 + 0.6 * pictures.mean(axis=-1, keepdims=True), 3, axis=-1)
    for mask, tint in ((green, OBJECT), (red, DISTRACTOR)):
        shown = np.where(mask[..., None], 0.35 * shown + 0.65 * np.array(to_rgb(tint)), shown)
    return shown


def _picture(axes: Axes, shown: np.ndarray) -> None:
    """A picture in colour, or a mask: black on the object, white on the ground, grey for null (-1)."""
    if shown.ndim == 2:
        shown = np.where(shown < 0, 0.6, 1 - shown)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set(visible=True, color="#CCCCCC", linewidth=0.6)
