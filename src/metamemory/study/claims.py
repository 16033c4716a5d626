"""What papers claim, and how it stands here: one kind of claim, judged in one place."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import ge, gt
from pathlib import Path
from typing import NamedTuple

from metamemory.study.quantities import Measured, over_seeds
from metamemory.study.results import Group, at_the_largest_scale, groups
from metamemory.study.tables import markdown, whose
from metamemory.training.statistics import Interval

Side = Measured | float  # measured of this study's runs, or a number that needs none

NOT_RUN = "not run"
COLUMNS = ("claim", "paper, points", "this study, points", "verdict")
OF_ONE = ("claim", "paper", "this study, difference in points", "verdict")  # difference, and any evidence


@dataclass(frozen=True)
class Claim:
    """That quantities are above others: each the first of a pair above the second.

    Attributes:
        text: what is said.
        paper: the paper's own evidence, as the table shows it.
        pairs: what is compared, shares of 1.
        margin: how far the first of a pair may be below the second while the claim still holds.
        digits: where given, the claim is another one: that two numbers are equal when rounded to so many digits.
        cells: further cells of its row in a table, by column.
        reported: the paper's own differences, one a pair, shares of 1; empty where it gives no numbers.
    """

    text: str
    paper: str
    pairs: Sequence[tuple[Side, Side]]
    margin: float = 0.0
    digits: int | None = None
    cells: Mapping[str, str] = field(default_factory=dict)
    reported: Sequence[float] = ()

    def judge(self, root: Path = Path(".")) -> "Standing":
        """At the largest scale at which all its runs are. Runs at smoke scale decide nothing and are not looked at."""
        if self.digits is not None:
            return _agreement(self.pairs, self.digits)
        found = self.measured(root)
        return Standing(NOT_RUN, NOT_RUN) if found is None else standing(found.ends, found.groups, self.margin)

    def measured(self, root: Path = Path(".")) -> "Evidence | None":
        """What it is judged by; None where something was not run."""
        runs = {side[:3]: None for pair in self.pairs for side in pair if isinstance(side, Measured)}
        found = at_the_largest_scale(*(_runs(root, *address) for address in runs))
        if found is None:
            return None
        of = dict(zip(runs, found, strict=True))
        return Evidence(found, [tuple(_interval(side, of) for side in pair) for pair in self.pairs])


class Evidence(NamedTuple):
    """The groups of one scale that a claim is judged by, and the two intervals of each of its pairs."""

    groups: Sequence[Group]
    ends: Sequence[tuple[Interval, Interval]]

    @property
    def differences(self) -> list[Interval]:
        """The first of each pair less the second, as wide as their intervals allow: they lie apart where it does not
        reach zero."""
        return [
            Interval(above.mean - below.mean, above.low - below.high, above.high - below.low, above.over)
            for above, below in self.ends
        ]


class Standing(NamedTuple):
    """What this study has on a claim, and what may be said of it."""

    shown: str
    verdict: str


def _runs(root: Path, experiment: str, method: str, setting: str) -> list[Group]:
    return [group for group in groups(experiment, setting, root, method) if group.run.scale != "smoke"]


def _interval(side: Side, of: Mapping[tuple, Group]) -> Interval:
    return over_seeds(of[side[:3]], side.quantity) if isinstance(side, Measured) else Interval(*[side] * 3, "nothing")


def standing(ends: Sequence[tuple[Interval, Interval]], of: Sequence[Group], margin: float = 0.0) -> Standing:
    """Of a claim that the first of each pair is above the second, or no more than `margin` below it: the differences in
    percentage points, with the scale and data of the groups that they are measured of; and what may be said.

    It is reproduced where the intervals of each pair lie apart in its direction, not reproduced where those of some
    pair lie apart in the other, and else not decided. Only runs at a paper's size and on its data decide anything.
    """
    shown = f"{points(above.mean - below.mean for above, below in ends)} ({whose(*of)})"
    over_episodes = any(each.over == "episodes" for pair in ends for each in pair)
    seeds = ", one seed" if over_episodes and any(group.may_differ for group in of) else ""
    holds = ge if margin else gt  # a margin allows its own end
    if all(holds(above.low, below.high - margin) for above, below in ends):
        decided, reduced = "reproduced", "it holds"
    elif any(above.high < below.low - margin for above, below in ends):
        decided, reduced = "not reproduced", "it does not hold"
    else:
        decided, reduced, seeds = "not decided: intervals overlap", "intervals overlap", ""
    verdict = (
        f"{decided}{seeds}" if all(each.comparable for each in of) else f"not decided: at reduced size {reduced}{seeds}"
    )
    return Standing(shown, verdict)


def _agreement(pairs: Sequence[tuple[float, float]], digits: int) -> Standing:
    agree = all(round(ours, digits) == round(theirs, digits) for ours, theirs in pairs)
    return Standing(", ".join(f"{ours:.3f}" for ours, _ in pairs), "reproduced" if agree else "not reproduced")


def points(differences: Iterable[float]) -> str:
    """ "+11.5, -0.3": differences of shares of 1, in percentage points; one that rounds to none has no minus."""
    return ", ".join(f"{round(100 * difference, 1) + 0.0:+.1f}" for difference in differences)


def claims_table(claims: Iterable[Claim], root: Path = Path("."), columns: Sequence[str] = COLUMNS) -> str:
    """A claim a row: what is said, the paper's evidence, this study's, and the verdict.

    A column is "claim", "paper", "this study", "verdict" or a further cell of the claims; what comes after a comma is
    its unit.
    """
    rows = []
    for claim in claims:
        shown, verdict = claim.judge(root)
        cells = {**claim.cells, "claim": claim.text, "paper": claim.paper, "this study": shown, "verdict": verdict}
        rows.append([cells[column.partition(",")[0]] for column in columns])
    return markdown(columns, rows)
