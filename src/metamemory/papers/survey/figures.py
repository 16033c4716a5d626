"""Figures of support and query sets: what is reported of a learner, and what this study has."""

from pathlib import Path

from matplotlib.figure import Figure

from metamemory.papers.survey.cells import cells
from metamemory.papers.survey.reported import DATA, TABLES
from metamemory.papers.survey.support_query import ACCURACY, EXPERIMENT, by_family, setting_of, settings_of, title
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
    place = f"support and query sets, {DATA[data]}"
    reported = judge([cell for cell in cells() if cell.place == place], root)
    found = [cell_figures.point(each) for each in reported]
    answered = {(each.cell.answer.method, each.cell.answer.setting) for each in reported if each.cell.answer}
    names = {each.cell.answer.method for each in reported if each.cell.answer}
    columns = {setting_of(data, *each): f"{each[0]}-way {each[1]}-shot" for each in settings_of(data, root)}
    for setting, column in columns.items():
        for group in sorted(groups(EXPERIMENT, setting, root), key=lambda group: not group.comparable):
            method = group.run.method
            if (method, setting) in answered or group.run.scale == "smoke":
                continue
            answered.add((method, setting))
            names.add(method)
            ours = over_seeds(group, ACCURACY)
            found.append(cell_figures.Point(title(method), column, method, ours=ours, decides=group.comparable))
    rows = [title(method) for method in by_family([*TABLES[data], *sorted(names)])]  # as in the table
    order = list(columns.values())
    return sorted(found, key=lambda each: (order.index(each.column), _place(each.row, rows)))


def _place(row: str, rows: list[str]) -> int:
    """Of a learner among those of the study; one that it does not have comes last."""
    return rows.index(row) if row in rows else len(rows)
