"""Learning rules of networks: accuracy by steps in each test, and a network while it learns."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metamemory.study.diagrams import EDGE, INK, NORMAL, QUIET, SMALL, WIDTH, Box, Diagram
from metamemory.study.figures import RIGHT, WRONG, band, chance_line, legend_below, narrow, unpacked
from metamemory.study.methods import colour, title
from metamemory.study.quantities import Quantity, at_shot, over_seeds
from metamemory.study.results import Group, Result, groups
from metamemory.study.tables import by_whose, markdown, percent
from metamemory.training.statistics import Interval

TITLES = {  # of tests
    "same": "as in training",
    "large": "28x28, 256",
    "two_layers": "28x28, 256-128",
    "wide": "28x28, 512-256",
    "three_layers": "28x28, 256-128-64",
    "characters": "Omniglot, ten at random",
    "permuted": "pixels permuted",
    "deep": "10x10, 32-32-32",
    "plain": "MNIST",
    "projected": "projected at random",
    "whole": "MNIST at 28x28",
    "one_layer": "MNIST, 32 hidden",
    "characters_one_layer": "Omniglot, 32 hidden",
}
CHANCE_WAYS = 10


def tests_of(group: Group) -> dict[str, list[int]]:
    """Test -> numbers of steps after which its networks were asked."""
    result = group.results[0]
    steps = [int(row["step"]) for row in result.scores if int(row["test"]) == 0]
    return dict.fromkeys(result.manifest["configuration"]["tests"], steps)


def after(group: Group, test: str, step: int, measure: str = "accuracy") -> Quantity | None:
    """What was measured in a test after so many steps; None where it was not."""
    places = _places(group, test)
    return at_shot(places[step], measure) if step in places else None


def _places(group: Group, test: str) -> dict[int, int]:
    """Step of a test -> its row among the scores; empty where there is no such test."""
    tests = tests_of(group)
    if test not in tests:
        return {}
    first = list(tests).index(test) * len(tests[test])
    return {step: first + number for number, step in enumerate(tests[test])}


def learning_curves(
    shown: Sequence[Group], tests: Sequence[str] | None = None, columns: int = 2, by: str = "step"
) -> Figure:
    """Accuracy on images that were not shown, by steps or by examples, with 95 % intervals; a panel a test."""
    tests = list(tests or tests_of(shown[0]))
    columns = min(columns, len(tests))
    rows = -(-len(tests) // columns)
    size = (WIDTH, 0.8 + 1.65 * rows)
    figure, panels = plt.subplots(rows, columns, figsize=size, sharey=True, squeeze=False, layout="constrained")
    for number, (axes, test) in enumerate(zip(panels.flat, tests, strict=False)):
        for group in shown:
            _draw_curve(axes, group, test, by)
        chance_line(axes, CHANCE_WAYS)
        axes.set_title(TITLES.get(test, test), fontsize=NORMAL)
        axes.set(xscale="symlog", ylim=(0, 102))
        axes.set_xlim(left=0)
        axes.tick_params(labelsize=SMALL, labelbottom=number + columns >= len(tests))
        if number + columns >= len(tests):  # nothing below it
            axes.set_xlabel(f"{by}s", fontsize=NORMAL)
    for axes in panels.flat[len(tests) :]:
        axes.axis("off")
    figure.supylabel("accuracy, %", fontsize=NORMAL)
    handles = panels[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2, fontsize=SMALL, frameon=False)
    return figure


def online_curves(shown: Sequence[Group], tests: Sequence[str]) -> Figure:
    """Share of examples that were answered right before they were learned from, between one place of the axis and the
    next, mean over networks and seeds, without interval; a panel a test."""
    figure, panels = narrow(len(tests), height=2.9)
    for axes, test in zip(panels, tests, strict=True):
        for group in shown:
            places = _places(group, test)
            if not places:
                continue
            scores = [result.scores for result in group.results]
            online = [100 * np.mean([rows[row]["online"] for rows in scores]) for row in list(places.values())[1:]]
            edges = [step * _in_a_step(group, "example") for step in places]
            axes.stairs(
                online, edges, baseline=None, color=colour(group.run.method), label=title(group.run.method), lw=1.6
            )
        chance_line(axes, CHANCE_WAYS)
        axes.set_title(TITLES.get(test, test), fontsize=NORMAL)
        axes.set_xscale("symlog", linthresh=10)
        axes.set(ylim=(0, 102), xlabel="examples")
        axes.set_xlim(left=0)
    panels[0].set_ylabel("right before it was learned, %")
    legend_below(figure)
    return figure


def _in_a_step(group: Group, by: str) -> int:
    """How many steps, or examples, a step of the rule is."""
    return group.results[0].manifest["configuration"]["task"]["minibatch"] if by == "example" else 1


def _draw_curve(axes: Axes, group: Group, test: str, by: str) -> None:
    steps = tests_of(group).get(test)
    if steps:
        places = [step * _in_a_step(group, by) for step in steps]
        quantities = [after(group, test, step) for step in steps]
        band(axes, places, group, quantities, colour(group.run.method), marker="o", label=title(group.run.method))


def strip(result: Result, test: str | None = None, images: int = 8, beside: Result | None = None) -> Figure:
    """The first network of a test while it learns: images, and what it took them for after some steps, green where
    that was right; and the accuracy of all networks on all images, with another learner's beside it."""
    shown = result.example["tests"]
    test = test or next(iter(shown))
    example = shown[test]
    steps = example["steps"]
    diagram = Diagram(colour(result.run.method), 0.8 + 0.25 * len(steps) + (0.3 if beside else 0))
    diagram.text(0.32, 0.55, "steps", size=SMALL, tint=QUIET)
    diagram.text(BARS[0], 0.55, "accuracy, %", size=SMALL, tint=QUIET, ha="left")
    for at, pixels in enumerate(unpacked(example["x"], example["x_shape"])[:images, 0]):
        box = diagram.picture(Box(0.84 + 0.33 * at, 0.3, 0.29, 0.29), pixels, INK, 0, 255)
        diagram.frame(box, ec="#AAAAAA", lw=0.8)
        for row, answers in enumerate(example["answers"]):
            tint = RIGHT if answers[at] == example["y"][at] else WRONG
            cell = diagram.changing(box.x, _height(row), 0.27, 0.21, tint=tint, lw=0.6)
            diagram.text(cell.x, cell.y, str(answers[at]), size=SMALL)
    for row, step in enumerate(steps):
        diagram.text(0.52, _height(row), str(step), size=SMALL, tint=QUIET, ha="right")
        _bar(
            diagram,
            _height(row),
            _accuracy(result, test, step),
            None if beside is None else _accuracy(beside, test, step),
        )
    if beside:
        y = _height(len(steps)) + 0.1
        _key(diagram, y, beside)
    return diagram.figure


BARS = (3.5, 4.5)  # x of no and of full accuracy


def _height(row: int) -> float:
    return 0.82 + 0.25 * row


def _accuracy(result: Result, test: str, step: int) -> Interval | None:
    quantity = after(Group([result]), test, step)
    return quantity(result) if quantity else None


def _bar(diagram: Diagram, y: float, own: Interval | None, other: Interval | None) -> None:
    """A learner's accuracy as a bar, another's as a diamond."""
    reach = BARS[1] - BARS[0]
    diagram.line([(BARS[0], y - 0.125), (BARS[0], y + 0.125)], EDGE, lw=0.8)
    if own:
        width = own.mean * reach
        diagram.axes.add_patch(plt.Rectangle((BARS[0], y - 0.08), width, 0.16, fc=diagram.tint, ec="none"))
    if other:
        diagram.axes.plot([BARS[0] + other.mean * reach], [y], **DIAMOND)


DIAMOND = {"marker": "D", "markersize": 5, "mfc": "white", "mec": "black", "mew": 1.0, "zorder": 5}


def _key(diagram: Diagram, y: float, beside: Result) -> None:
    """Which learner is the bar, which the diamond."""
    diagram.axes.add_patch(plt.Rectangle((0.66, y - 0.08), 0.25, 0.16, fc=diagram.tint, ec="none"))
    diagram.text(1.0, y, "by the learned rule", size=SMALL, tint=QUIET, ha="left")
    diagram.axes.plot([2.75], [y], **DIAMOND)
    diagram.text(2.9, y, title(beside.run.method), size=SMALL, tint=QUIET, ha="left")


def table(experiment: str, setting: str, at: Sequence[int], root: Path = Path("."), by: str = "step") -> str:
    """Accuracy in per cent in each test after some steps or examples, a row a method, a table a scale; empty where
    nothing was run."""
    of_each = by_whose(groups(experiment, setting, root))
    return "\n\n".join(f"In per cent, at {runs}:\n\n{_table(shown, at, by)}" for runs, shown in of_each.items())


def _table(shown: Sequence[Group], at: Sequence[int], by: str) -> str:
    """Of runs of one scale."""
    tests = list(tests_of(shown[0]))
    header = ["method", "after", *(TITLES.get(test, test) for test in tests), "seeds"]
    rows = []
    for group in shown:
        each, steps = _in_a_step(group, by), tests_of(group)[tests[0]]
        for step in [number // each for number in at if number // each in steps] or steps[-1:]:
            numbers = [percent(over_seeds(group, after(group, test, step))) for test in tests_of(group)]
            seen = f"{step * each} {by}s"
            rows.append([title(group.run.method), seen, *numbers, str(len(group.results))])
    return markdown(header, rows)


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
