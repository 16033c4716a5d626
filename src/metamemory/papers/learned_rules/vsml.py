"""VSML (Kirsch and Schmidhuber 2021): what it reports, which is plots, and how that stands here."""

from pathlib import Path

from metamemory.papers.learned_rules import rules
from metamemory.papers.learned_rules.blur import SGD, At
from metamemory.study.claims import Claim
from metamemory.study.methods import title
from metamemory.study.quantities import Measured, over_seeds
from metamemory.study.results import groups
from metamemory.study.tables import markdown, percent, whose

EXPERIMENT, SETTING = "shared_synapses", "digits"
RULE = "vsml"
EXAMPLES = (20, 50, 100, 500)  # of the table
MINIBATCH = 10  # examples a step of the rule; of SGD it is one
NOT_RUN = "Not run: `dvc repro {}`."


def table(root: Path = Path("."), experiment: str = EXPERIMENT) -> str:
    """Accuracy on test images after some examples, in each test; empty where nothing was run."""
    shown = groups(experiment, SETTING, root)
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
