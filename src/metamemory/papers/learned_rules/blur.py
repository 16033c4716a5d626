"""BLUR (Sandler et al. 2021): what it reports, as far as it has numbers, and how that stands here."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from metamemory.papers.learned_rules import rules
from metamemory.study.claims import OF_ONE, Claim
from metamemory.study.methods import title
from metamemory.study.parameters import Parameters
from metamemory.study.quantities import Measured, over_seeds
from metamemory.study.results import Group, Result, largest
from metamemory.study.tables import markdown, percent, whose
from metamemory.training.statistics import Interval

EXPERIMENT, SETTING = "update_rules", "digits"
ABLATION = "update_rules_ablation"
STEPS = (5, 10, 20, 100)  # of the table
RULE, SGD = "blur_tied_shared_from_backpropagation", "sgd_network"  # of its eight variants the one that it found best
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
            f"After {step} steps, BLUR's best variant is ahead of SGD at its best rate: {name}",
            paper="figures 5 and 6, no numbers",
            pairs=[
                tuple(Measured(EXPERIMENT, method, SETTING, At(test, step)) for method in (RULE, SGD)),
            ],
        )
        for test, name in tests.items()
        for step in (10, 50)
    ]


CLAIM_COLUMNS = OF_ONE


def ablation_table(root: Path = Path(".")) -> str:
    """Variants of the rule, the best at the end first: accuracy in each test; empty where nothing was run."""
    shown = largest(ABLATION, SETTING, root)
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
