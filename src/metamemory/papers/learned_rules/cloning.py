"""Back-propagation cloned into VSML (Kirsch and Schmidhuber 2021): what it reports, and how that stands here."""

from pathlib import Path

from metamemory.papers.learned_rules import vsml
from metamemory.papers.learned_rules.blur import SGD, At
from metamemory.study.claims import OF_ONE, Claim
from metamemory.study.methods import title
from metamemory.study.quantities import Measured
from metamemory.study.results import groups
from metamemory.study.tables import markdown, whose

EXPERIMENT, SETTING = "cloned_synapses", "digits"
RULE = "cloned_backpropagation"
NUMBERS = {"y": "sent up", "back": "sent down", "of_w": "change of w", "of_b": "change of b"}
MARGIN = 0.05
NOT_RUN = vsml.NOT_RUN


def table(root: Path = Path(".")) -> str:
    """Accuracy on test images after some examples, in each test; empty where nothing was run."""
    return vsml.table(root, EXPERIMENT)


def errors(root: Path = Path(".")) -> str:
    """How far what synapses compute is from what they are to compute; empty where nothing was run."""
    rows = []
    for group in groups(EXPERIMENT, SETTING, root):
        found = [result.metrics for result in group.results if "error_y" in result.metrics]
        if found:
            means = [sum(each[f"error_{name}"] for each in found) / len(found) for name in NUMBERS]
            rows.append([title(group.run.method), whose(group), *(f"{100 * each:.1f} %" for each in means)])
    return markdown(["synapses", "whose", *NUMBERS.values()], rows) if rows else ""


def claims() -> list[Claim]:
    """That a network of synapses that were only taught to imitate back-propagation learns as well as by SGD."""
    tests = {
        "plain": ("MNIST", "a figure; 90 % at its end, from a second source"),
        "one_layer": ("MNIST, a hidden layer", "a figure; 87 % at its end, from a second source"),
        "characters": ("ten characters of Omniglot", "other data sets"),
    }
    return [
        Claim(
            f"After 500 examples, as good as SGD at its best rate, or {100 * MARGIN:.0f} points below: {name}",
            paper=told,
            pairs=[
                (
                    Measured(EXPERIMENT, RULE, SETTING, At(test, 500 // vsml.MINIBATCH)),
                    Measured(EXPERIMENT, SGD, SETTING, At(test, 500)),
                )
            ],
            margin=MARGIN,
        )
        for test, (name, told) in tests.items()
    ]


CLAIM_COLUMNS = OF_ONE
