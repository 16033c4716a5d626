"""Cells of this paper's tables, and the runs that answer them."""

from metamemory.papers.santoro2016.reported import TABLE_1, TABLE_2, Numbers
from metamemory.papers.santoro2016.tables import CLASSIFICATION, STRINGS, ordinal, title
from metamemory.study.cells import Cell
from metamemory.study.quantities import Measured, at_shot

PAPER = "Santoro et al. 2016"


def cells() -> list[Cell]:
    """Table by table; people were asked in the paper alone."""
    found = _of("Table 1, one-hot labels, five classes", CLASSIFICATION, "five", TABLE_1)
    for setting, of_methods in TABLE_2.items():
        found += _of(f"Table 2, strings, {setting} classes", STRINGS, setting, of_methods)
    return found


def _of(place: str, experiment: str, setting: str, of_methods: dict[str, Numbers]) -> list[Cell]:
    return [
        Cell(
            PAPER,
            place,
            title(method),
            f"{ordinal(instance)} instance",
            number,
            None if method == "human" else Measured(experiment, method, setting, at_shot(instance - 1)),
            "santoro2016/mann",
        )
        for method, numbers in of_methods.items()
        for instance, number in numbers.items()
    ]
