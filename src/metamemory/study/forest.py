"""Claims as a forest plot: what a paper has of each difference, and what this study has, with its interval."""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from metamemory.study import marks
from metamemory.study.claims import NOT_RUN, Claim, Evidence, standing
from metamemory.study.marks import PAPER
from metamemory.study.tables import markdown, stale_of

HOLDS, FAILS, OPEN = "#0072B2", "#D55E00", "#6B6B6B"
TINTS = {"reproduced": HOLDS, "not reproduced": FAILS}
WORDS = (*TINTS, "not decided", NOT_RUN)  # verdicts without their reasons
LINEAR = 2  # percentage points around zero that are shown as they are; beyond, by their logarithm
TICKS = (-50, -20, -10, -5, -2, 0, 2, 5, 10, 20, 50)
INCHES, TEXT, LINE, GAP = 5.2, 0.2, 0.15, 0.14  # wide; heights of a line of text, of an interval, between claims
WIDEST = 42  # characters of a line of text, beside the verdict


class Row(NamedTuple):
    """A claim, what was measured for it, and how it stands.

    Attributes:
        word: the verdict without its reasons.
        scale: of the runs, and how many of them are stale; empty where there are none.
        decides: whether they are at the paper's size and on its data.
    """

    claim: Claim
    evidence: Evidence | None
    word: str
    scale: str
    decides: bool

    @property
    def lines(self) -> list[str]:
        return textwrap.wrap(self.claim.text, WIDEST)

    @property
    def tint(self) -> str:
        return TINTS.get(self.word, OPEN)

    @property
    def inches(self) -> float:
        return TEXT * len(self.lines) + LINE * len(self.claim.pairs) + GAP


def rows(claims: Sequence[Claim], root: Path = Path(".")) -> list[Row]:
    """Claims beside the results below a folder."""
    found = []
    for claim in claims:
        evidence = claim.measured(root)
        if evidence is None:
            found.append(Row(claim, None, NOT_RUN, "", False))
            continue
        verdict = standing(evidence.ends, evidence.groups, claim.margin).verdict
        word = verdict.partition(":")[0].partition(",")[0]
        decides = all(group.comparable for group in evidence.groups)
        scale = ", ".join(filter(None, [f"{evidence.groups[0].run.scale} scale", stale_of(*evidence.groups)]))
        found.append(Row(claim, evidence, word, scale, decides))
    return found


def counts_table(of_topics: Mapping[str, Sequence[Row]]) -> str:
    """How many claims of each topic stand how, in Markdown."""
    every = {**of_topics, "all": [row for of_claims in of_topics.values() for row in of_claims]}
    counted = {topic: Counter(row.word for row in of_claims) for topic, of_claims in every.items()}
    cells = [
        [topic, str(sum(count.values())), *(str(count[word] or "–") for word in WORDS)]
        for topic, count in counted.items()
    ]
    return markdown(["claims on", "number", *WORDS], cells)


def told(of_claims: Sequence[Row]) -> str:
    """What is seen in the figure, in words: how many claims stand how."""
    count = Counter(row.word for row in of_claims)
    stand = ", ".join(f"{count[word]} {word}" for word in WORDS if count[word])
    return (
        f"Of {len(of_claims)} claim{'s' if len(of_claims) > 1 else ''}: {stand}. A line is the interval of a "
        "difference, one for each number compared, in the order of the table."
    )


def forest(of_claims: Sequence[Row]) -> Figure:
    """A row a claim: its differences in percentage points with their intervals, filled where the runs are at the
    paper's size and on its data; diamonds are the paper's own."""
    heights = [row.inches for row in of_claims]
    figure, axes = plt.subplots(figsize=(INCHES, sum(heights) + 1))
    top = 0.0
    for row, height in zip(of_claims, heights, strict=True):
        _draw(axes, row, top)
        top += height
    axes.axvline(0, color=PAPER, linewidth=0.8)
    axes.set_xscale("symlog", linthresh=LINEAR, linscale=0.6)
    farthest = max([2.5 * LINEAR, *(abs(end) for row in of_claims for end in _ends(row))])
    axes.set(ylim=(top, -0.05), yticks=[], xlim=(-1.15 * farthest, 1.15 * farthest))
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in TICKS if abs(tick) <= 1.15 * farthest]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:+.0f}".replace("-", "−").replace("+0", "0"))
    axes.tick_params(axis="x", labelsize="small")
    axes.set_xlabel("difference, percentage points")
    axes.spines["left"].set_visible(False)
    axes.grid(False)
    axes.grid(True, axis="x", alpha=0.3)
    axes.legend(
        handles=_handles(of_claims),
        loc="lower center",
        bbox_to_anchor=(0.5, 1),
        ncols=4,
        fontsize="small",
        columnspacing=1,
    )
    figure.tight_layout()
    return figure


def _draw(axes: Axes, row: Row, top: float) -> None:
    for number, line in enumerate(row.lines):
        _write(axes, 0, top + TEXT * number, line, "left", PAPER)
    _write(axes, 1, top, ", ".join(filter(None, (row.word, row.scale))), "right", row.tint)
    first = top + TEXT * len(row.lines) + LINE / 2
    places = [first + LINE * number for number in range(len(row.claim.pairs))]
    if row.claim.margin:
        at = -100 * row.claim.margin
        axes.vlines(at, places[0] - LINE / 2, places[-1] + LINE / 2, color=PAPER, linestyle=":", linewidth=1.2)
    if row.evidence is not None:
        for place, each in zip(places, row.evidence.differences, strict=True):
            marks.measured(axes, place, each, row.tint, row.decides)
    for place, each in zip(places, row.claim.reported, strict=False):
        marks.reported(axes, place, each)


def _write(axes: Axes, x: float, y: float, text: str, side: str, tint: str) -> None:
    """In a line at the left or the right end of the axes."""
    where = {
        "transform": axes.get_yaxis_transform(),
        "ha": side,
        "va": "top",
        "fontsize": 8.5,
        "color": tint,
        "zorder": 5,
    }
    axes.text(x, y, text, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8}, **where)


def _ends(row: Row) -> list[float]:
    """All that is drawn of it, in percentage points."""
    measured = row.evidence.differences if row.evidence else []
    return [100 * each for each in (*row.claim.reported, *(end for one in measured for end in (one.low, one.high)))]


def _handles(of_claims: Sequence[Row]) -> list[Line2D]:
    """Of the legend: only what is in the figure."""
    decided = {row.decides for row in of_claims if row.evidence is not None}
    handles = []
    if True in decided:
        handles.append(marks.of_measured("paper scale", OPEN, True))
    if False in decided:
        handles.append(marks.of_measured("reduced size", OPEN, False))
    if any(row.claim.reported for row in of_claims):
        handles.append(marks.of_reported("the paper"))
    if any(row.claim.margin for row in of_claims):
        handles.append(Line2D([], [], color=PAPER, linestyle=":", label="margin"))
    return handles
