"""Online few-shot segmentation: the paper's numbers, and the tables that put this study's beside them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from metamemory.study.parameters import SCALES
from metamemory.study.results import Group, groups
from metamemory.study.tables import hardware_of, markdown, minutes_of, percent, standing
from metamemory.training.statistics import Interval, bootstrap

Address = tuple[str, str, str]  # experiment, method, setting
Cell = tuple[str, int]  # what is measured, and the shot

MEASURES = {"segmented": "segmentation", "masked": "masking"}
CELLS: tuple[Cell, ...] = (("segmented", 1), ("segmented", 6), ("masked", 1), ("masked", 6))

FINE_TUNED: Address = ("segmentation", "unet", "fss1000")
NINTH: Address = ("segmentation_injection", "cl_unet", "layer_9")
FIRST: Address = ("segmentation", "cl_unet", "fss1000")
NOWHERE: Address = ("segmentation_injection", "cl_unet", "nowhere")

ROWS = {  # of the table and of legends: method, and where masks are shown
    FINE_TUNED: ("Fine-tuned U-Net", "as a gradient"),
    NINTH: ("CL U-Net", "9th layer"),
    FIRST: ("CL U-Net", "1st layer"),
    NOWHERE: ("CL U-Net", "nowhere"),
}

# Babu, Savarese and Maire 2021, Table 4, FSS-1000; without deviations.
TABLE_4: dict[Address, dict[Cell, float]] = {
    FINE_TUNED: dict(zip(CELLS, (0.653, 0.640, 0.231, 0.236), strict=True)),
    NINTH: dict(zip(CELLS, (0.387, 0.457, 0.738, 0.778), strict=True)),
    FIRST: dict(zip(CELLS, (0.492, 0.560, 0.846, 0.917), strict=True)),
}


class Claim(NamedTuple):
    """That one cell of Table 4 is above another, several times: pairs of (address, cell)."""

    text: str
    pairs: tuple[tuple[tuple[Address, Cell], tuple[Address, Cell]], ...]


# What the same paper concludes from it (section 4.4).
CLAIMS = (
    Claim(
        "CL U-Net masks out distractors, and the fine-tuned CNN fails to: masking at 1 and 6 shots",
        tuple(((FIRST, cell), (FINE_TUNED, cell)) for cell in CELLS[2:]),
    ),
    Claim(
        "truth shown to the first layer is better than to the ninth: segmentation, then masking",
        tuple(((FIRST, cell), (NINTH, cell)) for cell in CELLS),
    ),
    Claim(
        "CL U-Net adapts online, 6 shots are better than 1: segmentation, then masking",
        (((FIRST, CELLS[1]), (FIRST, CELLS[0])), ((FIRST, CELLS[3]), (FIRST, CELLS[2]))),
    ),
)


def address(group: Group) -> Address:
    """Which row a group is."""
    return group.run.experiment, group.run.method, group.run.setting


def name(group: Group) -> str:
    """As legends have it: "CL U-Net, 1st layer"."""
    method, shown = ROWS.get(address(group), (group.run.method, group.run.setting))
    return f"{method}, {shown}" if method == "CL U-Net" else method


def shown(root: Path = Path(".")) -> dict[str, list[Group]]:
    """All finished groups by scale, the largest first, in the order of the table's rows."""
    every = [*groups("segmentation", root=root), *groups("segmentation_injection", root=root)]
    if any(group.run.scale != "smoke" for group in every):
        every = [group for group in every if group.run.scale != "smoke"]
    places = [*ROWS, *(address(group) for group in every)]
    by_scale: dict[str, list[Group]] = {}
    for scale in reversed(SCALES):
        of_scale = [group for group in every if group.run.scale == scale]
        if of_scale:
            by_scale[scale] = sorted(of_scale, key=lambda group: places.index(address(group)))
    return by_scale


def interval(group: Group, measure: str, shot: int) -> Interval:
    """A measure at one shot: over seeds where there are several, else over the episodes of the one."""
    rows = [result.by_shot[shot] for result in group.results]
    if len(rows) > 1:
        return bootstrap(np.array([row[measure] for row in rows]), over="seeds")
    row = rows[0]
    return Interval(row[measure], row[f"{measure}_low"], row[f"{measure}_high"], over="episodes")


def table_4(root: Path = Path(".")) -> str:
    """Segmentation and masking at 1 and 6 shots: the paper's rows, and this study's at every scale that was run."""
    ours = [group for of_scale in shown(root).values() for group in of_scale]
    rows = []
    for row in dict.fromkeys([*ROWS, *map(address, ours)]):
        names = ROWS.get(row, row[1:])
        if row in TABLE_4:
            rows.append([*names, "paper", *(f"{100 * TABLE_4[row][cell]:.1f}" for cell in CELLS), "–"])
        of_row = [group for group in ours if address(group) == row]
        for group in of_row:
            numbers = [percent(interval(group, *cell), " ") for cell in CELLS]
            rows.append([*names, f"{group.run.scale} scale, {group.data}", *numbers, str(len(group.results))])
        if not of_row:
            rows.append([*names, "this study", *["not run"] * len(CELLS), "–"])
    header = [f"{MEASURES[measure]}, {shot}-shot, %" for measure, shot in CELLS]
    return markdown(["method", "truth shown to", "whose", *header, "seeds"], rows)


def claims_table(root: Path = Path(".")) -> str:
    """What the paper concludes of segmentation, and how it stands here, at the largest scale at which all is there."""
    lines, every = [], shown(root)
    for claim in CLAIMS:
        paper = ", ".join(f"{100 * (TABLE_4[a][i] - TABLE_4[b][j]):+.1f}" for (a, i), (b, j) in claim.pairs)
        lines.append([claim.text, paper, *_standing(claim, every)])
    return markdown(["claim", "paper, points", "this study, points", "verdict"], lines)


def _standing(claim: Claim, every: dict[str, list[Group]]) -> tuple[str, str]:
    """Our own differences in points of a per cent, with their scale; and what may be said."""
    wanted = {row for pair in claim.pairs for row, _ in pair}
    by_row = ({address(group): group for group in of_scale} for of_scale in every.values())
    found = next((each for each in by_row if wanted <= set(each)), None)
    if found is None:
        return "not run", "not run"
    ends = [tuple(interval(found[row], *cell) for row, cell in pair) for pair in claim.pairs]
    return standing(ends, found[claim.pairs[0][0][0]])


def findings(of_scale: Sequence[Group]) -> str:
    """A sentence a group, in Markdown: what it segments and masks, its budget."""
    lines = []
    for group in of_scale:
        numbers = "; ".join(
            f"{words} {', '.join(f'{shot}-shot {percent(interval(group, measure, shot))} %' for shot in (1, 6))}"
            for measure, words in MEASURES.items()
        )
        manifest = group.results[0].manifest
        lines.append(
            f"- **{name(group)}**: {numbers}. {manifest['training_episodes']:,} episodes in "
            f"{minutes_of(group)} minutes on {hardware_of(group)}; {manifest['parameters']:,} "
            f"parameters, {manifest['flops_per_step'] / 1e6:,.0f} MFLOPs a step."
        )
    return "\n".join(lines)


def interval_of(of_scale: Sequence[Group]) -> str:
    """What the intervals of a figure are, in words."""
    kinds = sorted({interval(group, "segmented", 1).over for group in of_scale})
    count = of_scale[0].results[0].manifest["test_episodes"]
    return f"95 % bootstrap intervals over {' or '.join(kinds)}, {count:,} test episodes a seed"
