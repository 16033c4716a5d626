"""Online few-shot learning: Tables 1 to 3 of Babu et al. 2021, what it concludes from them, and what goes beyond."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from metamemory.papers.babu2021.reported import TABLE_1, TABLE_2, TABLE_3
from metamemory.study.claims import Claim, points
from metamemory.study.methods import title
from metamemory.study.quantities import Measured, at_shot
from metamemory.study.results import Group, Result, groups
from metamemory.study.tables import (
    NO_BREAK,
    Row,
    budget_table,
    comparison,
    markdown,
    percent,
    petaflop,
    shots,
    verdict,
    whose,
)
from metamemory.training.statistics import Interval

EXPERIMENT = "online_few_shot"
SHOTS = (1, 5, 8)
INJECTED = {  # setting of `label_injection` -> where labels are shown
    "lstm": "LSTM",
    "cl1": "CL-1",
    "all_cl": "CL-1 to CL-4",
    "all_cl_lstm": "CL-1 to CL-4, LSTM",
    "none": "nowhere",
}


def table_1(setting: str = "omniglot", root: Path = Path(".")) -> str:
    """Online few-shot learning, 5-way, on one data set: the paper's methods, then those beyond it. Of a data set that
    is not the paper's, this study's methods alone."""
    paper = TABLE_1.get(setting, {})
    ours = groups(EXPERIMENT, setting, root)
    methods = [*paper, *sorted({group.run.method for group in ours} - set(paper))]
    rows = [
        Row((title(method),), paper.get(method), [each for each in ours if each.run.method == method])
        for method in methods
    ]
    return comparison(["method"], shots(*SHOTS), rows, runs_of_paper="3")


def table_2(root: Path = Path(".")) -> str:
    """Where labels are shown, on Omniglot: the rows of the paper's Table 2, then the places beyond it."""
    addresses = [*TABLE_2, *(("label_injection", "cl_lstm", setting) for setting in INJECTED)]
    rows = []
    for experiment, method, setting in dict.fromkeys(addresses):
        pretrained = "MAML" if method.startswith("cnn") else "–"
        where = INJECTED.get(setting, "CL-1, LSTM" if method == "cl_lstm" else "LSTM")
        ours = groups(experiment, setting, root, method)
        rows.append(Row((title(method), pretrained, where), TABLE_2.get((experiment, method, setting)), ours))
    return comparison(["method", "pre-training", "labels shown to"], shots(*SHOTS), rows, runs_of_paper="3")


def places(root: Path = Path(".")) -> dict[str, dict[str, Group]]:
    """scale -> where labels are shown -> the runs of CL+LSTM on Omniglot, the largest scale first."""
    found: dict[str, dict[str, Group]] = {}
    both = {"omniglot": "CL-1, LSTM", **INJECTED}
    for group in [*groups(EXPERIMENT, "omniglot", root, "cl_lstm"), *groups("label_injection", None, root, "cl_lstm")]:
        found.setdefault(group.run.scale, {})[both[group.run.setting]] = group
    return found


def delayed(data: str, delay: int, pretrained: bool) -> str:
    """The setting of delayed labels."""
    return f"{data}_delay_{delay}{'_pretrained' if pretrained else ''}"


def table_3(data: str = "cifar_fs", root: Path = Path(".")) -> str:
    """Delayed labels: CL+LSTM trained at a delay from the start, or first at a delay of 1; on one data set. Omniglot,
    which the paper does not have here, comes with a longer delay."""
    rows, longer = [], {(10, True): None} if data == "omniglot" else {}
    for (delay, pretrained), reported in {**TABLE_3, **longer}.items():
        setting = delayed(data, delay, pretrained)
        name = (str(delay), "at a delay of 1" if pretrained else "–")
        rows.append(Row(name, reported if data == "cifar_fs" else None, groups("delayed_labels", setting, root)))
    return comparison(["delay", "pre-training"], shots(6, 7, 8), rows, runs_of_paper="2", compared=False)


def delays_table(data: str, root: Path = Path(".")) -> str:
    """Delayed labels, seed by seed: 5-shot accuracy, and how far training came in its curriculum."""
    rows = []
    for group in groups("delayed_labels", None, root):
        first = group.run.setting.endswith("_pretrained")
        if group.run.setting.startswith(data) and "by_delay" in group.results[0].example:  # it is not told its delay
            delay = group.results[0].manifest["configuration"]["task"]["delay"]
            where = (str(delay), "at a delay of 1" if first else "–", whose(group))
            rows.append([*where, *_seed_by_seed(group)])
    rows.sort(key=lambda row: (int(row[0]), row[1] != "–"))
    header = ["delay", "pre-training", "whose", "5-shot, %", "last stage at", "stage at the end"]
    return markdown(header, rows) if rows else "Not run: `dvc repro delayed_labels`."


def _seed_by_seed(group: Group) -> list[str]:
    """5-shot accuracy of each seed; after how many episodes it came to the task itself; its last stage of how many."""
    reached = [result.manifest["stages_reached"] for result in group.results]  # "4 of 6"
    last = int(reached[0].split()[-1])
    return [
        ", ".join(f"{100 * result.scores[5]['accuracy']:.1f}" for result in group.results),
        ", ".join(_stage_at(result.history, last) for result in group.results),
        f"{', '.join(each.split()[0] for each in reached)} of {last}",
    ]


Address = tuple[str, str, str]  # experiment, method, setting


def _claim(text: str, better: Address, worse: Address, above: Mapping, below: Mapping, at: Sequence[int]) -> Claim:
    """That one run is better than another at some shots, where the paper has `above` and `below`."""
    differences = [above[shot].mean - below[shot].mean for shot in at]
    return Claim(
        text,
        paper=points(differences),
        reported=differences,
        pairs=[(Measured(*better, at_shot(shot)), Measured(*worse, at_shot(shot))) for shot in at],
        cells={"shots": ", ".join(map(str, at))},
    )


def _table_1_claim(text: str, worse: str, data: str, at: Sequence[int]) -> Claim:
    ours, theirs = ((EXPERIMENT, method, data) for method in ("cl_lstm", worse))
    return _claim(text, ours, theirs, TABLE_1[data]["cl_lstm"], TABLE_1[data][worse], at)


def _table_2_claim(text: str, worse: Address) -> Claim:
    ours = (EXPERIMENT, "cl_lstm", "omniglot")
    return _claim(text, ours, worse, TABLE_2[ours], TABLE_2[worse], SHOTS)


def claims() -> list[Claim]:
    """What the paper concludes from these tables (sections 4.1 and 4.2)."""
    return [
        _table_1_claim("CL+LSTM is better than an LSTM on pixels, Omniglot", "lstm", "omniglot", SHOTS),
        _table_1_claim("CL+LSTM is better than prototypes (CPM), Omniglot", "cpm", "omniglot", SHOTS),
        _table_1_claim("CL+LSTM is better than prototypes (CPM) at many shots, CIFAR-FS", "cpm", "cifar_fs", (5, 8)),
        _table_2_claim(
            "labels shown to the first layer too are better than to the LSTM alone, Omniglot",
            ("label_injection", "cl_lstm", "lstm"),
        ),
        _table_2_claim(
            "CL+LSTM is better than an LSTM on a CNN pre-trained with MAML, Omniglot",
            (EXPERIMENT, "cnn_lstm", "omniglot"),
        ),
        _claim(
            "training at a delay of 1 first helps a delay of 5, CIFAR-FS",
            *(("delayed_labels", "cl_lstm", f"cifar_fs_delay_5{ending}") for ending in ("_pretrained", "")),
            *(TABLE_3[(5, True)], TABLE_3[(5, False)]),
            (6, 7, 8),
        ),
    ]


CLAIM_COLUMNS = ("claim", "shots", "paper, points", "this study, points", "verdict")


def recipe_table(root: Path = Path(".")) -> str:
    """What each change of the training recipe does: accuracy at the end, and each seed's way there."""
    rows = []
    for group in groups("recipe", None, root):
        each, last_at, at_the_end = _seed_by_seed(group)
        second_at = ", ".join(_stage_at(result.history, 2) for result in group.results)
        accuracies = (percent(group.accuracy(1)), percent(group.accuracy(5)))
        rows.append([group.run.setting.replace("_", " "), *accuracies, each, second_at, last_at, at_the_end])
    rows.sort(key=lambda row: (row[0] != "as it is", -float(row[2].partition("\N{NO-BREAK SPACE}")[0])))
    header = ["changed", "1-shot, %", "5-shot, %", "each seed", "second stage at", "last stage at", "stage at the end"]
    return markdown(header, rows) if rows else "Not run: `dvc repro recipe`."


def _stage_at(history: Sequence[Mapping[str, float]], stage: int) -> str:
    """ "39k": after how many thousand episodes a training first was at a stage of its curriculum; – if never."""
    return next((f"{row['episodes'] / 1000:.0f}k" for row in history if row["stage"] >= stage), "–")


RECORD_MARKS = (0.8, 0.85, 0.9)  # of 5-shot accuracy


def record_table(root: Path = Path(".")) -> str:
    """How long CL+LSTM took to which accuracy, run by run, as speed records are reported."""
    rows = []
    for group in groups(EXPERIMENT, "omniglot", root, "cl_lstm"):
        for result in group.results:
            manifest, history = result.manifest, result.history
            first = {mark: first_at(history, mark) for mark in RECORD_MARKS}
            shot = result.scores[5]
            rows.append(
                [
                    f"{group.run.scale}, seed {result.run.seed}",
                    percent(Interval(shot["accuracy"], shot["low"], shot["high"], over="episodes")),
                    f"{manifest['training_seconds'] / 60:.1f}",
                    *(f"{row['seconds'] / 60:.1f}" if row else "–" for row in first.values()),
                    f"{manifest['training_episodes']:,}",
                    petaflop(manifest),
                    manifest["hardware"],
                ]
            )
    until = [f"to {100 * mark:.0f}{NO_BREAK}%" for mark in RECORD_MARKS]
    header = ["run", "5-shot, %", "minutes", *until, "episodes", "PFLOP", "on"]
    return markdown(header, rows) if rows else "Not run: `make study`."


def first_at(history: Sequence[Mapping[str, float]], mark: float) -> Mapping[str, float] | None:
    """The first row of a learning curve whose 5-shot accuracy is at least `mark`."""
    return next((row for row in history if row["accuracy_5_shot"] >= mark), None)


def cost_table(root: Path = Path(".")) -> str:
    """What the runs of every method took."""
    return budget_table(groups(EXPERIMENT, None, root))


def parts_table(result: Result, shot: int = 5) -> str:
    """What the memory of each part of a CL+LSTM is worth: accuracy at one shot with its state reset, and frozen."""
    whole, shown = result.scores[shot]["accuracy"], result.example
    rows = [["none", *[f"{100 * whole:.1f}"] * 2]]
    rows += [
        [part, *(f"{100 * shown[kind][part][shot]:.1f}" for kind in ("reset", "frozen"))] for part in shown["reset"]
    ]
    frozen = f"{shot}-shot, %, its state frozen from step {shown['frozen_after']} on"
    return markdown(["part altered", f"{shot}-shot, %, its state reset before every step", frozen], rows)


def findings(shown: Sequence[Group]) -> str:
    """How each method of one data set and scale stands to the paper's Table 1, a row a method."""
    return markdown(["method", "beside the paper"], [[title(group.run.method), _state(group)] for group in shown])


def _state(group: Group) -> str:
    """Whether the learner came off the plateau of chance, and how it stands to the paper."""
    found = verdict(group, TABLE_1.get(group.run.setting, {}).get(group.run.method))
    on_plateau = group.results[0].history and group.accuracy(5).mean < 0.4
    return f"{found}; it has not left the plateau of chance" if on_plateau else found


def gains_table(setting: str, root: Path = Path(".")) -> str:
    """What three more samples of each class are worth: 8-shot accuracy less 5-shot, in points, a row a method."""
    rows = []
    for group in groups(EXPERIMENT, setting, root):
        reported = TABLE_1[setting].get(group.run.method)
        there = points([reported[8].mean - reported[5].mean]) if reported else "–"
        here = points([group.accuracy(8).mean - group.accuracy(5).mean])
        rows.append([title(group.run.method), whose(group), there, here, str(len(group.results))])
    header = ["method", "whose", "paper, points", "this study, points", "seeds"]
    return markdown(header, rows) if rows else "Not run: `dvc repro online_few_shot`."
