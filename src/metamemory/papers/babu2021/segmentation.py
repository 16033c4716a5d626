"""Online few-shot segmentation: the paper's numbers, and the tables that put this study's beside them."""

from collections.abc import Sequence
from pathlib import Path

from metamemory.papers.babu2021.reported import CELLS, FINE_TUNED, FIRST, NINTH, TABLE_4
from metamemory.study.claims import COLUMNS, Claim, points
from metamemory.study.pages import interval_of as interval_in_words
from metamemory.study.parameters import SCALES
from metamemory.study.quantities import Measured, at_shot, over_seeds
from metamemory.study.results import Group, groups
from metamemory.study.tables import Column, Row, comparison, hardware_of, markdown, minutes_of
from metamemory.training.statistics import Interval

Address = tuple[str, str, str]  # experiment, method, setting
Cell = tuple[str, int]  # what is measured, and the shot

MEASURES = {"segmented": "segmentation", "masked": "masking"}
NOWHERE: Address = ("segmentation_injection", "cl_unet", "nowhere")
ROWS = {  # of the table and of legends: method, and where masks are shown
    FINE_TUNED: ("Fine-tuned U-Net", "as a gradient"),
    NINTH: ("CL U-Net", "9th layer"),
    FIRST: ("CL U-Net", "1st layer"),
    NOWHERE: ("CL U-Net", "nowhere"),
}


def _claim(text: str, *pairs: tuple[tuple[Address, Cell], tuple[Address, Cell]]) -> Claim:
    """That one cell of Table 4 is above another, several times."""
    differences = [TABLE_4[a][i].mean - TABLE_4[b][j].mean for (a, i), (b, j) in pairs]
    return Claim(
        text,
        paper=points(differences),
        reported=differences,
        pairs=[tuple(Measured(*row, at_shot(shot, what)) for row, (what, shot) in pair) for pair in pairs],
    )


def claims() -> list[Claim]:
    """What the paper concludes of its Table 4 (section 4.4)."""
    return [
        _claim(
            "CL U-Net masks out distractors, and the fine-tuned CNN fails to: masking at 1 and 6 shots",
            *(((FIRST, cell), (FINE_TUNED, cell)) for cell in CELLS[2:]),
        ),
        _claim(
            "truth shown to the first layer is better than to the ninth: segmentation, then masking",
            *(((FIRST, cell), (NINTH, cell)) for cell in CELLS),
        ),
        _claim(
            "CL U-Net adapts online, 6 shots are better than 1: segmentation, then masking",
            *(((FIRST, CELLS[1]), (FIRST, CELLS[0])), ((FIRST, CELLS[3]), (FIRST, CELLS[2]))),
        ),
    ]


CLAIM_COLUMNS = COLUMNS


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
    return over_seeds(group, at_shot(shot, measure))


def table_4(root: Path = Path(".")) -> str:
    """Segmentation and masking at 1 and 6 shots: the paper's rows, and this study's at every scale that was run."""
    ours = [group for of_scale in shown(root).values() for group in of_scale]
    columns = [
        Column(f"{MEASURES[measure]}, {shot}-shot, %", (measure, shot), at_shot(shot, measure))
        for measure, shot in CELLS
    ]
    rows = [
        Row(ROWS.get(row, row[1:]), TABLE_4.get(row), [group for group in ours if address(group) == row])
        for row in dict.fromkeys([*ROWS, *map(address, ours)])
    ]
    return comparison(["method", "truth shown to"], columns, rows, runs_of_paper="–", space=" ")


def findings(of_scale: Sequence[Group]) -> str:
    """What each learner was trained with and what a step costs, a row a learner."""
    rows = []
    for group in of_scale:
        manifest = group.results[0].manifest
        rows.append(
            [
                name(group),
                f"{manifest['training_episodes']:,}",
                minutes_of(group),
                hardware_of(group),
                f"{manifest['parameters']:,}",
                f"{manifest['flops_per_step'] / 1e6:,.0f}",
            ]
        )
    return markdown(["learner", "episodes", "minutes", "hardware", "parameters", "MFLOPs a step"], rows)


def interval_of(of_scale: Sequence[Group]) -> str:
    """What the intervals of a figure are, in words."""
    return interval_in_words(list(of_scale), at_shot(1, "segmented"))
