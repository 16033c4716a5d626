"""What the online few-shot test is worth with every character in its four turns."""

from collections.abc import Sequence
from pathlib import Path

from metamemory.papers.babu2021.online_few_shot import SHOTS
from metamemory.study.quantities import at_shot
from metamemory.study.results import Group, groups
from metamemory.study.tables import by_test

EXPERIMENT = "turned_streams"
SAMPLES = 9  # of each class: the rows of a test
TESTS = {
    name: {f"{shot}-shot": at_shot(shot + SAMPLES * place) for shot in SHOTS}
    for place, name in enumerate(("as they are", "turned"))
}


def rows(shown: Sequence[Group]) -> str:
    """Each group in either test."""
    return by_test(shown, TESTS, "test characters")


def table(root: Path = Path(".")) -> str:
    """All that were run; empty where none was."""
    shown = groups(EXPERIMENT, "omniglot", root)
    return rows(shown) if shown else ""
