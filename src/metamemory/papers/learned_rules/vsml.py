"""VSML (Kirsch and Schmidhuber 2021): what it reports, which is plots, and how that stands here."""

from pathlib import Path

from metamemory.papers.learned_rules import rules
from metamemory.papers.learned_rules.blur import SGD, At
from metamemory.study.claims import OF_ONE, Claim
from metamemory.study.quantities import Measured

EXPERIMENT, SETTING = "shared_synapses", "digits"
RULE = "vsml"
EXAMPLES = (20, 50, 100, 500)  # of the table
MINIBATCH = 10  # examples a step of the rule; of SGD it is one
NOT_RUN = "Not run: `dvc repro {}`."


def table(root: Path = Path("."), experiment: str = EXPERIMENT) -> str:
    """Accuracy on test images after some examples, in each test; empty where nothing was run."""
    return rules.table(experiment, SETTING, EXAMPLES, root, by="example")


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


CLAIM_COLUMNS = OF_ONE
