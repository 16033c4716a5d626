"""Rules of learning found by evolution strategies: VSML by antithetic pairs, BLUR by CMA-ES."""

from pathlib import Path

from metamemory.papers.learned_rules import rules, vsml
from metamemory.papers.learned_rules.blur import SGD, At
from metamemory.study.claims import OF_ONE, Claim
from metamemory.study.quantities import Measured

SYNAPSES, UPDATES, SETTING = "evolved_synapses", "evolved_updates", "digits"
RULE = "blur_evolved"
STEPS = (5, 10, 20, 100)  # of the table
NOT_RUN = vsml.NOT_RUN


def synapses_table(root: Path = Path(".")) -> str:
    """VSML, accuracy after some examples; empty where nothing was run."""
    return vsml.table(root, SYNAPSES)


def updates_table(root: Path = Path(".")) -> str:
    """BLUR, accuracy after some steps; empty where nothing was run."""
    return rules.table(UPDATES, SETTING, STEPS, root)


def claims() -> list[Claim]:
    """That a genome of CMA-ES learns MNIST faster than SGD."""
    return [
        Claim(
            f"After {step} steps, BLUR of two states, by CMA-ES, is ahead of SGD at its best rate",
            paper="a figure, no numbers",
            pairs=[tuple(Measured(UPDATES, method, SETTING, At("same", step)) for method in (RULE, SGD))],
        )
        for step in (10, 20)
    ]


CLAIM_COLUMNS = OF_ONE
