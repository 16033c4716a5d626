"""The papers: a folder each, with what it reports (`reported`), its claims, tables and figures, and its sections of the
report (`report.SECTIONS`) and of the scorecard (`cells.cells`)."""

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from metamemory.study.cells import Cell
from metamemory.study.claims import claims_table

BOOK = ("babu2021", "santoro2016", "munkhdalai2017", "survey")  # in this order; then all others


class Section(NamedTuple):
    """A section of the report.

    Attributes:
        title: what its table shows.
        table: makes the table, in Markdown, from the results below a folder; an empty one leaves the section out.
    """

    title: str
    table: Callable[[Path], str]


def available() -> list[str]:
    """The papers' names, in order: those of their folders."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)


def sections(paper: str) -> list[Section]:
    """The report's sections of a paper, in the order of the book."""
    return list(importlib.import_module(f"{__name__}.{paper}.report").SECTIONS)


def cells() -> list[Cell]:
    """The cells of all papers' tables, in the order of the book."""
    order = sorted(available(), key=lambda paper: BOOK.index(paper) if paper in BOOK else len(BOOK))
    return [cell for paper in order for cell in cells_of(paper)]


def cells_of(paper: str) -> list[Cell]:
    """Those of one; a paper without the module has none."""
    name = f"{__name__}.{paper}.cells"
    return importlib.import_module(name).cells() if importlib.util.find_spec(name) else []


def claims_of(topic: ModuleType) -> Callable[[Path], str]:
    """Makes the table of what a paper claims of a topic: of the module's `claims()`, in its `CLAIM_COLUMNS`."""
    return lambda root: claims_table(topic.claims(), root, topic.CLAIM_COLUMNS)
