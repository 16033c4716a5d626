"""Fitness-monotonic execution (Kirsch and Schmidhuber 2022), of which this study knows the abstract, beside hill
climbing."""

from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from metamemory.study.claims import OF_ONE, Claim
from metamemory.study.figures import WIDTH, band, legend_below
from metamemory.study.log_axis import log_axis
from metamemory.study.methods import colour, title
from metamemory.study.quantities import Measured, over_seeds
from metamemory.study.results import Group, Result, groups
from metamemory.study.tables import markdown, percent, whose
from metamemory.training.statistics import Interval, bootstrap

EXPERIMENT = "fitness"
SETTINGS = {"bandit": "arms that swap", "cart_pole": "a pole on a cart"}
RULE, OTHERS = "fitness_monotonic", ("hill_climbing", "hill_climbing_modifying")
MEASURES = {"best": "the best network, executed again", "paid": "what was executed"}
PLACES = 8  # of `at` that all scales have
PAPER = "no numbers known"
NOT_RUN = "Not run: `dvc repro notebooks/learned_rules/fitness/dvc.yaml`."


class Of(NamedTuple):
    """A quantity: what was paid a step, over searches; `row` is a place among those of `at`."""

    measure: str
    row: int = -1

    def __call__(self, result: Result) -> Interval:
        return bootstrap(np.array(result.example["by_search"][self.measure][self.row]), over="searches")


class Rise(NamedTuple):
    """A quantity: how much more is paid at the end than before, over searches; `since` is a place among those of
    `at`."""

    measure: str
    since: int = 0

    def __call__(self, result: Result) -> Interval:
        rows = result.example["by_search"][self.measure]
        return bootstrap(np.array(rows[-1]) - np.array(rows[self.since]), over="searches")


def table(root: Path = Path(".")) -> str:
    """What was paid a step at the end, and how much more that is than at first; empty where nothing was run."""
    rows = []
    for setting, name in SETTINGS.items():
        for group in groups(EXPERIMENT, setting, root):
            found = (quantity(each) for each in MEASURES for quantity in (Of, Rise))
            numbers = [percent(over_seeds(group, quantity)) for quantity in found]
            searches = group.results[0].manifest["test_episodes"]
            rows.append([name, title(group.run.method), whose(group), *numbers, f"{searches}"])
    header = [f"{each}, {what}" for each in MEASURES.values() for what in ("%", "rise")]
    return markdown(["task", "search", "whose", *header, "searches"], rows) if rows else ""


def claims() -> list[Claim]:
    """That networks get better all the time, and more so than by hill climbing."""
    found = []
    for setting, name in SETTINGS.items():
        rises = [(Measured(EXPERIMENT, RULE, setting, Rise("paid", since)), 0.0) for since in range(PLACES)]
        text = f"What is executed is paid more at the end than at first: {name}"
        found.append(Claim(text, paper=PAPER, pairs=rises[:1]))
        text = f"and no less than at any time between, to a point: {name}"
        found.append(Claim(text, paper=PAPER, pairs=rises[1:], margin=0.01))
        for other in OTHERS:
            pair = tuple(Measured(EXPERIMENT, method, setting, Of("best")) for method in (RULE, other))
            text = f"At the end, its best network is paid more than that of {title(other).lower()}: {name}"
            found.append(Claim(text, paper=PAPER, pairs=[pair]))
    return found


CLAIM_COLUMNS = OF_ONE


def curves(shown: dict[str, list[Group]]) -> Figure:
    """What was paid a step, by lifetimes spent; a row a task, a column a measure."""
    figure, panels = plt.subplots(len(shown), 2, figsize=(WIDTH, 2.9 * len(shown)), squeeze=False, sharex="row")
    for row, (setting, of_setting) in zip(panels, shown.items(), strict=True):
        for axes, (measure, name) in zip(row, MEASURES.items(), strict=True):
            for group in of_setting:
                at = [entry["lifetimes"] for entry in group.results[0].scores]
                quantities = [Of(measure, number) for number in range(len(at))]
                band(axes, at, group, quantities, colour(group.run.method), marker="o", label=title(group.run.method))
            axes.set_title(f"{SETTINGS[setting]}:\n{name}", fontsize="small")
            log_axis(axes, at=(30, 100, 300, 1000, 5000))
            axes.set_xlabel("lifetimes")
        row[0].set_ylabel("paid a step, %")
    legend_below(figure)
    return figure
