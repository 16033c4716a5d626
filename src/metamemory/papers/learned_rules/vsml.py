"""VSML (Kirsch and Schmidhuber 2021): what it reports, which is plots, and how that stands here."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from metamemory.papers.learned_rules import rules
from metamemory.papers.learned_rules.blur import SGD, At
from metamemory.study.claims import Claim
from metamemory.study.figures import MUTED
from metamemory.study.methods import colour, title
from metamemory.study.quantities import Measured, over_seeds
from metamemory.study.results import groups
from metamemory.study.tables import markdown, percent, whose

EXPERIMENT, SETTING = "shared_synapses", "digits"
RULE = "vsml"
EXAMPLES = (20, 50, 100, 500)  # of the table
MINIBATCH = 10  # examples a step of the rule; of SGD it is one
NOT_RUN = "Not run: `dvc repro {}`."


def table(root: Path = Path(".")) -> str:
    """Accuracy on test images after some examples, in each test; empty where nothing was run."""
    shown = groups(EXPERIMENT, SETTING, root)
    if not shown:
        return ""
    tests = list(rules.tests_of(shown[0]))
    header = ["method", "whose", "after", *(rules.TITLES.get(test, test) for test in tests), "seeds"]
    rows = []
    for group in shown:
        minibatch = group.results[0].manifest["configuration"]["task"]["minibatch"]
        steps = rules.tests_of(group)[tests[0]]
        for examples in [each for each in EXAMPLES if each // minibatch in steps] or [steps[-1] * minibatch]:
            numbers = [percent(over_seeds(group, At(test, examples // minibatch))) for test in tests]
            rows.append(
                [title(group.run.method), whose(group), f"{examples} examples", *numbers, str(len(group.results))]
            )
    return markdown(header, rows)


def claims() -> list[Claim]:
    """That networks learn faster by it than by SGD from their first hundred examples, whatever the images are."""
    tests = {"plain": "MNIST", "projected": "MNIST, projected at random", "characters": "ten characters of Omniglot"}
    return [
        Claim(
            f"After 100 examples, one by one, VSML is ahead of SGD at its best rate: {name}",
            paper="figures, no numbers",
            pairs=[
                (
                    Measured(EXPERIMENT, RULE, SETTING, At(test, 100 // MINIBATCH)),
                    Measured(EXPERIMENT, SGD, SETTING, At(test, 100)),
                )
            ],
        )
        for test, name in tests.items()
    ]


CLAIM_COLUMNS = ("claim", "paper", "this study, difference in points", "verdict")


def drawing() -> Figure:
    """Two layers of neurons with an LSTM in each synapse, and the messages that pass."""
    figure, axes = plt.subplots(figsize=(7, 3.2))
    tint = colour(RULE)
    below, above = [(1.0, 0.6 + 1.1 * n) for n in range(3)], [(6.0, 1.15 + 1.1 * n) for n in range(2)]
    for name, places in (("m", below), ("e", above)):
        for n, (x, y) in enumerate(places, start=1):
            axes.add_patch(plt.Circle((x, y), 0.25, fc="white", ec=MUTED))
            axes.text(x, y, f"${'i' if name == 'm' else 'j'}_{n}$", ha="center", va="center", fontsize=9)
    for x, y in below:
        for u, v in above:
            axes.plot([x + 0.25, u - 0.25], [y, v], color=MUTED, linewidth=0.8, zorder=0)
            middle = x + 0.35 * (u - x), y + 0.35 * (v - y)
            axes.add_patch(plt.Rectangle((middle[0] - 0.2, middle[1] - 0.12), 0.4, 0.24, fc="white", ec=tint))
    for begin, end, text, height in (
        ((1.3, 3.35), (5.7, 3.35), "messages forwards: pixels, then what synapses say", 3.45),
        ((5.7, 0.1), (1.3, 0.1), "messages backwards: the error of the last example first", -0.2),
    ):
        axes.add_patch(FancyArrowPatch(begin, end, arrowstyle="-|>", mutation_scale=13, color=tint))
        axes.text(3.5, height, text, ha="center", fontsize=9)
    axes.text(
        6.5, 1.7, "in each synapse an LSTM,\nthe same weights in all,\neach with its own state", fontsize=9, color=tint
    )
    axes.set(xlim=(0.5, 9.4), ylim=(-0.4, 3.8))
    axes.axis("off")
    return figure
