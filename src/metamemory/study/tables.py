"""Tables in Markdown: the papers' numbers beside this study's own."""

import json
from collections.abc import Mapping, Sequence
from operator import ge, gt
from pathlib import Path
from typing import Any, NamedTuple

from metamemory.papers.babu2021 import reported as papers
from metamemory.papers.babu2021.reported import Claim, Reported
from metamemory.study.results import Group, Result, at_the_largest_scale, groups
from metamemory.training.statistics import Interval

SHOTS = (1, 5, 8)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded so that it reads as plain text too; numbers to the right."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    right = [all(cell[:1].isdigit() or cell in ("", "–") for cell in column[1:]) for column in columns]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(cells, widths, right, strict=True)
        ]
        return f"| {' | '.join(padded)} |"

    rule = [("-" * (width - 1) + ":") if flush else "-" * width for width, flush in zip(widths, right, strict=True)]
    return "\n".join([line(header), line(rule), *(line(row) for row in rows)])


def percent(interval: Interval, space: str = "\N{NO-BREAK SPACE}") -> str:
    """ "96.8 (96.1–97.4)": mean and 95 % interval in per cent. In a wide table `space` is one that breaks."""
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
    return " or ".join(sorted({result.manifest["hardware"] for result in group.results}))


class Row(NamedTuple):
    """A row of a paper's table.

    Attributes:
        name: what the row is called, a cell each.
        reported: the paper's numbers by shot; empty where it "fails to train", None where it is not in the paper.
        ours: this study's runs of it.
    """

    name: tuple[str, ...]
    reported: Mapping[int, Reported] | None
    ours: list[Group]


def comparison(header: Sequence[str], shots: Sequence[int], rows: Sequence[Row], runs_of_paper: int) -> str:
    """The paper's row, and below it this study's at every scale that was run; what was not run says so."""
    lines = []
    for row in rows:
        if row.reported is not None:
            numbers = [_reported(row.reported[shot]) if row.reported else "fails to train" for shot in shots]
            lines.append([*row.name, "paper", *numbers, str(runs_of_paper)])
        for group in row.ours:
            numbers = [percent(group.accuracy(shot)) for shot in shots]
            whose = f"{group.run.scale} scale, {group.data}"
            lines.append([*row.name, whose, *numbers, str(len(group.results))])
        if not row.ours:
            lines.append([*row.name, "this study", *["not run"] * len(shots), "–"])
    return markdown([*header, "whose", *(f"{shot}-shot, %" for shot in shots), "seeds"], lines)


def _reported(number: Reported) -> str:
    return f"{100 * number.mean:.1f}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{100 * number.deviation:.1f}"


def table_1(setting: str = "omniglot", root: Path = Path(".")) -> str:
    """Online few-shot learning, 5-way, on one data set: the paper's methods, then those beyond it."""
    paper = papers.TABLE_1[setting]
    ours = groups("online_few_shot", setting, root)
    methods = [*paper, *sorted({group.run.method for group in ours} - set(paper))]
    rows = [
        Row((papers.title(method),), paper.get(method), [each for each in ours if each.run.method == method])
        for method in methods
    ]
    return comparison(["method"], SHOTS, rows, runs_of_paper=3)


INJECTED = {  # setting of `label_injection` -> where labels are shown
    "lstm": "LSTM",
    "cl1": "CL-1",
    "all_cl": "CL-1 to CL-4",
    "all_cl_lstm": "CL-1 to CL-4, LSTM",
    "none": "nowhere",
}


def table_2(root: Path = Path(".")) -> str:
    """Where labels are shown, on Omniglot: the rows of the paper's Table 2, then the places beyond it."""
    addresses = [*papers.TABLE_2, *(("label_injection", "cl_lstm", setting) for setting in INJECTED)]
    rows = []
    for experiment, method, setting in dict.fromkeys(addresses):
        pretrained = "MAML" if method.startswith("cnn") else "–"
        where = INJECTED.get(setting, "CL-1, LSTM" if method == "cl_lstm" else "LSTM")
        ours = groups(experiment, setting, root, method)
        reported = papers.TABLE_2.get((experiment, method, setting))
        rows.append(Row((papers.title(method), pretrained, where), reported, ours))
    return comparison(["method", "pre-training", "labels shown to"], SHOTS, rows, runs_of_paper=3)


def table_3(data: str = "cifar_fs", root: Path = Path(".")) -> str:
    """Delayed labels: CL+LSTM trained at a delay from the start, or first at a delay of 1; on one data set. Omniglot,
    which the paper does not have here, comes with a longer delay."""
    rows, longer = [], {(10, True): None} if data == "omniglot" else {}
    for (delay, pretrained), reported in {**papers.TABLE_3, **longer}.items():
        setting = f"{data}_delay_{delay}{'_pretrained' if pretrained else ''}"
        name = (str(delay), "at a delay of 1" if pretrained else "–")
        rows.append(Row(name, reported if data == "cifar_fs" else None, groups("delayed_labels", setting, root)))
    return comparison(["delay", "pre-training"], (6, 7, 8), rows, runs_of_paper=2)


def claims_table(
    root: Path = Path("."), claims: Sequence[Claim] = papers.CLAIMS, counted: str = "shots", first: int = 0
) -> str:
    """What a paper concludes, and how it stands here, at the largest scale at which both runs are. Shots can be
    `counted` under another name, from `first` on."""
    lines = []
    for claim in claims:
        shots = list(claim.differences)
        paper = ", ".join(f"{100 * difference:+.1f}" for difference in claim.differences.values())
        ours, verdict = _difference(claim, shots, root)
        lines.append([claim.text, ", ".join(str(first + shot) for shot in shots), paper, ours, verdict])
    return markdown(["claim", counted, "paper, points", "this study, points", "verdict"], lines)


def _difference(claim: Claim, shots: Sequence[int], root: Path) -> tuple[str, str]:
    """Our own difference in points of a per cent, with its scale; and what may be said."""
    sides = (groups(experiment, setting, root, method) for experiment, method, setting in (claim.better, claim.worse))
    found = at_the_largest_scale(*sides)
    if found is None:
        return "not run", "not run"
    better, worse = found
    return standing([(better.accuracy(shot), worse.accuracy(shot)) for shot in shots], better)


def standing(ends: Sequence[tuple[Interval, Interval]], group: Group, margin: float = 0.0) -> tuple[str, str]:
    """Of a claim that the first of each pair is above the second, or no more than `margin` below it: the differences in
    points of a per cent, with the scale and data of `group`, which is one of the two; and what may be said."""
    points = ", ".join(f"{100 * (above.mean - below.mean):+.1f}" for above, below in ends)
    shown = f"{points} ({group.run.scale} scale, {group.data})"
    seeds = "" if all(each.over == "seeds" for pair in ends for each in pair) else ", one seed"
    holds = ge if margin else gt  # a margin allows its own end
    if all(holds(above.low, below.high - margin) for above, below in ends):
        decided, reduced = "reproduced", "it holds"
    elif any(above.high < below.low - margin for above, below in ends):
        decided, reduced = "not reproduced", "it does not hold"
    else:
        decided, reduced, seeds = "not decided: intervals overlap", "intervals overlap", ""
    return shown, f"{decided}{seeds}" if group.comparable else f"not decided: at reduced size {reduced}{seeds}"


def recipe_table(root: Path = Path(".")) -> str:
    """What each change of the training recipe does: accuracy at the end, and each seed's way there."""
    rows = []
    for group in groups("recipe", None, root):
        reached = [result.manifest["stages_reached"] for result in group.results]  # "4 of 6"
        last = int(reached[0].split()[-1])
        rows.append(
            [
                group.run.setting.replace("_", " "),
                percent(group.accuracy(1)),
                percent(group.accuracy(5)),
                ", ".join(f"{100 * result.by_shot[5]['accuracy']:.1f}" for result in group.results),
                *(", ".join(_stage_at(result.history, stage) for result in group.results) for stage in (2, last)),
                f"{', '.join(each.split()[0] for each in reached)} of {last}",
            ]
        )
    rows.sort(key=lambda row: (row[0] != "as it is", -float(row[2].partition("\N{NO-BREAK SPACE}")[0])))
    header = ["changed", "1-shot, %", "5-shot, %", "each seed", "second stage at", "last stage at", "stage at the end"]
    return markdown(header, rows) if rows else "Not run: `dvc repro recipe`."


def _stage_at(history: Sequence[Mapping[str, float]], stage: int) -> str:
    """ "39k": after how many thousand episodes a training first was at a stage of its curriculum; – if never."""
    return next((f"{row['episodes'] / 1000:.0f}k" for row in history if row["stage"] >= stage), "–")


def record_table(root: Path = Path(".")) -> str:
    """How long CL+LSTM took to which accuracy, run by run, as speed records are reported."""
    rows = []
    for group in groups("online_few_shot", "omniglot", root, "cl_lstm"):
        for result in group.results:
            manifest, history = result.manifest, result.history
            first = {mark: first_at(history, mark) for mark in RECORD_MARKS}
            shot = result.by_shot[5]
            rows.append(
                [
                    f"{group.run.scale}, seed {result.run.seed}",
                    percent(Interval(shot["accuracy"], shot["low"], shot["high"], over="episodes")),
                    f"{manifest['training_seconds'] / 60:.1f}",
                    *(f"{row['seconds'] / 60:.1f}" if row else "–" for row in first.values()),
                    f"{manifest['training_episodes']:,}",
                    _petaflop(manifest),
                    manifest["hardware"],
                ]
            )
    until = [f"to {mark:.0%}" for mark in RECORD_MARKS]
    header = ["run", "5-shot, %", "minutes", *until, "episodes", "PFLOP", "on"]
    return markdown(header, rows) if rows else "Not run: `make study`."


RECORD_MARKS = (0.8, 0.85, 0.9)  # of 5-shot accuracy


def first_at(history: list[dict[str, float]], mark: float) -> dict[str, float] | None:
    """The first row of a learning curve whose 5-shot accuracy is at least `mark`."""
    return next((row for row in history if row["accuracy_5_shot"] >= mark), None)


def _petaflop(*manifests: Mapping[str, Any]) -> str:
    """What the training took, in 10^15 operations; – where its number of steps is not on record."""
    flops = [manifest["training_flops"] for manifest in manifests]
    return span([each / 1e15 for each in flops if each is not None], 3)


def cost_table(root: Path = Path(".")) -> str:
    """What the runs of a method took: size, episodes, operations, time, and where; from the least to the most where
    seeds differ."""
    header = ["method", "scale, data set", "seeds", "parameters", "MFLOPs a step", "episodes"]
    header += ["training, PFLOP", "minutes", "episodes/s", "hardware"]
    rows = []
    for group in groups("online_few_shot", None, root):
        manifests = [result.manifest for result in group.results]
        trained = [manifest for manifest in manifests if manifest["training_episodes"]]
        rates = [manifest["training_episodes"] / max(manifest["training_seconds"], 1e-9) for manifest in trained]
        rows.append(
            [
                papers.title(group.run.method),
                f"{group.run.scale}, {group.data}",
                str(len(manifests)),
                f"{manifests[0]['parameters']:,}",
                f"{manifests[0]['flops_per_step'] / 1e6:,.2f}",
                f"{manifests[0]['training_episodes']:,}",
                _petaflop(*trained),
                span([manifest["training_seconds"] / 60 for manifest in trained], 1),
                span(rates, 0),
                hardware_of(group),
            ]
        )
    return markdown(header, rows)


def _speed(root: Path) -> dict[str, Any] | None:
    """What `make bench` wrote; None where it has not been run."""
    path = root / "results" / "speed" / "cpu.json"
    return json.loads(path.read_text()) if path.exists() else None


def speed_table(root: Path = Path(".")) -> str:
    """The ratios that `make bench` measured, with where and on what; a hint where it has not been run."""
    report = _speed(root)
    if report is None:
        return "Speed has not been measured here: `make bench`."
    signs = str.maketrans({"<": "≤", ">": "≥", "=": None})
    rows = [
        [row["what"], f"{row['ratio']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}", row["target"].translate(signs)]
        for row in report["ratios"]
    ]
    memory = report["long_episode"]["gigabytes"]
    return (
        f"{markdown(['time of … / time of …', 'ratio', 'lowest to highest', 'aim'], rows)}\n\n"
        f"Median ratio of {report['rounds']} rounds, each variant once a round. {report['shape']}; "
        f"{report['hardware']}, torch {report['torch']}. A process that trains CL+LSTM of that size on an episode of "
        f"{report['long_episode']['steps']} steps takes {memory['float32']:.1f} GB, with products in bfloat16 "
        f"{memory['bfloat16']:.1f} GB.{_on_gpu(report)}"
    )


def _on_gpu(report: Mapping[str, Any]) -> str:
    """What `make bench` measured on a GPU, if there was one."""
    if "gpu" not in report:
        return ""
    gpu = report["gpu"]
    return (
        f"\n\n{gpu['hardware']}, torch {gpu['torch']}: a training iteration of that size on {gpu['batch']} episodes is "
        f"{gpu['plain / fast']:.1f} times as fast as the plain loop in bfloat16 autocast, and multiplies at "
        f"{100 * gpu['share of the bfloat16 peak']:.0f} % of the rate of a product of two large matrices. Both launch "
        "their kernels one by one; training replays them as one CUDA graph."
    )


def online_table(root: Path = Path(".")) -> str:
    """What each learner costs at full size, as `make bench` measured it: training, as a multiple of CL+LSTM's time; a
    step online, as an episode grows to 1,000 steps."""
    report = _speed(root)
    if report is None:
        return "Not measured here: `make bench`."
    rows = [
        [
            papers.title(name),
            f"{each['training']:.2f}" if "training" in each else "–",
            *(f"{each[f'milliseconds_{moment}']:.2f}" for moment in ("early", "late")),
            *(f"{each[f'kilobytes_{moment}']:,.1f}" for moment in ("early", "late")),
        ]
        for name, each in sorted(report["online"].items(), key=lambda item: item[1]["milliseconds_early"])
    ]
    training = "training, times CL+LSTM"
    header = ["method", training, "ms a step, early", "after 1,000 steps", "state, kB, early", "after 1,000 steps"]
    return (
        f"{markdown(header, rows)}\n\n28×28, 5-way, full size. Training: forward and backward of a batch of episodes "
        f"({report['shape'].partition(';')[0]}), median of {report['rounds']} rounds beside CL+LSTM, both in float32; "
        f"– where it was not measured, or there is nothing to train. Steps: one stream, batch 1. {report['hardware']}."
    )


def parts_table(result: Result, shot: int = 5) -> str:
    """What the memory of each part of a CL+LSTM is worth: accuracy at one shot with its state reset, and frozen."""
    whole, shown = result.by_shot[shot]["accuracy"], result.example
    rows = [["none", *[f"{100 * whole:.1f}"] * 2]]
    rows += [
        [part, *(f"{100 * shown[kind][part][shot]:.1f}" for kind in ("reset", "frozen"))] for part in shown["reset"]
    ]
    frozen = f"{shot}-shot, %, it frozen from step {shown['frozen_after']} on"
    return markdown(["part altered", f"{shot}-shot, %, its state reset before every step", frozen], rows)


def verdict(group: Group) -> str:
    """How a group stands to the paper's Table 1, in words that claim no more than was run."""
    reported = papers.TABLE_1.get(group.run.setting, {}).get(group.run.method)
    if not reported:
        return "not in the paper's table"
    if not group.comparable:
        return "not comparable: reduced size"
    apart = {
        "below": [shot for shot in SHOTS if group.accuracy(shot).high < reported[shot].mean - reported[shot].deviation],
        "above": [shot for shot in SHOTS if group.accuracy(shot).low > reported[shot].mean + reported[shot].deviation],
    }
    said = [
        f"{side} the paper at {', '.join(f'{shot}-shot' for shot in shots)}" for side, shots in apart.items() if shots
    ]
    return "; ".join(said) or "as in the paper"
