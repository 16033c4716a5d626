"""Two tasks in a row: weights that write themselves beside those that are told what to write."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from metamemory.papers.babu2021.online_few_shot import SHOTS
from metamemory.papers.learned_rules.reported import ONE_SHOT, SECOND_TASK
from metamemory.study.claims import Claim, points
from metamemory.study.figures import MUTED, WIDTH, legend_below
from metamemory.study.methods import colour, title
from metamemory.study.quantities import Measured, at_shot, over_seeds
from metamemory.study.results import Group, groups
from metamemory.study.tables import Row, comparison, markdown, percent, shots, whose

EXPERIMENT = "two_tasks"
SETTINGS = {"omniglot_mini_imagenet": ("Omniglot", "miniImageNet"), "omniglot_cifar_fs": ("Omniglot", "CIFAR-FS")}
ORDERS = ("one_first", "other_first")
ROWS = {(order, second): at_shot(2 * number + second) for number, order in enumerate(ORDERS) for second in (0, 1)}
PAPER = "omniglot_mini_imagenet"
ONLINE = ("srwm", "delta_net", "transformer")
NOT_RUN = "Not run: `dvc repro notebooks/learned_rules/two_tasks/dvc.yaml`."


def table(setting: str, root: Path = Path(".")) -> str:
    """Accuracy in the first and in the second task, in both orders: the paper's, and a row a method and scale; empty
    where none was run."""
    shown = groups(EXPERIMENT, setting, root)
    if not shown:
        return ""
    one, other = SETTINGS[setting]
    header = ["method", "whose", f"{one} first, %", f"then {other}, %", f"{other} first, %", f"then {one}, %", "seeds"]
    rows = [[title(method), "paper", "–", str(number), "–", "–", "–"] for method, number in SECOND_TASK.items()]
    rows = rows if setting == PAPER else []
    rows += [
        [
            *(title(group.run.method), whose(group)),
            *(percent(over_seeds(group, quantity)) for quantity in ROWS.values()),
            str(len(group.results)),
        ]
        for group in shown
    ]
    return markdown(header, rows)


def online_table(root: Path = Path(".")) -> str:
    """The same learners where labels come one step late, among all the drawings of five characters."""
    shown = [group for method in ONLINE for group in groups("online_few_shot", "omniglot", root, method)]
    rows = [Row((title(group.run.method),), None, [group]) for group in shown]
    return comparison(["method"], shots(*SHOTS), rows, runs_of_paper="–") if rows else ""


def claims() -> list[Claim]:
    """That weights that write themselves change tasks better, and how near they come to what is reported of one."""
    second = ROWS["one_first", 1]
    pair = tuple(Measured(EXPERIMENT, method, PAPER, second) for method in ("srwm", "delta_net"))
    one_shot = Measured("support_query", "srwm", "omniglot_5_way_1_shot", at_shot(0))
    difference = SECOND_TASK["srwm"].mean - SECOND_TASK["delta_net"].mean
    return [
        Claim(
            "After another task, weights that write themselves learn the second better than DeltaNet's",
            paper=points([difference]),
            pairs=[pair],
            reported=[difference],
        ),
        Claim(
            "SRWM, 5-way 1-shot, Omniglot: as reported",
            paper=f"{ONE_SHOT} %",
            pairs=[(one_shot, ONE_SHOT.mean)],
            margin=0.01,
            reported=[0.0],
        ),
    ]


CLAIM_COLUMNS = ("claim", "paper, points", "this study, difference in points", "verdict")


def by_step(by_setting: Mapping[str, Sequence[Group]]) -> Figure:
    """Accuracy at every step of both tasks, mean of five steps and of all seeds; a row a pair of data sets, a column an
    order. Dotted: the second task begins."""
    figure, panels = plt.subplots(
        len(by_setting), 2, figsize=(WIDTH, 3 * len(by_setting)), squeeze=False, sharex="row", sharey=True
    )
    for row, (setting, shown) in zip(panels, by_setting.items(), strict=True):
        names = SETTINGS[setting]
        for axes, order, pair in zip(row, ORDERS, (names, names[::-1]), strict=True):
            for group in shown:
                curves = [result.example["by_step"][order] for result in group.results]
                accuracy = smooth(100 * np.mean(curves, axis=0))
                axes.plot(accuracy, color=colour(group.run.method), label=title(group.run.method))
            axes.axvline(len(curves[0]) / 2, color=MUTED, linestyle=":")
            axes.set_title(",\nthen ".join(pair), fontsize="medium")
            axes.set(ylim=(0, 102), xlabel="step")
        row[0].set_ylabel("accuracy, %")
    legend_below(figure)
    return figure


def smooth(values: np.ndarray, width: int = 5) -> np.ndarray:
    """Mean of up to `width` steps, each with those before it in the same half."""
    halves = np.split(values, 2)
    return np.concatenate([[half[max(0, t + 1 - width) : t + 1].mean() for t in range(len(half))] for half in halves])
