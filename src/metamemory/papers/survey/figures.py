"""Figures of support and query sets: what is reported of a learner, and what this study has."""

from pathlib import Path

from matplotlib.figure import Figure

from metamemory.papers.survey.cells import cells
from metamemory.papers.survey.reported import TABLES
from metamemory.papers.survey.support_query import (
    ACCURACY,
    EXPERIMENT,
    by_family,
    column_of,
    place_of,
    setting_of,
    settings_of,
    title,
)
from metamemory.study import cell_figures
from metamemory.study.cells import judge
from metamemory.study.quantities import over_seeds
from metamemory.study.results import groups


def beside(data: str, root: Path = Path(".")) -> Figure:
    """A panel for each number of ways and shots, a row a learner: the papers' numbers and this study's. A learner of
    which no paper reports a number has a row too."""
    return cell_figures.beside(points(data, root))


def points(data: str, root: Path = Path(".")) -> list[cell_figures.Point]:
    """What the picture of a data set shows: cells of papers, then runs without such a cell; learners of a family
    together."""
    reported = judge([cell for cell in cells() if cell.place == place_of(data)], root)
    found = [cell_figures.point(each) for each in reported]
    shown = {(each.cell.answer.method, each.cell.answer.setting) for each in reported if each.cell.answer}
    columns = {setting_of(data, *each): column_of(*each) for each in settings_of(data, root)}
    for setting, column in columns.items():
        for group in sorted(groups(EXPERIMENT, setting, root), key=lambda group: not group.comparable):
            method = group.run.method
            if (method, setting) in shown or group.run.scale == "smoke":
                continue
            shown.add((method, setting))
            ours = over_seeds(group, ACCURACY)
            found.append(cell_figures.Point(title(method), column, method, ours=ours, decides=group.comparable))
    methods = by_family([*TABLES[data], *sorted({method for method, _ in shown})])  # as in the table
    row = {title(method): place for place, method in enumerate(methods)}
    order = list(columns.values())
    return sorted(found, key=lambda each: (order.index(each.column), row.get(each.row, len(row))))
