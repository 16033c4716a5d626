"""Tables in Markdown: the papers' numbers beside this study's own."""

import re
import string
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from metamemory.study.methods import title
from metamemory.study.parameters import SCALES
from metamemory.study.quantities import Quantity, at_shot, over_seeds
from metamemory.study.results import Group
from metamemory.study.stale import listed, stale
from metamemory.training.statistics import Interval

NO_BREAK = "\N{NO-BREAK SPACE}"
NUMBER = re.compile(r"(?:\*\*)?(\d+(?:\.\d+)?)")  # that a cell begins with


class Reported(NamedTuple):
    """A number of a paper, a share of 1, the paper's own deviation where it gives one, and whether it says "about"."""

    mean: float
    deviation: float | None = None
    about: bool = False

    @property
    def rounding(self) -> float:
        """How far the number may be from what was rounded to it: half of its last digit; of a whole per cent where it
        is about so much."""
        return 0.005 if self.about else 5e-4 if abs(self.mean - round(self.mean, 3)) < 1e-9 else 5e-5

    def __str__(self) -> str:
        if self.deviation is None:
            return f"{100 * self.mean:.1f}"
        digits = 2 if 0 < self.deviation < 5e-4 else 1  # so that ± 0.04 does not read as none
        return f"{100 * self.mean:.{digits}f}{NO_BREAK}±{NO_BREAK}{100 * self.deviation:.{digits}f}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded so that it reads as plain text too; numbers to the right."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    right = [all(NUMBER.match(cell) or cell in ("", "–", "not run") for cell in column[1:]) for column in columns]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(cells, widths, right, strict=True)
        ]
        return f"| {' | '.join(padded)} |"

    rule = [("-" * (width - 1) + ":") if flush else "-" * width for width, flush in zip(widths, right, strict=True)]
    return "\n".join([line(header), line(rule), *(line(row) for row in rows)])


def best_in_bold(rows: Sequence[Sequence[str]], columns: Sequence[int], whose: int | None = None) -> list[list[str]]:
    """Rows of cells, in which the largest mean of each of the `columns` is in bold: of what is reported, and of this
    study's at each scale, which the cell `whose` tells; of all where it is None. What stands alone is not the best of
    anything."""
    made = [list(row) for row in rows]
    sources = [_source(row[whose]) if whose is not None else "" for row in made]
    for column in columns:
        found = [NUMBER.match(row[column]) for row in made]
        for source in set(sources):
            of_source = {at: float(found[at][1]) for at, each in enumerate(sources) if each == source and found[at]}
            if len(of_source) > 1:
                best = max(of_source.values())
                for at in (at for at, number in of_source.items() if number == best):
                    made[at][column] = NUMBER.sub(r"**\1**", made[at][column], count=1)
    return made


def _source(whose: str) -> str:
    """The scale of a row of this study; "" of one that is reported."""
    first = whose.partition(",")[0]
    return first if first.endswith(" scale") else ""


def percent(interval: Interval | None, space: str = NO_BREAK) -> str:
    """ "96.8 (96.1–97.4)": mean and 95 % interval in per cent; "–" of what was not measured. In a wide table `space` is
    one that breaks."""
    if interval is None:
        return "–"
    return f"{100 * interval.mean:.1f}{space}({100 * interval.low:.1f}–{100 * interval.high:.1f})"


def span(values: Sequence[float], digits: int) -> str:
    """ "4.1–6.4", or one number where that is all; "–" where there is none."""
    ends = [f"{end:,.{digits}f}" for end in (min(values), max(values))] if values else ["–"]
    return "–".join(dict.fromkeys(ends))


def minutes_of(group: Group) -> str:
    """How long its trainings took, from the shortest to the longest."""
    return span([result.manifest["training_seconds"] / 60 for result in group.results], 1)


def hardware_of(group: Group) -> str:
    """Where the runs of a group were made."""
    return " or ".join(machines_of(group))


def machines_of(group: Group) -> list[str]:
    """The machines that the runs of a group were made on."""
    return sorted({result.manifest["hardware"] for result in group.results})


def stale_of(*groups: Group) -> str:
    """How many results of the groups are stale: "", "stale" where all are, or "2 of 3 stale"."""
    every = [result for group in groups for result in group.results]
    count = sum(stale(result.run) is not None for result in every)
    return "" if not count else "stale" if count == len(every) else f"{count} of {len(every)} stale"


def whose(*groups: Group) -> str:
    """Scale and data of groups of one scale, as rows name them; and whether there are stale results among theirs."""
    return ", ".join(filter(None, [f"{groups[0].run.scale} scale", groups[0].data, stale_of(*groups)]))


def by_whose(groups: Iterable[Group]) -> dict[str, list[Group]]:
    """Those of a scale and data together, in the order given, under what `whose` says of them."""
    together: dict[str, list[Group]] = {}
    for group in groups:
        together.setdefault(whose(group), []).append(group)
    return together


def stale_table(root: Path = Path(".")) -> str:
    """Results that today's code might not give again, and why; empty where there is none."""
    rows = [[place, reason] for place, reason in listed(root).items()]
    return markdown(["stale result", "reason"], rows) if rows else ""


class Column(NamedTuple):
    """A column of a paper's table: its title, the key of the paper's numbers, and what is measured of runs."""

    title: str
    key: Hashable
    quantity: Quantity


def shots(*chosen: int) -> list[Column]:
    """Columns of accuracy at some shots."""
    return [Column(f"{shot}-shot, %", shot, at_shot(shot)) for shot in chosen]


class Row(NamedTuple):
    """A row of a paper's table.

    Attributes:
        name: what the row is called, a cell each.
        reported: the reported numbers by the keys of columns; empty where it "fails to train", None where there are
            none.
        ours: this study's runs of it.
        by: who reports them.
        planned: whether this study would run it, so that a row without runs says "not run".
    """

    name: tuple[str, ...]
    reported: Mapping[Hashable, Reported] | None
    ours: Sequence[Group] = ()
    by: str = "paper"
    planned: bool = True


def comparison(
    header: Sequence[str],
    columns: Sequence[Column],
    rows: Sequence[Row],
    runs_of_paper: str,
    space: str = NO_BREAK,
    compared: bool = True,
) -> str:
    """The paper's row, and below it this study's at every scale that was run; what was not run says so.

    `space` as in `percent`; `compared`: whether rows compete, so that the best of each column is in bold.
    """
    lines = []
    for row in rows:
        if row.reported is not None:
            numbers = [str(row.reported[each.key]) if row.reported else "fails to train" for each in columns]
            lines.append([*row.name, row.by, *numbers, runs_of_paper])
        for group in row.ours:
            numbers = [percent(over_seeds(group, each.quantity), space) for each in columns]
            lines.append([*row.name, whose(group), *numbers, str(len(group.results))])
        if row.planned and not row.ours:
            lines.append([*row.name, "this study", *["not run"] * len(columns), "–"])
    if compared:
        first = len(header) + 1
        lines = best_in_bold(lines, range(first, first + len(columns)), len(header))
    return markdown([*header, "whose", *(each.title for each in columns), "seeds"], lines)


def across(
    of_each: Mapping[Hashable, Sequence[Group]], method: str, quantity: Callable[[Hashable], Quantity]
) -> list[list[str]]:
    """A method whose settings are columns, a row at every scale at which it was run: whose, what was measured in each
    setting, and seeds.

    Args:
        of_each: the groups of each setting, by what `quantity` takes.
        method: the one wanted.
        quantity: what is measured of the runs of a setting.
    """
    rows = []
    for scale in reversed(SCALES):
        found = {
            key: next((each for each in every if (each.run.method, each.run.scale) == (method, scale)), None)
            for key, every in of_each.items()
        }
        there = [group for group in found.values() if group]
        if there:
            numbers = [
                percent(over_seeds(group, quantity(key))) if group else "not run" for key, group in found.items()
            ]
            rows.append([whose(there[0]), *numbers, span([len(group.results) for group in there], 0)])
    return rows


def by_test(groups: Sequence[Group], tests: Mapping[str, Mapping[str, Quantity]], what: str) -> str:
    """Runs that were tested in several ways: a row a method, scale and test.

    Args:
        groups: of one setting.
        tests: name of a test -> column -> what is measured.
        what: how the tests differ.
    """
    rows = [
        [
            *(title(group.run.method), whose(group), test),
            *(percent(over_seeds(group, quantity)) for quantity in columns.values()),
            str(len(group.results)),
        ]
        for group in groups
        for test, columns in tests.items()
    ]
    columns = next(iter(tests.values()))
    return markdown(["method", "whose", what, *(f"{column}, %" for column in columns), "seeds"], rows)


def side(ours: Interval, reported: Reported) -> str:
    """Where an interval lies: "below" or "above" the number of a paper, with its deviation where it gives one; "" where
    the two meet, or may have met before the number was rounded."""
    reach = (reported.deviation or 0) + reported.rounding
    if round(ours.high - reported.mean + reach, 9) < 0:
        return "below"
    return "above" if round(ours.low - reported.mean - reach, 9) > 0 else ""


def verdict(group: Group, reported: Mapping[int, Reported] | None) -> str:
    """How the accuracies of a group stand to those that a paper reports of it, by shot, in words that claim no more
    than was run."""
    if not reported:
        return "not in the paper's table"
    if not group.comparable:
        return "not comparable: reduced size"
    beyond: dict[str, list[str]] = {"below": [], "above": []}
    for shot, each in reported.items():
        if where := side(group.accuracy(shot), each):
            beyond[where].append(f"{shot}-shot")
    said = [f"{side} the paper at {', '.join(at)}" for side, at in beyond.items() if at]
    return "; ".join(said) or "as in the paper"


def petaflop(*manifests: Mapping[str, Any]) -> str:
    """What trainings took, in 10^15 operations; – where their number of steps is not on record."""
    flops = [manifest["training_flops"] for manifest in manifests]
    return span([each / 1e15 for each in flops if each is not None], 3)


def budget_table(groups: Sequence[Group]) -> str:
    """What the runs of a method took: size, episodes, operations, time, and where, by a letter that the line below the
    table explains; from the least to the most where seeds differ."""
    header = ["method", "scale, data set", "seeds", "parameters", "MFLOPs a step", "episodes"]
    header += ["training, PFLOP", "minutes", "episodes/s", "on"]
    machines = {machine: None for group in groups for machine in machines_of(group)}
    letters = dict(zip(machines, string.ascii_uppercase, strict=False))
    rows = []
    for group in groups:
        manifests = [result.manifest for result in group.results]
        trained = [manifest for manifest in manifests if manifest["training_episodes"]]
        rates = [manifest["training_episodes"] / max(manifest["training_seconds"], 1e-9) for manifest in trained]
        rows.append(
            [
                title(group.run.method),
                whose(group).replace(" scale", "", 1),
                str(len(manifests)),
                f"{manifests[0]['parameters']:,}",
                f"{manifests[0]['flops_per_step'] / 1e6:,.2f}",
                f"{manifests[0]['training_episodes']:,}",
                petaflop(*trained),
                span([manifest["training_seconds"] / 60 for manifest in trained], 1),
                span(rates, 0),
                ", ".join(sorted(letters[machine] for machine in machines_of(group))),
            ]
        )
    on = "; ".join(f"{letter}: {machine}" for machine, letter in letters.items())
    return f"{markdown(header, rows)}\n\n{on}."
