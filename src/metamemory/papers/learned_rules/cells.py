"""Cells of papers on learned rules, and the runs that answer them; those on support and query sets are the survey's."""

from metamemory.papers.learned_rules.reported import SECOND_TASK
from metamemory.papers.learned_rules.self_reference import EXPERIMENT, PAPER, ROWS, SETTINGS
from metamemory.study.cells import Cell
from metamemory.study.methods import title
from metamemory.study.quantities import Measured


def cells() -> list[Cell]:
    """The second of two tasks in a row."""
    one, other = SETTINGS[PAPER]
    answer = ROWS["one_first", 1]
    return [
        Cell(
            "Irie et al. 2022",
            f"two tasks in a row, {one} first",
            title(method),
            f"{other}, total",
            number,
            Measured(EXPERIMENT, method, PAPER, answer),
            "learned_rules/self_reference",
        )
        for method, number in SECOND_TASK.items()
    ]
