"""The table and the picture of README.md, from results/."""

from pathlib import Path

from metamemory.errors import UserError
from metamemory.papers.babu2021.online_few_shot import EXPERIMENT, SHOTS
from metamemory.papers.babu2021.reported import TABLE_1
from metamemory.study import figures
from metamemory.study.methods import title
from metamemory.study.pages import interval_of, label_of
from metamemory.study.results import Group, by_scale
from metamemory.study.tables import best_in_bold, hardware_of, markdown, minutes_of, percent, stale_of
from metamemory.training.files import write_atomically

BEGIN, END = "<!-- results: written by `python -m metamemory report --readme` -->\n", "<!-- end of results -->"
PICTURE = Path("book/_static/accuracy_by_shot.png")


def _shown(root: Path) -> dict[str, list[Group]]:
    shown = by_scale(EXPERIMENT, "omniglot", root)
    if not shown:
        raise UserError(f"{root / 'results'} has no finished run: `make study` makes some")
    return shown


def results_section(root: Path = Path(".")) -> str:
    """The results of every scale, the largest first; each row with its command, time and hardware.

    Raises:
        UserError: nothing was run.
    """
    first = (
        f"Online few-shot learning, 5-way. The paper's CL+LSTM has {_of_paper('cl_lstm')}. A command does seed 0, "
        "with `--seed 1` another; times are from the shortest training to the longest."
    )
    return "\n\n".join([first, *map(_table, _shown(root).values())]) + "\n"


def _of_paper(method: str) -> str:
    """ "96.8 / 99.4 / 99.7": what it reports at each of the shots; – where it has no such method."""
    numbers = TABLE_1["omniglot"].get(method)
    return " / ".join(f"{100 * numbers[shot].mean:.1f}" for shot in SHOTS) if numbers else "–"


def _table(groups: list[Group]) -> str:
    header = ["method", *(f"{shot}-shot, %" for shot in SHOTS), "seeds", "command", "training, minutes", "hardware"]
    rows = []
    for group in groups:
        run = group.run
        rows.append(
            [
                title(run.method),
                *(percent(group.accuracy(shot)) for shot in SHOTS),
                ", ".join(filter(None, [str(len(group.results)), stale_of(group)])),
                f"`python -m metamemory run {run.experiment} --method {run.method} --scale {run.scale}`",
                minutes_of(group),
                hardware_of(group),
            ]
        )
    rows = best_in_bold(rows, range(1, 1 + len(SHOTS)))
    if all(group.comparable for group in groups):  # the paper's and this study's in one row
        header.insert(1, f"paper, {' / '.join(map(str, SHOTS))}-shot, %")
        for row, group in zip(rows, groups, strict=True):
            row.insert(1, _of_paper(group.run.method))
    label, table = label_of(groups), markdown(header, rows)
    return f"{label[:1].upper()}{label[1:]}; {interval_of(groups)}:\n\n{table}"


def write_readme(root: Path = Path(".")) -> None:
    """Put the section between its marks in README.md, and draw the picture above it.

    Raises:
        UserError: a mark is missing, or nothing was run.
    """
    text = (root / "README.md").read_text(encoding="utf-8")
    for mark in (BEGIN, END):
        if text.count(mark) != 1:
            raise UserError(f"README.md must have the line {mark.strip()} once, and has it {text.count(mark)} times")
    before, _, rest = text.partition(BEGIN)
    text = f"{before}{BEGIN}\n{results_section(root)}\n{END}{rest.partition(END)[2]}"
    write_atomically(root / "README.md", lambda path: path.write_text(text, encoding="utf-8"))
    figures.use_style()
    shown = {label_of(groups): groups for groups in _shown(root).values()}
    figure = figures.accuracy_by_shot_at(shown, reported=TABLE_1["omniglot"])
    write_atomically(root / PICTURE, lambda path: figure.savefig(path, format="png", dpi=110))
