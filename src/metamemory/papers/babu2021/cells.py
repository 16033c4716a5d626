"""Cells of this paper's tables, and the runs that answer them."""

from metamemory.papers.babu2021.continual import LONGEST, accuracy
from metamemory.papers.babu2021.continual import SETTING as CONTINUAL
from metamemory.papers.babu2021.online_few_shot import EXPERIMENT, INJECTED, delayed
from metamemory.papers.babu2021.reported import FIRST_19, TABLE_1, TABLE_2, TABLE_3, TABLE_4, TABLE_5, TWENTIETH
from metamemory.papers.babu2021.segmentation import MEASURES, ROWS
from metamemory.papers.babu2021.supervised import DATA as SUPERVISED_DATA
from metamemory.study.cells import Cell
from metamemory.study.methods import title
from metamemory.study.quantities import Measured, Quantity, at_shot
from metamemory.study.tables import Reported

PAPER = "Babu et al. 2021"
DATA = {"omniglot": "Omniglot", "cifar_fs": "CIFAR-FS"}


def cells() -> list[Cell]:
    """Table by table. A number that is printed twice counts once; "fails to train" is none."""
    return [*_table_1(), *_table_2(), *_table_3(), *_figure_4(), *_table_4(), *_table_5()]


def _cell(
    place: str, row: str, column: str, reported: Reported, run: tuple[str, str, str], quantity: Quantity, page: str
) -> Cell:
    return Cell(PAPER, place, row, column, reported, Measured(*run, quantity), f"babu2021/{page}")


def _table_1() -> list[Cell]:
    return [
        _cell(
            f"Table 1, {DATA[data]}", title(method), f"{shot}-shot", number, (EXPERIMENT, method, data), at_shot(shot),
            "online_few_shot",
        )
        for data, of_methods in TABLE_1.items()
        for method, numbers in of_methods.items()
        for shot, number in numbers.items()
    ]  # fmt: skip


def _table_2() -> list[Cell]:
    return [
        _cell(
            "Table 2, Omniglot", f"{title(run[1])}, labels to {INJECTED.get(run[2], 'LSTM')}", f"{shot}-shot", number,
            run, at_shot(shot), "label_injection",
        )
        for run, numbers in TABLE_2.items()
        if numbers is not TABLE_1["omniglot"]["cl_lstm"]
        for shot, number in numbers.items()
    ]  # fmt: skip


def _table_3() -> list[Cell]:
    found = []
    for (delay, pretrained), numbers in TABLE_3.items():
        row = f"delay {delay}{', pre-trained' if pretrained else ''}"
        run = ("delayed_labels", "cl_lstm", delayed("cifar_fs", delay, pretrained))
        found += [
            _cell("Table 3, CIFAR-FS", row, f"{shot}-shot", number, run, at_shot(shot), "delayed_labels")
            for shot, number in numbers.items()
        ]
    return found


def _figure_4() -> list[Cell]:
    parts = {"first 19 of 20": (FIRST_19, accuracy(LONGEST, 1, LONGEST - 1))}
    parts["20th"] = TWENTIETH, accuracy(LONGEST, LONGEST, LONGEST)
    return [
        _cell(
            "Figure 4, Omniglot", title(method), column, Reported(number, about=column == "20th"),
            ("continual_learning", method, CONTINUAL), quantity, "continual",
        )
        for column, (numbers, quantity) in parts.items()
        for method, number in numbers.items()
    ]  # fmt: skip


def _table_4() -> list[Cell]:
    return [
        _cell(
            "Table 4, FSS-1000", ", ".join(ROWS[run]), f"{MEASURES[measure]}, {shot}-shot", number, run,
            at_shot(shot, measure), "segmentation",
        )
        for run, numbers in TABLE_4.items()
        for (measure, shot), number in numbers.items()
    ]  # fmt: skip


def _table_5() -> list[Cell]:
    return [
        _cell(
            f"Table 5, {name}", title(method), "accuracy", network.accuracy[data],
            ("supervised_learning", method, data), at_shot(0), "supervised",
        )
        for data, name in SUPERVISED_DATA.items()
        for method, network in TABLE_5.items()
    ]  # fmt: skip
