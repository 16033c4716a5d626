"""Cells of papers' tables: what is reported, what this study has, and how the two stand: one kind of cell, judged in
one place."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from metamemory.study.quantities import Measured, over_seeds
from metamemory.study.results import Group, groups
from metamemory.study.runs import Run
from metamemory.study.tables import NO_BREAK, Reported, markdown, percent, side, whose
from metamemory.training.statistics import Interval

WITHIN, BELOW, ABOVE, REDUCED, NOT_RUN = "within", "below", "above", "reduced size", "not run"
OUTSIDE = "not in the study"
VERDICTS = {  # in order, with what they mean
    WITHIN: "the intervals meet, as the number is printed",
    BELOW: "this study's interval lies below what is reported",
    ABOVE: "it lies above",
    REDUCED: "run with smaller networks, a smaller budget or other data alone, which decides nothing",
    NOT_RUN: "no run has finished yet",
    OUTSIDE: "the study has no run for it",
}


@dataclass(frozen=True)
class Cell:
    """A number that a paper reports.

    Attributes:
        paper: who reports it.
        place: where: "Table 1, Omniglot".
        row, column: its heads there.
        reported: the number.
        answer: what this study measures for it; None where it has no run for it.
        page: of the book, without ending, on which the table is.
        share: whether it is a share of 1, shown in per cent.
    """

    paper: str
    place: str
    row: str
    column: str
    reported: Reported
    answer: Measured | None = None
    page: str = ""
    share: bool = True

    @property
    def told(self) -> str:
        """The reported number, with the digits that it has."""
        if not self.share:
            return f"{self.reported.mean:.3f}"
        mean, deviation, about = self.reported
        if about:
            return f"about {100 * mean:.0f}"
        numbers = [f"{100 * each:.2f}".removesuffix("0") for each in (mean, deviation) if each is not None]
        return f"{NO_BREAK}±{NO_BREAK}".join(numbers)

    @property
    def command(self) -> str:
        """What makes the run of its first seed that decides; empty where there is none."""
        if self.answer is None:
            return ""
        experiment, method, setting, _ = self.answer
        return f"python -m metamemory run {Run('paper', experiment, method, setting).call}"


class Judged(NamedTuple):
    """A cell, and what this study has on it.

    Attributes:
        group: the runs that are looked at; None where there are none.
        ours: what was measured of them.
        verdict: one of VERDICTS.
    """

    cell: Cell
    group: Group | None
    ours: Interval | None
    verdict: str

    @property
    def said(self) -> str:
        """The verdict; where it is below or above, with the difference of the means in percentage points."""
        if self.verdict not in (BELOW, ABOVE):
            return self.verdict
        return f"{self.verdict} by {100 * abs(self.ours.mean - self.cell.reported.mean):.1f}"

    @property
    def shown(self) -> str:
        """What was measured, with its interval."""
        return "–" if self.ours is None else percent(self.ours)

    @property
    def source(self) -> str:
        """Scale, data and seeds of the runs."""
        return "–" if self.group is None else f"{whose(self.group)}, {seeds_of(self.group)}"


def seeds_of(group: Group) -> str:
    """ "3 seeds"."""
    count = len(group.results)
    return f"{count} seed{'s' if count > 1 else ''}"


def judge(cells: Iterable[Cell], root: Path = Path(".")) -> list[Judged]:
    """Each cell beside the largest runs of its answer. Only those at the paper's size and on its data are compared with
    it; those at smoke scale are not looked at."""
    found: dict[str, list[Group]] = {}
    judged = []
    for cell in cells:
        of_cell = []
        if cell.answer is not None:
            experiment = cell.answer.experiment
            if experiment not in found:
                found[experiment] = [each for each in groups(experiment, root=root) if each.run.scale != "smoke"]
            wanted = (cell.answer.method, cell.answer.setting)
            of_cell = [each for each in found[experiment] if (each.run.method, each.run.setting) == wanted]
        judged.append(_judged(cell, sorted(of_cell, key=lambda group: not group.comparable)))
    return judged


def _judged(cell: Cell, of_cell: Sequence[Group]) -> Judged:
    for group in of_cell:
        ours = over_seeds(group, cell.answer.quantity)
        if ours is not None:
            return Judged(cell, group, ours, side(ours, cell.reported) or WITHIN if group.comparable else REDUCED)
    return Judged(cell, None, None, OUTSIDE if cell.answer is None else NOT_RUN)


def counts(judged: Iterable[Judged]) -> dict[str, Counter[str]]:
    """How many cells of each paper have which verdict, in the order of the cells."""
    found: dict[str, Counter[str]] = {}
    for each in judged:
        found.setdefault(each.cell.paper, Counter())[each.verdict] += 1
    return found


def counts_table(of_each: dict[str, Counter[str]]) -> str:
    """Counts in Markdown, a row a paper and one for all; a column a verdict."""
    rows = [
        [name, str(sum(found.values())), *(str(found[each] or "–") for each in VERDICTS)]
        for name, found in (*of_each.items(), ("all", sum(of_each.values(), Counter())))
    ]
    return markdown(["paper", "cells", *VERDICTS], rows)


def cells_table(judged: Iterable[Judged]) -> str:
    """Cells in Markdown, one a row."""
    header = ["paper", "place", "row", "column", "reported", "this study", "made at", "verdict", "command"]
    rows = [
        [
            *(each.cell.paper, each.cell.place, each.cell.row, each.cell.column, each.cell.told),
            *(each.shown, each.source, each.said, f"`{each.cell.command}`" if each.cell.command else "–"),
        ]
        for each in judged
    ]
    return markdown(header, rows)
