"""Tables in Markdown: the papers' numbers beside this study's own."""

import json
from collections.abc import Sequence
from pathlib import Path

from metamemory.study import papers
from metamemory.study.results import Group, by_scale
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


def percent(interval: Interval) -> str:
    """ "96.8 (96.1–97.4)": mean and 95 % interval in per cent; the space does not break."""
    return f"{100 * interval.mean:.1f}\N{NO-BREAK SPACE}({100 * interval.low:.1f}–{100 * interval.high:.1f})"


def table_1(root: Path = Path(".")) -> str:
    """Online few-shot learning on Omniglot, 5-way: the paper's Table 1 beside every scale that was run."""
    header = ["method", "whose", *(f"{shot}-shot, %" for shot in SHOTS), "data set", "seeds"]
    ours = _shown(root)
    rows = []
    for method in [
        *papers.TABLE_1_OMNIGLOT,
        *sorted({g.run.method for g in ours} - set(papers.TABLE_1_OMNIGLOT)),
    ]:
        reported = papers.TABLE_1_OMNIGLOT.get(method)
        if reported:
            numbers = [
                f"{100 * each.mean:.1f}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{100 * each.deviation:.1f}"
                for each in reported.values()
            ]
            rows.append([papers.title(method), "paper", *numbers, "Omniglot", "3"])
        of_method = [group for group in ours if group.run.method == method]
        for group in of_method:
            numbers = [percent(group.accuracy(shot)) for shot in SHOTS]
            whose = f"this study, {group.run.scale} scale"
            rows.append([papers.title(method), whose, *numbers, group.data, str(len(group.results))])
        if not of_method:
            rows.append([papers.title(method), "this study", *["not run"] * len(SHOTS), "–", "–"])
    return markdown(header, rows)


def cost_table(root: Path = Path(".")) -> str:
    """What each run took: size, episodes, operations, time, memory, and where."""
    header = [
        "method",
        "scale",
        "parameters",
        "FLOPs a step",
        "episodes",
        "training FLOPs",
        "minutes",
        "hardware",
    ]
    rows = []
    for group in _shown(root):
        for manifest in (result.manifest for result in group.results):
            rows.append(
                [
                    papers.title(group.run.method),
                    group.run.scale,
                    f"{manifest['parameters']:,}",
                    f"{manifest['flops_per_step'] / 1e6:,.2f} M",
                    f"{manifest['training_episodes']:,}",
                    f"{manifest['training_flops'] / 1e15:.3f} P",
                    f"{manifest['training_seconds'] / 60:.1f}",
                    manifest["hardware"],
                ]
            )
    return markdown(header, rows)


def _shown(root: Path) -> list[Group]:
    return [group for groups in by_scale("online_few_shot", root).values() for group in groups]


def speed_table(root: Path = Path(".")) -> str:
    """The ratios that `make bench` measured, with where and on what; a hint where it has not been run."""
    path = root / "results" / "speed" / "cpu.json"
    if not path.exists():
        return "Speed has not been measured here: `make bench`."
    report = json.loads(path.read_text())
    rows = [[row["what"], f"{row['ratio']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}"] for row in report["ratios"]]
    return (
        f"{markdown(['time of … / time of …', 'ratio', 'lowest to highest'], rows)}\n\n"
        f"Median ratio of {report['rounds']} rounds, each variant once a round. {report['shape']}; "
        f"{report['hardware']}, torch {report['torch']}."
    )


def verdict(group: Group) -> str:
    """How a group stands to the paper's Table 1, in words that claim no more than was run."""
    reported = papers.TABLE_1_OMNIGLOT.get(group.run.method)
    if reported is None:
        return "not in the paper"
    if group.run.scale != "paper" or group.data != "Omniglot":
        return "not comparable: reduced size"
    missed = [shot for shot in SHOTS if group.accuracy(shot).high < reported[shot].mean - reported[shot].deviation]
    return f"below the paper at {', '.join(f'{shot}-shot' for shot in missed)}" if missed else "reproduced"


def print_report(root: Path = Path(".")) -> None:
    """Both tables on the terminal."""
    print("Online few-shot learning, 5-way (Babu et al. 2021, Table 1)")
    print("this study: mean and 95 % bootstrap interval, over seeds, or over test episodes of a single seed\n")
    print(table_1(root), end="\n\n")
    if _shown(root):
        print(cost_table(root))
    else:
        print("Nothing has been run: `make study`, or `python -m metamemory run online_few_shot --method cl_lstm`")
