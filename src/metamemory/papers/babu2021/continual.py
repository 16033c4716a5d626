"""Continual learning as tables and figures: Figures 3 and 4 of Babu et al. 2021, what they say of them, forgetting."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metamemory.papers.babu2021.reported import FIRST_19, TWENTIETH
from metamemory.study.claims import Claim
from metamemory.study.curves import MINUTES, Panel, look_of_method
from metamemory.study.figures import ACROSS, MUTED, band, episode, legend_below, narrow
from metamemory.study.methods import colour, title
from metamemory.study.quantities import Measured, Quantity, over_seeds
from metamemory.study.results import Group, Result, groups
from metamemory.study.tables import best_in_bold, markdown, percent, whose
from metamemory.tasks import Episode
from metamemory.training.statistics import Interval

EXPERIMENT, SETTING = "continual_learning", "omniglot"
LABELS = "continual_labels"
NOT_RUN = "Not run: `dvc repro notebooks/babu2021/continual_labels/dvc.yaml`."
LENGTHS = (5, 10, 15, 20)  # subtasks, as in Figure 3
LONGEST = 20
MARKERS = "os^Dv"

# Validation accuracy after the longest task.
PANELS = [Panel([("accuracy", look_of_method)], MINUTES, "validation accuracy, %")]


def accuracy(seen: int, first: int, last: int) -> Quantity:
    """Of the queries of subtasks `first` to `last`, asked after `seen` subtasks, with its interval over episodes."""

    def of(result: Result) -> Interval:
        for row in result.scores:
            if (row["seen"], row["first"], row["last"]) == (seen, first, last):
                return Interval(row["accuracy"], row["low"], row["high"], over="episodes")
        raise KeyError(f"{result.run.place}: no accuracy of subtasks {first} to {last} after {seen}")

    return of


def fall(of: Result) -> Interval:
    """From 5 to 20 subtasks; the interval is as wide as those of its ends allow."""
    short, long = (accuracy(n, 1, n)(of) for n in (LENGTHS[0], LONGEST))
    return Interval(short.mean - long.mean, short.low - long.high, short.high - long.low, short.over)


def spread(of: Result) -> Interval:
    """Standard deviation of the accuracy over the subtasks of a task of 20; how far it varies by chance, one run cannot
    say, so its interval is all that there is."""
    value = float(np.std([accuracy(LONGEST, subtask, subtask)(of).mean for subtask in range(1, LONGEST + 1)]))
    return Interval(value, 0.0, 1.0, over="episodes")


def shown(root: Path = Path(".")) -> dict[str, list[Group]]:
    """Finished runs by scale, largest first; of smoke runs, whose tasks are shorter, none."""
    by_scale: dict[str, list[Group]] = {}
    for group in groups(EXPERIMENT, None, root):
        if group.run.scale != "smoke":
            by_scale.setdefault(group.run.scale, []).append(group)
    return by_scale


def lengths_table(groups: Sequence[Group]) -> str:
    """Accuracy over all subtasks at each length, over the first 19 of 20, of the last, and of the first before and
    after the others."""
    quantities = {
        **{f"{n} subtasks, %": accuracy(n, 1, n) for n in LENGTHS},
        "first 19 of 20, %": accuracy(LONGEST, 1, LONGEST - 1),
        "20th, %": accuracy(LONGEST, LONGEST, LONGEST),
        "1st at once, %": accuracy(1, 1, 1),
        "1st after 20, %": accuracy(LONGEST, 1, 1),
    }
    rows = [
        [title(group.run.method), *(percent(over_seeds(group, each), " ") for each in quantities.values())]
        for group in _best_first(groups)
    ]
    return markdown(["method", *quantities], best_in_bold(rows, range(1, 1 + len(quantities))))


def lengths_table_at(scale: str, root: Path = Path(".")) -> str:
    """The same of what was run at one scale; empty where nothing was."""
    found = shown(root).get(scale)
    return lengths_table(found) if found else ""


def labels_table(root: Path = Path(".")) -> str:
    """CL+LSTM asked at the end of tasks with as many labels as subtasks, or more; empty where nothing was run."""
    rows, found = [], [*groups(LABELS, None, root), *groups(EXPERIMENT, SETTING, root, "cl_lstm")]
    for group in (group for group in found if group.run.scale != "smoke"):
        config, longest = group.results[0].manifest["configuration"], _longest(group)
        quantities = (accuracy(longest, *each) for each in ((1, longest), (1, 1), (longest, longest)))
        filters, labels = config["model"]["filters"], config["task"]["n_way"]
        numbers = [percent(over_seeds(group, each)) for each in quantities]
        rows.append([longest, labels, filters, whose(group), *numbers, len(group.results)])
    rows = [[str(cell) for cell in row] for row in sorted(rows, key=lambda row: row[:2])]
    header = ["all of them, %", "the first, %", "the last, %", "seeds"]
    return markdown(["subtasks", "labels", "filters", "whose", *header], rows) if rows else ""


def _claim(
    text: str,
    paper: str,
    larger: str,
    smaller: str,
    pairs: Sequence[tuple[Quantity, Quantity]],
    reported: Sequence[float] = (),
) -> Claim:
    more, less = ((EXPERIMENT, method, SETTING) for method in (larger, smaller))
    return Claim(text, paper, [(Measured(*more, a), Measured(*less, b)) for a, b in pairs], reported=reported)


def claims() -> list[Claim]:
    """What the paper concludes in section 4.3."""
    at_lengths = [(each, each) for each in (accuracy(n, 1, n) for n in LENGTHS)]
    first_19, twentieth = accuracy(LONGEST, 1, LONGEST - 1), accuracy(LONGEST, LONGEST, LONGEST)
    above, poor = FIRST_19["cl_lstm"] - FIRST_19["anml"], FIRST_19["anml"] - TWENTIETH["anml"]
    told, twentieth_told = f"{100 * above:+.2f}", f"{100 * TWENTIETH['anml']:.0f} %"
    found = []
    for other in ("oml", "anml"):
        name = other.upper()
        found += [
            _claim(f"CL+LSTM is above {name} at every length", "Figure 3", "cl_lstm", other, at_lengths),
            _claim(f"CL+LSTM falls less with length than {name}", "Figure 3", other, "cl_lstm", [(fall, fall)]),
            _claim(f"CL+LSTM varies less over subtasks than {name}", "Figure 4", other, "cl_lstm", [(spread, spread)]),
        ]
    return [
        *found,
        _claim(
            "CL+LSTM is above ANML over the first 19 subtasks", told, "cl_lstm", "anml", [(first_19, first_19)], [above]
        ),
        _claim("ANML is poor in the 20th subtask", twentieth_told, "anml", "anml", [(first_19, twentieth)], [poor]),
    ]


CLAIM_COLUMNS = ("claim", "paper", "this study, differences in points", "verdict")


def by_length(groups: Sequence[Group]) -> Figure:
    """Figure 3: accuracy over all subtasks against their number; and beyond what was trained on, where labels allow."""
    figure, (trained, beyond) = narrow(2)
    for group, marker in zip(_best_first(groups), cycle(MARKERS), strict=False):
        lengths, longest = sorted({int(row["seen"]) for row in group.results[0].scores}), _longest(group)
        within, past = [n for n in lengths if n <= longest], [n for n in lengths if n >= longest]
        for axes, chosen in ((trained, within), (beyond, past)):
            if len(chosen) > 1:
                _line(axes, group, chosen, [accuracy(n, 1, n) for n in chosen], marker)
    at = np.arange(1, longest + 1)
    trained.plot(at, 100 / at, color=MUTED, linestyle=":", linewidth=1)
    trained.text(longest, 100 / longest + 2, "a guess", color=MUTED, ha="right", fontsize="small")
    ticks = [1, *range(5, longest + 1, 5)]
    trained.set(xlabel="subtasks in the task", ylabel="accuracy over all of them, %", ylim=(0, 102), xticks=ticks)
    beyond.set(xlabel="more than trained on")
    legend_below(figure)
    return figure


def by_subtask(groups: Sequence[Group]) -> Figure:
    """Figure 4: accuracy of each subtask of a task of 20, asked at its end; the paper's means of the first 19."""
    figure, (axes,) = narrow(height=3.8)
    subtasks = range(1, LONGEST + 1)
    for group, marker in zip(_best_first(groups), cycle(MARKERS), strict=False):
        _line(axes, group, subtasks, [accuracy(LONGEST, subtask, subtask) for subtask in subtasks], marker)
    for method, mean in FIRST_19.items():
        axes.hlines(100 * mean, 1, LONGEST - 1, color=colour(method), linestyle="--", linewidth=1.2)
    for method, value in TWENTIETH.items():
        axes.plot(LONGEST, 100 * value, marker="D", mfc="none", mec=colour(method), linestyle="none")
    axes.plot([], [], color=MUTED, linestyle="--", label="the paper's mean of the first 19")
    axes.plot([], [], color=MUTED, marker="D", mfc="none", linestyle="none", label="the paper's 20th of ANML")
    axes.set(xlabel="subtask of 20, in order", ylabel="accuracy, %", ylim=(0, 102), xticks=[1, *LENGTHS])
    legend_below(figure)
    return figure


def forgetting(groups: Sequence[Group]) -> Figure:
    """Accuracy on the first subtask as later ones come."""
    figure, (axes,) = narrow(height=3.8)
    seen = range(1, LONGEST + 1)
    for group, marker in zip(_best_first(groups), cycle(MARKERS), strict=False):
        _line(axes, group, seen, [accuracy(n, 1, 1) for n in seen], marker)
    axes.set(xlabel="subtasks seen", ylabel="accuracy on the first, %", ylim=(0, 102), xticks=[1, *LENGTHS])
    legend_below(figure)
    return figure


def known(results: Sequence[Result]) -> Figure:
    """Accuracy on every subtask after every other: a row is a moment, a column a subtask."""
    figure, every = narrow(len(results), height=2.7)
    figure.set_layout_engine("constrained")
    for axes, result in zip(every, results, strict=True):
        rows = result.example["known"]
        table = np.full((len(rows), len(rows)), np.nan)
        for at, row in enumerate(rows):
            table[at, : len(row)] = row
        extent = (0.5, len(rows) + 0.5, len(rows) + 0.5, 0.5)
        picture = axes.imshow(100 * table, cmap="cividis", vmin=0, vmax=100, extent=extent)
        axes.set_title(title(result.run.method), fontsize="medium")
        axes.set(xlabel="subtask")
        axes.grid(False)
    for axes in every[::ACROSS]:
        axes.set_ylabel("subtasks seen")
    figure.colorbar(picture, ax=every, label="accuracy, %", shrink=0.4)
    return figure


def longer_than_trained(groups: Sequence[Group]) -> str:
    """Which learners could be asked for more subtasks than they were trained on, and why the others could not."""
    able, unable = [], []
    for group in groups:
        manifest = group.results[0].manifest
        trained = manifest["configuration"]["task"]["subtasks"]
        (able if manifest["longest_test"] > trained else unable).append(title(group.run.method))
    parts = []
    if able:
        parts.append(
            f"{', '.join(able)}: no weight belongs to a label, so that the same weights answer for more of them."
        )
    if unable:
        parts.append(f"{', '.join(unable)}: label planes and outputs are weights, made for the labels trained with.")
    return " ".join(parts)


def stream(sample: Episode, index: int = 0, steps: int = 15) -> Figure:
    """The first steps of a task as the learner meets them: character, and the label shown with it."""
    return episode(sample, index, steps, wanted=False)


def _line(axes: Axes, group: Group, x: Sequence[int], quantities: Sequence[Quantity], marker: str) -> None:
    band(axes, x, group, quantities, colour(group.run.method), marker=marker, label=title(group.run.method))


def _best_first(groups: Sequence[Group]) -> list[Group]:
    return sorted(groups, key=lambda group: -over_seeds(group, accuracy(_longest(group), 1, _longest(group))).mean)


def _longest(group: Group) -> int:
    """Subtasks of the longest tasks that it was trained on."""
    return group.results[0].manifest["configuration"]["task"]["subtasks"]
