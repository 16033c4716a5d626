"""Table 5 of Babu et al. 2021 beside this study's own numbers, and what may be said of them."""

from pathlib import Path

import torch

from metamemory.models import TaskDescription
from metamemory.papers.babu2021.cost import at_full_size
from metamemory.papers.babu2021.reported import TABLE_5
from metamemory.study.claims import Claim, points
from metamemory.study.methods import title
from metamemory.study.quantities import Measured, at_shot
from metamemory.study.results import Group, groups
from metamemory.study.tables import best_in_bold, hardware_of, markdown, minutes_of, percent, whose
from metamemory.training.flops import flops_per_step

EXPERIMENT = "supervised_learning"
DATA = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}  # settings
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
            learner = at_full_size(method, TaskDescription((3, 32, 32), 10))
        count = sum(each.numel() for each in learner.parameters())
        flops = flops_per_step(learner, (3, 32, 32))
        rows.append(
            [
                title(method),
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
        name = title(method)
        paper = [f"{reported.parameters:.1f}", "–", "–", str(reported.accuracy[setting]), "3"]
        rows.append([name, "paper", *paper])
        ours = groups(EXPERIMENT, setting, root, method)
        for group in ours:
            manifest = group.results[0].manifest
            rows.append(
                [
                    name,
                    whose(group),
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
    return markdown(header, best_in_bold(rows, [header.index("accuracy, %")], header.index("whose")))


def _claim(method: str, setting: str) -> Claim:
    """That a CL network is comparable to the plain one. Decided by intervals: reproduced where the CL network's lies no
    more than MARGIN below the plain one's, not reproduced where it lies farther below."""
    plain = PLAIN[method]
    paper = TABLE_5[method].accuracy[setting].mean - TABLE_5[plain].accuracy[setting].mean
    return Claim(
        f"{title(method)} is comparable to {title(plain)}, {DATA[setting]}",
        paper=points([paper]),
        reported=[paper],
        pairs=[tuple(Measured(EXPERIMENT, each, setting, at_shot(0)) for each in (method, plain))],
        margin=MARGIN,
        cells={"so by the paper's numbers": "yes" if round(paper, 4) >= -MARGIN else "no"},
    )


def claims() -> list[Claim]:
    """That "CL variants perform comparably in most cases" (section 4.5)."""
    return [_claim(method, setting) for setting in DATA for method in PLAIN]


CLAIM_COLUMNS = ("claim", "paper, points", "so by the paper's numbers", "this study, points", "verdict")


def findings(shown: list[Group]) -> str:
    """What each network was trained with, a row a network."""
    rows = []
    for group in shown:
        manifest = group.results[0].manifest
        passes = manifest["training_episodes"] / manifest["training_images"]
        trained = f"{passes:.0f} × {manifest['training_images']:,}"
        rows.append([title(group.run.method), trained, minutes_of(group), hardware_of(group)])
    return markdown(["network", "passes × training images", "minutes", "hardware"], rows)


def in_order_of_the_paper(shown: list[Group]) -> list[Group]:
    """As the rows of Table 5; what is not in it after them."""
    place = {method: index for index, method in enumerate(TABLE_5)}
    return sorted(shown, key=lambda group: place.get(group.run.method, len(place)))
