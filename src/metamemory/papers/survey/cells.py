"""Cells of the papers that the survey compares, and the runs that answer them."""

import re

from metamemory.papers.survey.reported import TABLES
from metamemory.papers.survey.support_query import ACCURACY, EXPERIMENT, column_of, place_of, setting_of, title
from metamemory.papers.survey.values import CELEB_A, KNOWN_OF_CELEB_A
from metamemory.study.cells import Cell
from metamemory.study.quantities import Measured
from metamemory.study.tables import Reported

ELSEWHERE = ("mann", "meta_networks")  # numbers of papers with cells of their own
OTHERWISE = {  # what the study does not have as it is reported
    ("mini_imagenet", "matching"): "of other classes, and with full context embeddings",
    ("mini_imagenet", "snail"): "with a deeper network",
}


def cells() -> list[Cell]:
    """Of support and query sets, then of the completion of images. Public code is no paper; what a paper says of
    another that has cells of its own is left to that one."""
    found = [
        Cell(
            by,
            place_of(data),
            title(method),
            column_of(n_way, k_shot),
            number,
            _answer(data, method, n_way, k_shot),
            f"survey/{EXPERIMENT}",
        )
        for data, of_methods in TABLES.items()
        for method, of_sources in of_methods.items()
        if method not in ELSEWHERE
        for by, numbers in of_sources.items()
        if re.search(r"\b(19|20)\d\d\b", by)
        for (n_way, k_shot), number in numbers.items()
    ]
    return sorted([*found, *_celeb_a()], key=lambda cell: cell.paper)


def _answer(data: str, method: str, n_way: int, k_shot: int) -> Measured | None:
    if (data, method) in OTHERWISE:
        return None
    return Measured(EXPERIMENT, method, setting_of(data, n_way, k_shot), ACCURACY)


def _celeb_a() -> list[Cell]:
    """Squared errors on faces, which this study does not have."""
    return [
        Cell(
            "Garnelo et al. 2018",
            "Table 1, CelebA, mean squared error",
            method,
            f"{known:,} pixels known",
            Reported(number),
            page="survey/neural_process",
            share=False,
        )
        for method, numbers in CELEB_A.items()
        for known, number in zip(KNOWN_OF_CELEB_A, numbers, strict=True)
    ]
