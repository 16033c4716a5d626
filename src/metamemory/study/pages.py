"""What the pages of the book display, so that their cells stay short and every number comes from results/."""

import matplotlib.pyplot as plt
from IPython.display import Markdown, display
from matplotlib.figure import Figure

from metamemory.papers.babu2021 import reported as papers
from metamemory.study.results import Group
from metamemory.study.tables import SHOTS, hardware_of, minutes_of, percent, verdict


def show(figure: Figure, caption: str) -> None:
    """A figure with its caption under it."""
    display(figure)
    plt.close(figure)
    display(Markdown(f"*{caption}*"))


def label_of(groups: list[Group]) -> str:
    """Scale, data set and seeds of groups of one scale, which need not have as many seeds."""
    seeds = sorted({len(group.results) for group in groups})
    if len(seeds) == 1:
        return groups[0].label
    return f"{groups[0].run.scale} scale, {groups[0].data}, {seeds[0]} to {seeds[-1]} seeds"


def interval_of(groups: list[Group]) -> str:
    """What the intervals of a figure are, in words."""
    kinds = {group.accuracy(1).over for group in groups}
    count = groups[0].results[0].manifest["test_episodes"]
    return f"95 % bootstrap intervals over {' or '.join(sorted(kinds))}, {count:,} test episodes a seed"


def findings(groups: list[Group]) -> str:
    """One sentence a method, in Markdown: its accuracies, its budget, how it stands to the paper."""
    lines = []
    for group in groups:
        numbers = ", ".join(f"{shot}-shot {percent(group.accuracy(shot))} %" for shot in SHOTS)
        manifest = group.results[0].manifest
        budget = "No training"
        if episodes := manifest["training_episodes"]:
            budget = f"{episodes:,} episodes in {minutes_of(group)} minutes on {hardware_of(group)}"
        lines.append(f"- **{papers.title(group.run.method)}**: {numbers}. {budget}. {_state(group)}")
    return "\n".join(lines)


def _state(group: Group) -> str:
    """Whether the learner came off the plateau on which it names characters by chance."""
    if not group.results[0].history:
        return f"{verdict(group).capitalize()}."
    plateau = "It has not left the plateau of chance. " if group.accuracy(5).mean < 0.4 else ""
    return f"{plateau}{verdict(group).capitalize()}."


def ordering(groups: list[Group]) -> str:
    """How far CL+LSTM is from the LSTM at each shot, here and in the paper, in points of a per cent."""
    by_method = {group.run.method: group for group in groups}
    if not {"cl_lstm", "lstm"} <= set(by_method):
        return ""
    ours, theirs, reported = [], [], papers.TABLE_1["omniglot"]
    for shot in SHOTS:
        here = by_method["cl_lstm"].accuracy(shot).mean - by_method["lstm"].accuracy(shot).mean
        there = reported["cl_lstm"][shot].mean - reported["lstm"][shot].mean
        ours.append(f"{100 * here:+.1f}")
        theirs.append(f"{100 * there:+.1f}")
    episodes = [by_method[method].results[0].manifest["training_episodes"] for method in ("cl_lstm", "lstm")]
    return (
        f"CL+LSTM against the LSTM, in points of accuracy at {', '.join(map(str, SHOTS))} shots: {', '.join(ours)}; "
        f"in the paper {', '.join(theirs)}. They were trained on {episodes[0]:,} and {episodes[1]:,} episodes. "
        + (
            ""
            if by_method["cl_lstm"].comparable
            else "At this size and budget **the paper's ordering is not decided**."
        )
    )
