"""Table 5 of Babu et al. 2021 beside this study's own numbers, and what may be said of them."""

from pathlib import Path
from typing import NamedTuple

import torch

from metamemory.models import build
from metamemory.papers.babu2021 import reported as papers
from metamemory.study.results import Group, at_the_largest_scale, groups
from metamemory.study.tables import hardware_of, markdown, minutes_of, percent, standing
from metamemory.training.flops import flops_per_step

EXPERIMENT = "supervised_learning"
DATA = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}  # settings


class Reported(NamedTuple):
    """A row of the paper's Table 5: millions of parameters, and test accuracy by setting as a share of 1."""

    parameters: float
    accuracy: dict[str, float]


def _row(parameters: float, cifar10: float, cifar100: float) -> Reported:
    return Reported(parameters, {"cifar10": round(cifar10 / 100, 3), "cifar100": round(cifar100 / 100, 3)})


# Babu, Savarese and Maire 2021, Table 5: averages over 3 runs, given without deviation.
TABLE_5 = {
    "vgg11": _row(9.2, 91.5, 66.9),
    "cl_vgg11_050": _row(20.0, 91.5, 67.3),
    "cl_vgg11_035": _row(9.5, 90.7, 64.3),
    "resnet20": _row(0.3, 91.9, 68.1),
    "cl_resnet20_050": _row(0.6, 90.9, 63.2),
    "cl_resnet20_035": _row(0.3, 89.5, 58.8),
}
PLAIN = {
    "cl_vgg11_050": "vgg11",
    "cl_vgg11_035": "vgg11",
    "cl_resnet20_050": "resnet20",
    "cl_resnet20_035": "resnet20",
}
MARGIN = 0.01  # of accuracy: "comparably" is taken to mean at most so much below the plain network


def sizes_table() -> str:
    """What the networks are made of at full size, counted from the code: for 32x32 images and ten classes."""
    rows = []
    for method, reported in TABLE_5.items():
        with torch.device("meta"):
            learner = build(method, (3, 32, 32), 10, 1, {})
        count = sum(each.numel() for each in learner.parameters())
        flops = flops_per_step(learner, (3, 32, 32))
        rows.append(
            [
                papers.title(method),
                f"{reported.parameters:.1f}",
                f"{count / 1e6:.2f}",
                f"{learner.used_parameters / 1e6:.2f}",
                f"{flops / 1e6:.0f}",
            ]
        )
    header = ["network", "parameters, paper, M", "parameters, M", "with a part in the answer, M", "MFLOPs an image"]
    return markdown(header, rows)


def table_5(setting: str, root: Path = Path(".")) -> str:
    """Test accuracy on one data set: the paper's row, and below it this study's at every scale that was run."""
    rows = []
    for method, reported in TABLE_5.items():
        name = papers.title(method)
        paper = [f"{reported.parameters:.1f}", "–", "–", f"{100 * reported.accuracy[setting]:.1f}", "3"]
        rows.append([name, "paper", *paper])
        ours = groups(EXPERIMENT, setting, root, method)
        for group in ours:
            manifest = group.results[0].manifest
            rows.append(
                [
                    name,
                    f"{group.run.scale} scale, {group.data}",
                    f"{manifest['parameters'] / 1e6:.2f}",
                    f"{manifest['used_parameters'] / 1e6:.2f}",
                    f"{manifest['flops_per_step'] / 1e6:.1f}",
                    percent(group.accuracy(0)),
                    str(len(group.results)),
                ]
            )
        if not ours:
            rows.append([name, "this study", *["not run"] * 4, "–"])
    header = ["network", "whose", "parameters, M", "with a part, M", "MFLOPs an image", "accuracy, %", "seeds"]
    return markdown(header, rows)


def claims_table(root: Path = Path(".")) -> str:
    """How far each CL network is from the plain one, in the paper and here, at the largest scale at which both are.

    "Comparable" is decided by intervals: reproduced where the CL network's lies no more than MARGIN below the plain
    one's, not reproduced where it lies farther below.
    """
    rows = []
    for setting, data in DATA.items():
        for method, plain in PLAIN.items():
            paper = TABLE_5[method].accuracy[setting] - TABLE_5[plain].accuracy[setting]
            ours, verdict = _difference(*(groups(EXPERIMENT, setting, root, each) for each in (method, plain)))
            what = f"{papers.title(method)} is comparable to {papers.title(plain)}, {data}"
            rows.append([what, f"{100 * paper:+.1f}", _comparable(paper), ours, verdict])
    header = ["claim", "paper, points", "so by the paper's numbers", "this study, points", "verdict"]
    return markdown(header, rows)


def _comparable(difference: float) -> str:
    return "yes" if round(difference, 4) >= -MARGIN else "no"


def _difference(*sides: list[Group]) -> tuple[str, str]:
    """Our own difference in points of a per cent, with its scale; and what may be said of it."""
    found = at_the_largest_scale(*sides)
    if found is None:
        return "not run", "not run"
    ours, plain = found
    return standing([(ours.accuracy(0), plain.accuracy(0))], ours, MARGIN)


def findings(shown: list[Group]) -> str:
    """One sentence a network, in Markdown: its accuracy, its budget."""
    lines = []
    for group in shown:
        manifest = group.results[0].manifest
        passes = manifest["training_episodes"] / manifest["training_images"]
        lines.append(
            f"- **{papers.title(group.run.method)}**: {percent(group.accuracy(0))} %. "
            f"{passes:.0f} times {manifest['training_images']:,} images in {minutes_of(group)} minutes on "
            f"{hardware_of(group)}."
        )
    return "\n".join(lines)


def in_order_of_the_paper(shown: list[Group]) -> list[Group]:
    """As the rows of Table 5; what is not in it after them."""
    place = {method: index for index, method in enumerate(TABLE_5)}
    return sorted(shown, key=lambda group: place.get(group.run.method, len(place)))
