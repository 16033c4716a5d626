"""Tables and figures of the memory-augmented networks: Santoro et al. 2016 beside this study's own runs."""

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from metamemory.papers.babu2021 import reported as papers
from metamemory.papers.santoro2016 import reported as santoro_papers
from metamemory.papers.santoro2016.reported import INSTANCES
from metamemory.study import figures, tables
from metamemory.study.results import Group, Result, groups
from metamemory.study.tables import hardware_of, markdown, minutes_of, percent

SHADES = plt.get_cmap("viridis")
NOT_RUN = "Not run: `dvc repro {}`."
LEFT = 0.1  # above chance at the fifth instance: a learner that is better has left the plateau
UNTAUGHT = ("feedforward", "autoencoder_neighbour")  # learners for which there is no plateau to leave


def title(method: str) -> str:
    return santoro_papers.TITLES.get(method) or papers.title(method)


def _instance(group: Group, instance: int) -> str:
    """Accuracy in per cent with its interval, which may break below it: there are many columns. A dash where no test
    episode had so many of a class."""
    if any(len(result.by_shot) < instance for result in group.results):
        return "–"
    return percent(group.accuracy(instance - 1), " ")


def _rows(name: Sequence[str], whose: str, numbers: Sequence[str], seeds: str) -> list[str]:
    return [*name, whose, *numbers, seeds]


def _comparison(paper: dict[str, dict[int, float]], ours: Sequence[Group]) -> list[list[str]]:
    """The rows of the paper, then those of what else was run."""
    lines, beyond = [], {group.run.method: None for group in ours if group.run.method not in paper}
    for method in (*paper, *beyond):
        if paper.get(method):
            reported = [f"{100 * paper[method][each]:.1f}" for each in INSTANCES]
            lines.append(_rows([title(method)], "paper", reported, "–"))
        own = [group for group in ours if group.run.method == method]
        for group in own:
            numbers = [_instance(group, each) for each in INSTANCES]
            whose = f"{group.run.scale} scale, {group.data}"
            lines.append(_rows([title(method)], whose, numbers, str(len(group.results))))
        if not own and method != "human":
            lines.append(_rows([title(method)], "this study", ["not run"] * len(INSTANCES), "–"))
    return lines


def _header(*names: str) -> list[str]:
    ordinals = {1: "1st", 2: "2nd", 3: "3rd"}
    return [*names, "whose", *(f"{ordinals.get(each, f'{each}th')}, %" for each in INSTANCES), "seeds"]


def table_1(root: Path = Path(".")) -> str:
    """Five classes, one-hot labels, by instance: the paper, this study, and public code."""
    paper = santoro_papers.TABLE_1
    lines = _comparison(paper, groups("mann_classification", "five", root))
    for repository, methods in santoro_papers.PUBLIC.items():
        for method, reported in methods.items():
            numbers = [f"{100 * reported[each]:.1f}" for each in INSTANCES]
            lines.append(_rows([title(method)], f"github.com/{repository}", numbers, "–"))
    return markdown(_header("method"), lines)


def table_2(setting: str, root: Path = Path(".")) -> str:
    """Labels of five characters, by instance; `setting` is "five" or "fifteen"."""
    paper = santoro_papers.TABLE_2[setting]
    return markdown(_header("method"), _comparison(paper, groups("mann_strings", setting, root)))


def claims_table(root: Path = Path(".")) -> str:
    """What the paper concludes from both tables, and how it stands here, by instance."""
    return tables.claims_table(root, santoro_papers.CLAIMS, "instances", first=1)


def plateau(shown: Sequence[Group], chance: float) -> str:
    """How many seeds of each method have left the plateau of chance, and when: Markdown lines."""
    lines = []
    for group in (each for each in shown if each.results[0].history and each.run.method not in UNTAUGHT):
        left = [_left_at(result, chance) for result in group.results]
        when = ", ".join("not" if at is None else f"at {at:,.0f} episodes" for at in left)
        count = sum(at is not None for at in left)
        budget = f"{group.results[0].manifest['training_episodes']:,} episodes in {minutes_of(group)} minutes"
        lines.append(
            f"- **{title(group.run.method)}** ({group.run.scale} scale, {budget} on {hardware_of(group)}): "
            f"{count} of {len(left)} seeds left the plateau ({when})."
        )
    return "\n".join(lines) if lines else ""


def _left_at(result: Result, chance: float) -> float | None:
    """Episodes after which the fifth instance was first well above chance in validation."""
    above = (row["episodes"] for row in result.history if row["accuracy_instance_5"] > chance + LEFT)
    return next(above, None)


def memory_table(root: Path = Path(".")) -> str:
    """Slots against classes, and the decay of usage: accuracy by instance."""
    shown = groups("mann_memory", None, root)
    if not shown:
        return NOT_RUN.format("mann_memory")
    rows = []
    for group in shown:
        config = group.results[0].manifest["configuration"]
        model, task = config.get("model", {}), config["task"]
        rows.append(
            [
                str(task["n_way"]),
                str(model.get("slots", 128)),
                f"{model.get('decay', 0.99):g}",
                *(_instance(group, each) for each in (1, 2, 5, 10)),
                f"{group.run.scale} scale, {group.data}",
            ]
        )
    rows.sort(key=lambda row: (row[-1], int(row[0]), int(row[1]), row[2]))
    return markdown(["classes", "slots", "decay", "1st, %", "2nd, %", "5th, %", "10th, %", "whose"], rows)


def learning_curves(shown: Sequence[Group], instances: Sequence[int] = (1, 2, 5, 10)) -> Figure:
    """Figure 2: validation accuracy by instance against episodes trained on; one panel a method, a line a seed."""
    shown = [group for group in shown if group.results[0].history]
    figure, panels = plt.subplots(
        1, len(shown), figsize=(3.6 * len(shown) + 0.8, 3.5), sharey=True, squeeze=False
    )  # fmt: skip
    for axes, group in zip(panels[0], shown, strict=True):
        for place, instance in enumerate(instances):
            tint, label = _shade(place, len(instances)), f"instance {instance}"
            for result in group.results:
                _curve(axes, result, lambda row, k=instance: 100 * row[f"accuracy_instance_{k}"], tint, label)
                label = None
        axes.set_title(title(group.run.method), fontsize="medium", color=figures.colour(group.run.method))
        axes.set(xlabel="training episodes", ylim=(0, 102))
    panels[0, 0].set_ylabel("validation accuracy, %")
    panels[0, -1].legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    figure.tight_layout()
    return figure


def _curve(axes: Axes, result: Result, value: Callable[[dict], float], tint: Any, label: str | None) -> None:
    history = result.history
    axes.plot([row["episodes"] for row in history], [value(row) for row in history], color=tint, label=label, lw=1.4)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _shade(place: int, of: int) -> tuple:
    """From light to dark, in order."""
    return SHADES(0.85 - 0.85 * place / max(of - 1, 1))


def persistence(shown: Sequence[Group]) -> Figure:
    """Figure 3: accuracy by instance with the memory wiped between episodes and not; and by the episode's place in a
    row."""
    classes = sorted({group.results[0].manifest["configuration"]["task"]["n_way"] for group in shown})
    figure, panels = plt.subplots(
        len(classes), 3, figsize=(11.5, 3.1 * len(classes)), squeeze=False, sharey=True
    )  # fmt: skip
    for row, n_way in zip(panels, classes, strict=True):
        own = [each for each in shown if each.results[0].manifest["configuration"]["task"]["n_way"] == n_way]
        for group in own:
            wiped = group.results[0].manifest["configuration"]["rows"]["wiped"]
            style = {
                "linestyle": "--" if wiped else "-",
                "color": figures.MUTED if wiped else figures.colour(group.run.method),
            }
            name = "wiped" if wiped else "not wiped"
            for result in group.results:
                instance_2 = [(each["episodes"], 100 * each["accuracy_instance_2"]) for each in result.history]
                row[0].plot(*zip(*instance_2, strict=True), **style)
                row[1].plot(range(1, len(result.by_shot) + 1), [100 * each["accuracy"] for each in result.by_shot],
                            marker="o", markersize=4, label=name, **style)  # fmt: skip
                by_place = [np.mean(each[1:]) for each in result.example["by_place"]]
                places = range(1, len(by_place) + 1)
                row[2].plot(places, [100 * each for each in by_place], marker="o", markersize=4, **style)
                name = None
        row[0].xaxis.set_major_formatter(EngFormatter(sep=""))
        row[0].set(xlabel="rows of episodes trained on", ylabel=f"{n_way} classes: accuracy, %", ylim=(0, 102))
        row[0].set_title("2nd instance, validation", fontsize="medium")
        row[1].set(xlabel="instance")
        for axes in row[1:]:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        row[1].set_title("test, from a row's second episode on", fontsize="medium")
        row[1].legend(fontsize="small", title="memory", title_fontsize="small")
        row[2].set(xlabel="place of the episode in its row")
        row[2].set_title("test, instances 2 to 10", fontsize="medium")
    figure.tight_layout()
    return figure


def curriculum(seeds: Sequence[Result], instances: Sequence[int] = (1, 2, 5, 10)) -> Figure:
    """Figure 4: accuracy by instance while classes are added, and in tests with many more after; a line a seed."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True)
    steps = left.twinx()
    configuration = seeds[0].manifest["configuration"]
    classes = configuration["classes"]
    of_stage = [*(each["n_way"] for each in configuration["curriculum"]), *range(classes["first"], classes["last"] + 1)]
    for result in seeds:
        tested = {int(n_way): accuracy for n_way, accuracy in result.example["by_classes"].items()}
        for place, instance in enumerate(instances):
            tint, label = _shade(place, len(instances)), f"instance {instance}" if result is seeds[0] else None
            _curve(left, result, lambda row, k=instance: 100 * row[f"accuracy_instance_{k}"], tint, label)
            right.plot(list(tested), [100 * each[instance - 1] for each in tested.values()], marker="o", markersize=4,
                       color=tint, label=label)  # fmt: skip
        steps.step(
            *zip(*((row["episodes"], of_stage[int(row["stage"]) - 1]) for row in result.history), strict=True),
            where="post", color=figures.MUTED, linestyle=":",
        )  # fmt: skip
    steps.yaxis.set_major_locator(MaxNLocator(integer=True))
    steps.set_ylabel("classes in training (dotted)", color=figures.MUTED)
    steps.grid(False)
    steps.spines["right"].set_visible(True)
    left.set(xlabel="training episodes", ylabel="accuracy, %", ylim=(0, 102))
    left.set_title(f"validation, {classes['last']} classes", fontsize="medium")
    right.set(xlabel="classes in the test")
    right.set_title("test, without further training", fontsize="medium")
    right.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    return figure


def predictions(results: Sequence[Result]) -> Figure:
    """Figure 5: what each learner expects of a function of one variable after twenty values; band: two deviations."""
    figure, panels = plt.subplots(1, len(results), figsize=(3.6 * len(results), 3.2), sharey=True, squeeze=False)
    for axes, result in zip(panels[0], results, strict=True):
        shown, tint = result.example, figures.colour(result.run.method)
        place, mean, deviation = (np.array(shown[name]) for name in ("place", "mean", "deviation"))
        axes.fill_between(place, mean - 2 * deviation, mean + 2 * deviation, color=tint, alpha=0.2, linewidth=0)
        axes.plot(place, mean, color=tint, label="expected")
        axes.plot(place, shown["f"], color="black", linestyle=":", lw=1.2, label="the function")
        axes.plot(shown["x"], shown["y"], "o", color="black", markersize=4, label="values seen")
        axes.set_title(title(result.run.method), fontsize="medium", color=tint)
        axes.set(xlabel="x")
    # twice as high as the function, so that a learner that knows nothing cannot make it flat
    known = np.array(results[0].example["f"] + results[0].example["y"])
    panels[0, 0].set(ylabel="f(x)", ylim=(known.mean() - np.ptp(known), known.mean() + np.ptp(known)))
    panels[0, -1].legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    return figure


def log_likelihoods(by_setting: dict[str, Sequence[Group]]) -> Figure:
    """Figure 6: log-likelihood of the next value against values seen, one panel a number of dimensions."""
    figure, panels = plt.subplots(1, len(by_setting), figsize=(3.6 * len(by_setting) + 1, 3.4), squeeze=False)
    for axes, (name, shown) in zip(panels[0], by_setting.items(), strict=True):
        for group in shown:
            tint, label = figures.colour(group.run.method), title(group.run.method)
            for result in group.results:
                rows = result.by_shot
                shots = [row["shot"] for row in rows]
                axes.plot(shots, [row["log_likelihood"] for row in rows], color=tint, label=label)
                axes.fill_between(shots, *([row[end] for row in rows] for end in ("low", "high")), color=tint,
                                  alpha=0.2, linewidth=0)  # fmt: skip
                label = None
        axes.set(xlabel="values seen")
        axes.set_title(f"{name} dimension{'' if name == 'one' else 's'}", fontsize="medium")
    panels[0, 0].set_ylabel("log-likelihood of the next value, nats")
    panels[0, -1].legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    return figure


def _drawings(shown: dict[str, Any], steps: int) -> np.ndarray:
    """The first drawings of an episode side by side, [height, steps * width] in [0, 1]."""
    pixels = np.frombuffer(base64.b64decode(shown["x"]), dtype=np.uint8).reshape(shown["x_shape"])[:steps, 0] / 255
    return np.concatenate(list(pixels), axis=1)


def _strip(axes: Axes, shown: dict[str, Any], steps: int) -> None:
    """The drawings along the top, each over its step, with its label above it."""
    axes.imshow(_drawings(shown, steps), cmap="gray_r", extent=(-0.5, steps - 0.5, 0, 1), aspect="auto")
    for t, label in enumerate(shown["y"][:steps]):
        text = "".join("abcde"[each] for each in label) if isinstance(label, list) else str(label)
        axes.text(t, 1.08, text, ha="center", va="bottom", fontsize=7, rotation=90 if len(text) > 1 else 0)
    axes.set(yticks=[], ylabel="x")
    axes.tick_params(bottom=False)
    axes.grid(False)


def memory(result: Result, steps: int = 50) -> Figure:
    """What the memory did in one test episode: where it was written, where it was read, what counts as used.

    Slots are in the order in which they were first written to; those never written to are left out.
    """
    shown = result.example
    steps = min(steps, len(shown["y"]))
    maps = {
        name: np.frombuffer(base64.b64decode(shown["memory"][name]), dtype=np.float16)
        .reshape(shown["memory"]["shape"])[:steps]
        .astype(float)
        for name in ("writing", "reading", "usage")
    }
    strongly = maps["writing"] > 0.5
    first = np.where(strongly.any(axis=0), strongly.argmax(axis=0), steps)
    order = np.argsort(first, kind="stable")[: int((first < steps).sum()) or 1]
    slots = maps["reading"].shape[1]
    panels = {
        "where it writes": maps["writing"],
        "where it reads, times the mean": maps["reading"] / maps["reading"].mean(axis=1, keepdims=True),
        "usage": maps["usage"],
    }
    figure, rows = plt.subplots(
        4,
        1,
        figsize=(0.2 * steps + 1.6, 8.2),
        sharex=True,
        gridspec_kw={"height_ratios": [0.5, 2, 2, 2], "hspace": 0.3},
    )
    _strip(rows[0], shown, steps)
    for axes, (name, values) in zip(rows[1:], panels.items(), strict=True):
        cells = values[:, order].T
        low = 1 if "mean" in name else 0
        drawn = axes.imshow(cells, cmap="magma_r", vmin=low, aspect="auto", interpolation="nearest")
        axes.set(ylabel="slot")
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_title(name, loc="left", fontsize="medium")
        axes.grid(False)
        figure.colorbar(drawn, ax=axes, pad=0.01, fraction=0.02)
    figure.colorbar(drawn, ax=rows[0], pad=0.01, fraction=0.02).ax.set_visible(False)
    rows[0].set_title(f"{len(order)} of {slots} slots are written to", loc="right", fontsize="small", y=1.3)
    rows[-1].set_xlabel("step")
    rows[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def retrieval(result: Result, steps: int = 50) -> Figure:
    """How much is read at each step of what was stored at each step before, times the mean over the memory; frames:
    steps at which a drawing of the same class was seen (blue), and the steps after, at which its label came
    (orange)."""
    shown = result.example
    steps = min(steps, len(shown["y"]))
    share = np.array([[np.nan if each is None else each for each in row] for row in shown["read_of_step"]])
    figure, axes = plt.subplots(figsize=(7.2, 6))
    drawn = axes.imshow(share[:steps, :steps].T, cmap="magma_r", vmin=1, aspect="equal", interpolation="nearest")
    labels = [str(each) for each in shown["y"]]
    for t in range(steps):
        for s in range(t):
            for at, tint in ((s, "#0072B2"), (s + 1, "#E69F00")):
                if labels[s] == labels[t] and at < t and not np.isnan(share[t, at]):
                    axes.add_patch(plt.Rectangle((t - 0.5, at - 0.5), 1, 1, fill=False, lw=0.8, ec=tint))
    axes.set(xlabel="step at which is read", ylabel="step at which was stored")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(False)
    figure.colorbar(drawn, ax=axes, pad=0.02, fraction=0.04, label="read, times the mean")
    return figure


def retrieval_table(shown: Sequence[Group]) -> str:
    """What is read of slots, by what was stored in them, times the mean over the memory; over test episodes."""
    rows = []
    for group in shown:
        for result in group.results:
            if kinds := result.example.get("retrieval"):
                rows.append(
                    [title(group.run.method), str(result.run.seed), *(f"{each:.2f}" for each in kinds.values())]
                )
    if not rows:
        return ""
    return markdown(["method", "seed", "its label", "its drawing", "both", "anything else"], rows)
