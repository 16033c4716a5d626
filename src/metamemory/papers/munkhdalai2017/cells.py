"""Cells of this paper's tables, and the runs that answer them."""

from dataclasses import replace

from metamemory.papers.munkhdalai2017.reported import FIGURE_5, FROM_OTHERS, HUNDRED, TABLE_1, TABLE_2, TABLE_3, TABLE_4
from metamemory.papers.munkhdalai2017.tables import DIGITS, EXPERIMENT, MINI_IMAGENET, setting_of, with_classes
from metamemory.study.cells import Cell
from metamemory.study.methods import title
from metamemory.study.quantities import Measured
from metamemory.study.tables import Reported

PAPER = "Munkhdalai and Yu 2017"
PREVIOUS, STANDARD = "previous", "standard"  # splits


def cells() -> list[Cell]:
    """Table by table, and what the figure quotes, as those report it who did it first. A number that is printed twice
    counts once."""
    found = [
        _omniglot("Table 1, Omniglot, previous split", method, PREVIOUS, n, n, number)
        for method, numbers in TABLE_1.items()
        for n, number in numbers.items()
    ]
    place = "Table 2, miniImageNet"
    found += [
        _cell(place, title(method), "5-way", number, Measured(MINI_IMAGENET, method, "train_5_way", with_classes(5)))
        for method, number in TABLE_2.items()
    ]
    found += [
        _omniglot("Table 3, Omniglot, standard split", method, STANDARD, n, n, number)
        for method, numbers in TABLE_3.items()
        for n, number in numbers.items()
    ]
    found += [
        _omniglot("Table 4, Omniglot, previous split", "meta_networks", PREVIOUS, trained, tested, number)
        for trained, numbers in TABLE_4.items()
        for tested, number in [*numbers.items(), *([(100, HUNDRED)] if trained == 10 else [])]
        if not (trained == tested and number == TABLE_1["meta_networks"][tested])
    ]
    found += [_digits(method, "Figure 5, ", number) for method, number in FIGURE_5.items() if method not in FROM_OTHERS]
    return found + [replace(_digits(method, "", number), paper=by) for method, (by, number) in FROM_OTHERS.items()]


def _digits(method: str, place: str, number: Reported) -> Cell:
    answer = Measured(DIGITS[0], method, DIGITS[1], with_classes(10))
    return _cell(f"{place}Omniglot to MNIST", title(method), "10-way", number, answer)


def _omniglot(place: str, method: str, split: str, trained: int, tested: int, number: Reported) -> Cell:
    column = f"{tested}-way" if place.partition(",")[0] != "Table 4" else f"{trained}-way, tested {tested}-way"
    run = (EXPERIMENT, method, setting_of(split, trained))
    return _cell(place, title(method), column, number, Measured(*run, with_classes(tested)))


def _cell(place: str, row: str, column: str, number: Reported, answer: Measured) -> Cell:
    return Cell(PAPER, place, row, column, number, answer, "munkhdalai2017/meta_networks")
