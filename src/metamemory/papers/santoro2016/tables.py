"""Tables of Santoro et al. 2016 beside this study's own runs, and what the paper concludes from them."""

from collections.abc import Sequence
from pathlib import Path

from metamemory.papers.santoro2016 import reported
from metamemory.papers.santoro2016.reported import INSTANCES, PUBLIC, TABLE_1, TABLE_2, Numbers
from metamemory.study import methods
from metamemory.study.claims import Claim, points
from metamemory.study.quantities import Measured, at_shot, over_seeds
from metamemory.study.results import Group, Result, groups
from metamemory.study.tables import Column, Row, comparison, hardware_of, markdown, minutes_of, percent, whose

CLASSIFICATION, STRINGS, MEMORY = "mann_classification", "mann_strings", "mann_memory"  # experiments
ABLATION = "mann_ablation"
STRENGTHS = {"mann": "1", "mann_strength": "10"}  # of keys, by the methods of the ablation
DIFFERENCES = {  # settings of the ablation: what is not as printed
    "value": "a value of its own is written, not the key",
    "own_slots": "each head has a least used slot of its own",
    "fast_decay": "usage fades by 0.95 a step, not 0.99",
    "filled_memory": "memory of 1e-6 at first, not 0",
    "public_code": "all four",
}
NOT_RUN = "Not run: `dvc repro {}`."
LEFT = 0.1  # above chance at the fifth instance: a learner that is better has left the plateau
UNTAUGHT = ("feedforward", "autoencoder_neighbour")  # learners for which there is no plateau to leave


def ordinal(number: int) -> str:
    """ "2nd"."""
    return {1: "1st", 2: "2nd", 3: "3rd"}.get(number, f"{number}th")


COLUMNS = [Column(f"{ordinal(each)}, %", each, at_shot(each - 1)) for each in INSTANCES]


def title(method: str) -> str:
    """The method as the paper names it, or else as the study does."""
    return reported.TITLES.get(method) or methods.title(method)


def _rows(paper: dict[str, Numbers], ours: Sequence[Group]) -> list[Row]:
    """Those of the paper, then those of what else was run."""
    beyond = {group.run.method: None for group in ours if group.run.method not in paper}
    return [
        Row(
            (title(method),),
            paper.get(method) or None,
            [group for group in ours if group.run.method == method],
            planned=method != "human",
        )
        for method in (*paper, *beyond)
    ]


def table_1(root: Path = Path(".")) -> str:
    """Five classes, one-hot labels, by instance: the paper, this study, and public code."""
    rows = _rows(TABLE_1, groups(CLASSIFICATION, "five", root))
    rows.append(Row((title("mann_value_strength"),), None, groups(ABLATION, "value", root, "mann_strength")))
    for repository, of_methods in PUBLIC.items():
        for method, numbers in of_methods.items():
            rows.append(Row((title(method),), numbers, by=f"github.com/{repository}", planned=False))
    return _comparison(rows)


def table_2(setting: str, root: Path = Path(".")) -> str:
    """Labels of five characters, by instance; `setting` is "five" or "fifteen"."""
    return _comparison(_rows(TABLE_2[setting], groups(STRINGS, setting, root)))


def _comparison(rows: Sequence[Row]) -> str:
    return comparison(["method"], COLUMNS, rows, runs_of_paper="–", space=" ")  # many columns: numbers may break


def _claim(text: str, better: str, worse: str, paper: dict[str, Numbers], experiment: str, setting: str) -> Claim:
    """That one learner, MANN in the paper, is above another from the second instance on. The first is a guess."""
    more, less = ((experiment, method, setting) for method in (better, worse))
    later = INSTANCES[1:]
    differences = [paper["mann"][each].mean - paper[worse][each].mean for each in later]
    return Claim(
        text,
        paper=points(differences),
        reported=differences,
        pairs=[(Measured(*more, at_shot(each - 1)), Measured(*less, at_shot(each - 1))) for each in later],
        cells={"instances": ", ".join(map(str, later))},
    )


def claims() -> list[Claim]:
    """What the paper concludes from its tables (section 4)."""
    return [
        _claim("MANN is better than an LSTM, labels one-hot", "mann", "lstm", TABLE_1, CLASSIFICATION, "five"),
        _claim(
            "MANN with a key strength of 10 is better than an LSTM, labels one-hot",
            "mann_strength",
            "lstm",
            TABLE_1,
            CLASSIFICATION,
            "five",
        ),
        *(
            _claim(f"{text}, strings, {setting} classes", "mann", worse, TABLE_2[setting], STRINGS, setting)
            for text, worse, setting in (
                ("MANN is better than an LSTM", "lstm", "five"),
                ("MANN is better than an LSTM", "lstm", "fifteen"),
                ("MANN's access is better than that of an NTM", "ntm", "fifteen"),
            )
        ),
    ]


CLAIM_COLUMNS = ("claim", "instances", "paper, points", "this study, points", "verdict")


def plateau(shown: Sequence[Group], chance: float) -> str:
    """How many seeds of each method have left the plateau of chance, and when: Markdown lines."""
    lines = []
    for group in (each for each in shown if each.results[0].history and each.run.method not in UNTAUGHT):
        left = [_left_at(result, chance) for result in group.results]
        times = ", ".join(f"at {at:,.0f} episodes" for at in left if at is not None)
        when = f" ({times})" if times else ""
        count = sum(at is not None for at in left)
        budget = f"{group.results[0].manifest['training_episodes']:,} episodes in {minutes_of(group)} minutes"
        lines.append(
            f"- **{title(group.run.method)}** ({group.run.scale} scale, {budget} on {hardware_of(group)}): "
            f"{count} of {len(left)} seeds left the plateau{when}."
        )
    return "\n".join(lines) if lines else ""


def _left_at(result: Result, chance: float) -> float | None:
    """Episodes after which the fifth instance was first well above chance in validation."""
    above = (row["episodes"] for row in result.history if row["accuracy_4_shot"] > chance + LEFT)
    return next(above, None)


def memory_table(root: Path = Path(".")) -> str:
    """Slots against classes, and the decay of usage: accuracy by instance."""
    shown = groups(MEMORY, None, root)
    if not shown:
        return NOT_RUN.format(MEMORY)
    rows = []
    for group in shown:
        config = group.results[0].manifest["configuration"]
        model, task = config.get("model", {}), config["task"]
        rows.append(
            [
                str(task["n_way"]),
                str(model.get("slots", 128)),
                f"{model.get('decay', 0.99):g}",
                *(percent(over_seeds(group, at_shot(each - 1)), " ") for each in (1, 2, 5, 10)),
                f"{last_stage(group.results)} of {group.results[0].manifest['training_episodes']:,}",
                whose(group),
            ]
        )
    rows.sort(key=lambda row: (row[-1], int(row[0]), int(row[1]), row[2]))
    header = ["classes", "slots", "decay", "1st, %", "2nd, %", "5th, %", "10th, %", "episodes before the task itself"]
    return markdown([*header, "whose"], rows)


def last_stage(results: Sequence[Result]) -> str:
    """When each run came to the last stage of its curriculum, the task itself: the first validation in it, by what is
    counted in training."""
    return ", ".join(_last_stage(result) for result in results)


def _last_stage(result: Result) -> str:
    stages = len(result.manifest["configuration"].get("curriculum") or []) + 1
    at = next((row["episodes"] for row in result.history if row["stage"] >= stages), None)
    return "never" if at is None else f"{at:,.0f}"


def ablation_table(root: Path = Path(".")) -> str:
    """What public code has otherwise than the printed equations, one by one and together, with and without a strength
    of keys; beside the paper and public code."""
    rows = [Row(("as printed", "1"), TABLE_1["mann"], planned=False)]
    for repository, of_methods in PUBLIC.items():
        rows.append(Row(reported.PUBLIC_FORM, of_methods["mann"], by=f"github.com/{repository}", planned=False))
    for method, strength in STRENGTHS.items():
        rows.append(Row(("as printed", strength), None, groups(CLASSIFICATION, "five", root, method)))
        for setting, name in DIFFERENCES.items():
            rows.append(Row((name, strength), None, groups(ABLATION, setting, root, method)))
    columns = [each for each in COLUMNS if each.key in (1, 2, 5, 10)]
    return comparison(["what differs", "key strength"], columns, rows, runs_of_paper="–", space=" ")


def ablation_effects(root: Path = Path(".")) -> str:
    """What each difference adds to what is printed, at instances 2, 5 and 10: Markdown lines, one a strength and scale
    at which something was run; empty where nothing was."""
    lines = []
    for method, strength in STRENGTHS.items():
        for printed in groups(CLASSIFICATION, "five", root, method):
            of_scale = {
                name: [each for each in groups(ABLATION, setting, root, method) if each.run.scale == printed.run.scale]
                for setting, name in DIFFERENCES.items()
            }
            told = [f"{name}: {_gain(printed, found[0])}" for name, found in of_scale.items() if found]
            lines += [f"- **Key strength {strength}, {whose(printed)}**: {'; '.join(told)}."] if told else []
    return "\n".join(lines)


def _gain(printed: Group, other: Group) -> str:
    """In percentage points, at the instances that were measured."""
    ends = [[over_seeds(group, at_shot(each - 1)) for each in (2, 5, 10)] for group in (printed, other)]
    return points(after.mean - before.mean for before, after in zip(*ends, strict=True) if before and after)


def retrieval_table(shown: Sequence[Group]) -> str:
    """What is read of slots, by what was stored in them, times the mean over the memory; over test episodes."""
    rows = []
    for group in shown:
        for result in group.results:
            if kinds := result.example.get("retrieval"):
                numbers = [f"{each:.2f}" for each in kinds.values()]
                rows.append([title(group.run.method), group.run.scale, str(result.run.seed), *numbers])
    if not rows:
        return ""
    return markdown(["method", "scale", "seed", "its label", "its drawing", "both", "anything else"], rows)
