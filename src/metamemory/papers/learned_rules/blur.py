"""BLUR (Sandler et al. 2021): what it reports, as far as it has numbers, and how that stands here."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from metamemory.papers.learned_rules import rules
from metamemory.study.claims import Claim
from metamemory.study.figures import MUTED
from metamemory.study.methods import colour, title
from metamemory.study.parameters import Parameters
from metamemory.study.quantities import Measured, over_seeds
from metamemory.study.results import Group, Result
from metamemory.study.tables import markdown, percent, whose
from metamemory.training.statistics import Interval

EXPERIMENT, SETTING = "update_rules", "digits"
ABLATION = "update_rules_ablation"
STEPS = (5, 10, 20, 100)  # of the table
RULE, SGD = "blur", "sgd_network"
NOT_RUN = "Not run: `dvc repro {}`."


class At(NamedTuple):
    """A quantity: what was measured in a test after so many steps."""

    test: str
    step: int

    def __call__(self, result: Result) -> Interval | None:
        quantity = rules.after(Group([result]), self.test, self.step)
        return quantity(result) if quantity else None


def table(root: Path = Path(".")) -> str:
    """Accuracy after some steps in each test; empty where nothing was run."""
    return rules.table(EXPERIMENT, SETTING, STEPS, root)


def claims() -> list[Claim]:
    """That networks learn faster by it than by SGD in their first steps, on what it was not trained on, too."""
    tests = {
        "large": "MNIST at 28x28",
        "two_layers": "MNIST at 28x28, two hidden layers",
        "wide": "MNIST at 28x28, wider",
        "characters": "ten characters of Omniglot",
    }
    return [
        Claim(
            f"After {step} steps, BLUR is ahead of SGD at its best rate: {name}",
            paper="figures 5 and 6, no numbers",
            pairs=[
                tuple(Measured(EXPERIMENT, method, SETTING, At(test, step)) for method in (RULE, SGD)),
            ],
        )
        for test, name in tests.items()
        for step in (10, 50)
    ]


CLAIM_COLUMNS = ("claim", "paper", "this study, difference in points", "verdict")


def ablation_table(root: Path = Path(".")) -> str:
    """Variants of the rule, the best at the end first: accuracy in each test; empty where nothing was run."""
    shown = rules.largest(ABLATION, SETTING, root)
    if not shown:
        return ""
    tests = rules.tests_of(shown[0])
    ends = {test: steps[-1] for test, steps in tests.items()}
    first = next(iter(ends))
    header = ["variant", "whose", *(f"{rules.TITLES.get(test, test)}, {step} steps" for test, step in ends.items())]
    rows = []
    for group in sorted(shown, key=lambda group: -rules.mean_of(group, first, ends[first])):
        numbers = [percent(over_seeds(group, At(*each))) for each in ends.items()]
        rows.append([title(group.run.method), whose(group), *numbers, str(len(group.results))])
    return markdown([*header, "seeds"], rows)


def settings_table(methods: Sequence[str], root: Path = Path(".")) -> str:
    """What makes each variant."""
    parameters = Parameters(root, checked=False)
    rows = []
    for name in methods:
        model = parameters.method(name).model
        rows.append([title(name), ", ".join(f"{key}: {value}" for key, value in model.items()) or "as in the paper"])
    return markdown(["variant", "settings"], rows)


def drawing() -> Figure:
    """Two neurons, the states of each, and the synapse between them, with the matrices of the genome where they act."""
    figure, axes = plt.subplots(figsize=(7.6, 3.4))
    tint = colour(RULE)
    for x, name in ((1.0, "i"), (7.0, "j")):
        for state in range(4):
            axes.add_patch(plt.Rectangle((x, 1.0 + 0.55 * state), 0.7, 0.45, fc="white", ec=tint))
            axes.text(x + 0.35, 1.22 + 0.55 * state, f"$a_{name}^{4 - state}$", ha="center", va="center", fontsize=9)
        axes.text(x + 0.35, 3.4, f"neuron ${name}$", ha="center", color=MUTED, fontsize=10)
    arrows = (
        ((1.8, 2.8), (6.9, 2.8), r"forward: $\sigma(\eta\, w_{ij}^c\, \sum_d \nu^{dc} a_i^d)$", 2.95),
        ((6.9, 1.3), (1.8, 1.3), r"backward: $\sigma(f a_i^c + \eta\, v_{ji}^c\, \sum_d \mu^{dc} a_j^d)$", 0.85),
    )
    for begin, end, text, height in arrows:
        axes.add_patch(FancyArrowPatch(begin, end, arrowstyle="-|>", mutation_scale=14, color=tint))
        axes.text(4.35, height, text, ha="center", fontsize=10)
    axes.text(
        4.35, 2.03, r"$\Delta w_{ij}^c = \tilde\eta\,\sum_{e,d} a_i^e\,\tilde\nu^{ec}\,\tilde\mu^{cd} a_j^d$",
        ha="center", va="center", fontsize=11, bbox={"boxstyle": "round", "fc": "white", "ec": MUTED},
    )  # fmt: skip
    axes.text(7.85, 3.0, "answer", fontsize=9, color=MUTED, va="center")
    axes.text(7.85, 2.3, "label, in the\nlast layer", fontsize=9, color=MUTED, va="center")
    axes.set(xlim=(0.5, 9.2), ylim=(0.5, 3.7))
    axes.axis("off")
    return figure
