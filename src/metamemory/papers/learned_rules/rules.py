"""Learning rules of networks: accuracy by steps in each test, and a network while it learns."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metamemory.study.figures import MUTED, RIGHT, WRONG, band, chance_line, legend_beside, picture, unpacked
from metamemory.study.methods import colour, title
from metamemory.study.quantities import Quantity, at_shot, over_seeds
from metamemory.study.results import Group, Result, groups
from metamemory.study.tables import markdown, percent, whose

TITLES = {  # of tests
    "same": "as in training",
    "large": "28x28, 256",
    "two_layers": "28x28, 256-128",
    "wide": "28x28, 512-256",
    "three_layers": "28x28, 256-128-64",
    "characters": "Omniglot, ten at random",
    "permuted": "pixels permuted",
    "deep": "10x10, 32-32-32",
    "plain": "MNIST at 10x10",
    "projected": "projected at random",
    "whole": "MNIST at 28x28",
}
CHANCE_WAYS = 10


def tests_of(group: Group) -> dict[str, list[int]]:
    """Test -> numbers of steps after which its networks were asked."""
    result = group.results[0]
    steps = [int(row["step"]) for row in result.scores if int(row["test"]) == 0]
    return dict.fromkeys(result.manifest["configuration"]["tests"], steps)


def after(group: Group, test: str, step: int, measure: str = "accuracy") -> Quantity | None:
    """What was measured in a test after so many steps; None where it was not."""
    tests = tests_of(group)
    if test not in tests or step not in tests[test]:
        return None
    place = list(tests).index(test) * len(tests[test]) + tests[test].index(step)
    return at_shot(place, measure)


def learning_curves(
    shown: Sequence[Group], tests: Sequence[str] | None = None, columns: int = 3, by: str = "step"
) -> Figure:
    """Accuracy on images that were not shown, by steps or by examples, with 95 % intervals; a panel a test."""
    tests = list(tests or tests_of(shown[0]))
    columns = min(columns, len(tests))
    rows = -(-len(tests) // columns)
    figure, panels = plt.subplots(
        rows, columns, figsize=(3.3 * columns + 1.5, 2.9 * rows), sharey=True, sharex=True, squeeze=False
    )
    for axes, test in zip(panels.flat, tests, strict=False):
        for group in shown:
            _draw_curve(axes, group, test, by)
        chance_line(axes, CHANCE_WAYS)
        axes.set_title(TITLES.get(test, test), fontsize="small")
        axes.set(xscale="symlog", ylim=(0, 102))
        axes.set_xlim(left=0)
    for axes in panels.flat[len(tests) :]:
        axes.axis("off")
    for axes in panels[-1]:
        axes.set_xlabel({"step": "steps", "example": "examples"}[by])
    for axes in panels[:, 0]:
        axes.set_ylabel("accuracy, %")
    legend_beside(panels[0, -1], *panels[0, 0].get_legend_handles_labels())
    figure.tight_layout()
    return figure


def _draw_curve(axes: Axes, group: Group, test: str, by: str) -> None:
    steps = tests_of(group).get(test)
    if steps:
        minibatch = group.results[0].manifest["configuration"]["task"]["minibatch"] if by == "example" else 1
        places = [step * minibatch for step in steps]
        quantities = [after(group, test, step) for step in steps]
        band(axes, places, group, quantities, colour(group.run.method), marker="o", label=title(group.run.method))


def strip(result: Result, test: str | None = None, images: int = 10) -> Figure:
    """The first network of a test while it learns: images, and what it took them for after some steps, green where
    that was right."""
    shown = result.example["tests"]
    example = shown[test or next(iter(shown))]
    images = min(images, len(example["y"]))
    steps = example["steps"]
    figure, panels = plt.subplots(
        2, images, figsize=(0.62 * images + 1.2, 0.8 + 0.24 * len(steps)), squeeze=False,
        gridspec_kw={"height_ratios": [1, 0.32 * len(steps)], "hspace": 0.1, "wspace": 0.1},
    )  # fmt: skip
    pictures = unpacked(example["x"], example["x_shape"])
    for at, (above, below) in enumerate(panels.T):
        picture(above, pictures[at])
        for row, answers in enumerate(example["answers"]):
            right = answers[at] == example["y"][at]
            below.text(
                0.5, -row, str(answers[at]), ha="center", va="center", color=RIGHT if right else WRONG, fontsize=9
            )
        below.set(xlim=(0, 1), ylim=(0.5 - len(steps), 0.5), xticks=[], yticks=[])
        below.grid(False)
        below.spines[:].set_visible(False)
    panels[1, 0].set_yticks([-row for row in range(len(steps))], [str(step) for step in steps], color=MUTED)
    panels[1, 0].set_ylabel("steps")
    return figure


def table(experiment: str, setting: str, steps: Sequence[int], root: Path = Path(".")) -> str:
    """Accuracy in each test after some steps, a row a method and scale; empty where nothing was run."""
    shown = groups(experiment, setting, root)
    if not shown:
        return ""
    tests = list(tests_of(shown[0]))
    header = ["method", "whose", "after", *(TITLES.get(test, test) for test in tests), "seeds"]
    rows = []
    for group in shown:
        there = [step for step in steps if after(group, tests[0], step)] or [tests_of(group)[tests[0]][-1]]
        for step in there:
            numbers = [percent(over_seeds(group, after(group, test, step))) for test in tests_of(group)]
            rows.append([title(group.run.method), whose(group), f"{step} steps", *numbers, str(len(group.results))])
    return markdown(header, rows)


def largest(experiment: str, setting: str, root: Path = Path(".")) -> list[Group]:
    """Its groups at the largest scale that was run; empty where none was."""
    shown = groups(experiment, setting, root)
    return [group for group in shown if group.run.scale == shown[0].run.scale]


def chosen_rates(group: Group) -> dict[str, list[int]]:
    """Test -> the candidate chosen by each seed."""
    found = {}
    for place, test in enumerate(tests_of(group)):
        rows = (next(row for row in each.scores if int(row["test"]) == place) for each in group.results)
        found[test] = [int(row["candidate"]) for row in rows]
    return found


def mean_of(group: Group, test: str, step: int) -> float:
    """Accuracy in a test after so many steps, mean over seeds."""
    quantity = after(group, test, step)
    return float(np.mean([quantity(result).mean for result in group.results]))
