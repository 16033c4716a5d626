"""The scorecard: every cell of the papers' tables beside what this study has (book/scorecard.md)."""

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from metamemory import papers
from metamemory.study import cell_figures
from metamemory.study.cells import VERDICTS, Judged, cells_table, counts, counts_table, judge
from metamemory.study.parameters import project_root

PLACE = Path("book")
MARKS = dict(zip(VERDICTS, "●▼▲◐○–", strict=True))  # so that no verdict is told by colour alone
SHORT = 3  # papers that have a row of their own on the front page
HEADER = ("where", "cell", "reported, %", "this study, %", "verdict")


def judged(root: Path = Path(".")) -> list[Judged]:
    """Every cell of every paper, beside the results below a folder."""
    return judge(papers.cells(), root)


def beside(paper: str, places: str, root: Path = Path(".")) -> Figure:
    """The cells of a paper's places that begin so, as a picture."""
    chosen = [each for each in papers.cells_of(paper) if each.place.startswith(places)]
    return cell_figures.beside([cell_figures.point(each) for each in judge(chosen, root)])


def print_scorecard(root: Path = Path(".")) -> None:
    """Counts, then every cell, in Markdown."""
    every = judged(root)
    print(f"{counts_table(counts(every))}\n\n{cells_table(every)}")


def summary(root: Path = Path(".")) -> str:
    """Counts in Markdown, of the papers with the most cells one by one, and of the others together."""
    of_each = counts(judged(root))
    most = [
        name for name, _ in Counter({name: sum(found.values()) for name, found in of_each.items()}).most_common(SHORT)
    ]
    named = {name: found for name, found in of_each.items() if name in most}
    others = [found for name, found in of_each.items() if name not in most]
    return counts_table({**named, f"{len(others)} others": sum(others, Counter())} if others else named)


def page(root: Path = Path(".")) -> str:
    """The table of the page in HTML, with its filter; whole where there is no JavaScript."""
    return filled(judged(root))


def filled(every: Sequence[Judged]) -> str:
    """The same of some cells."""
    folder = project_root() / PLACE
    text = (folder / "scorecard.html").read_text(encoding="utf-8")
    parts = {
        "papers": _options((name, f"{name} ({sum(found.values())})") for name, found in counts(every).items()),
        "verdicts": _options((each, f"{MARKS[each]} {each}") for each in VERDICTS),
        "meanings": "".join(f"<dt>{MARKS[each]} {each}</dt><dd>{meaning}</dd>" for each, meaning in VERDICTS.items()),
        "header": "".join(f'<th scope="col">{each}</th>' for each in HEADER),
        "rows": "\n".join(map(_row, every)),
        "program": (folder / "scorecard.js").read_text(encoding="utf-8"),
    }
    for name, part in parts.items():
        text = text.replace(f"@{name}@", part)
    return text


def _options(values: Iterable[tuple[str, str]]) -> str:
    return "".join(f'<option value="{html.escape(value)}">{html.escape(text)}</option>' for value, text in values)


def _row(each: Judged) -> str:
    cell = each.cell
    place = html.escape(cell.place)
    if cell.page:
        place = f'<a href="{cell.page}.html">{place}</a>'
    command = f"<details><summary>command</summary><code>{cell.command}</code></details>" if cell.command else ""
    verdict = f'<span aria-hidden="true">{MARKS[each.verdict]}</span> {html.escape(each.said)}'
    texts = {
        "where": f"{html.escape(cell.paper)}<br>{place}",
        "cell": f"{html.escape(cell.row)}, {html.escape(cell.column)}{command}",
        "reported": html.escape(cell.told),
        "ours": f"{html.escape(each.shown)}<br><small>{html.escape(each.source)}</small>" if each.group else "–",
        "verdict": verdict,
    }
    told = "".join(f'<td class="score-{name}">{text}</td>' for name, text in texts.items())
    return f'<tr data-paper="{html.escape(cell.paper)}" data-verdict="{each.verdict}">{told}</tr>'
