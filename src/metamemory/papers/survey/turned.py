"""What tests with support and query sets are worth with every character in its four turns, as some papers have them."""

from collections.abc import Sequence
from pathlib import Path

from metamemory.papers.survey.reported import DATA, TABLES
from metamemory.papers.survey.support_query import METHOD, column_of, title
from metamemory.study.claims import OF_ONE, Claim
from metamemory.study.quantities import Measured, at_shot
from metamemory.study.results import Group, groups
from metamemory.study.tables import by_test

EXPERIMENT, SETTING = "turned_queries", "omniglot_1_shot"
WAYS = (5, 20)  # each has a row as they are, and one turned
TESTS = {
    name: {column_of(n_way, 1): at_shot(2 * row + turned) for row, n_way in enumerate(WAYS)}
    for turned, name in enumerate(("as they are", "turned"))
}


def rows(shown: Sequence[Group]) -> str:
    """Each group in either test."""
    return by_test(shown, TESTS, "test characters")


def table(root: Path = Path(".")) -> str:
    """All that were run; empty where none was."""
    shown = groups(EXPERIMENT, SETTING, root)
    return rows(shown) if shown else ""


def claims() -> list[Claim]:
    """That Prototypical networks, in the test of their paper, come within a point of what it reports."""
    reported = TABLES["omniglot"][METHOD]["Snell et al. 2017"]
    return [
        Claim(
            f"{title(METHOD)}, {column_of(n_way, 1)}, {DATA['omniglot']}, turned test characters too",
            paper=f"{reported[n_way, 1]} %",
            pairs=[
                (Measured(EXPERIMENT, METHOD, SETTING, TESTS["turned"][column_of(n_way, 1)]), reported[n_way, 1].mean)
            ],
            margin=0.01,
            reported=[0.0],
        )
        for n_way in WAYS
    ]


CLAIM_COLUMNS = OF_ONE
