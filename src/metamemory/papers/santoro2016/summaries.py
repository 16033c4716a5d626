"""What the figures of Santoro et al. 2016 show, as tables: a memory that is not wiped, more classes, regression."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from metamemory.papers.santoro2016.tables import NOT_RUN, last_stage, ordinal, title
from metamemory.study.quantities import at_shot, over_seeds
from metamemory.study.results import Group, groups
from metamemory.study.tables import NO_BREAK, markdown, percent, span, whose

PERSISTENCE, CURRICULUM = "mann_persistence", "mann_curriculum"  # experiments
DIMENSIONS = ("one", "two", "three")  # settings of `mann_regression`
SEEN = 20  # values after which predictions are compared
WEAKEST, BOUND = "lstm", "gaussian_process"


def stages_table(shown: Sequence[Group]) -> str:
    """When each learner with a curriculum came to the task itself, a row a method; empty where none has one."""
    rows = [
        [
            title(group.run.method),
            whose(group),
            f"{group.results[0].manifest['training_episodes']:,}",
            last_stage(group.results),
            str(len(group.results)),
        ]
        for group in shown
        if group.results[0].history and group.results[0].manifest["configuration"].get("curriculum")
    ]
    return markdown(["method", "whose", "episodes", "of these before the task itself", "seeds"], rows) if rows else ""


def persistence_table(root: Path = Path(".")) -> str:
    """Figure 3: accuracy by instance with the memory wiped between episodes and not; and when the task was reached."""
    rows = []
    for group in groups(PERSISTENCE, None, root):
        configuration = group.results[0].manifest["configuration"]
        trained = group.results[0].manifest["training_episodes"]
        rows.append(
            [
                str(configuration["task"]["n_way"]),
                "wiped" if configuration["rows"]["wiped"] else "not wiped",
                *(percent(over_seeds(group, at_shot(each - 1)), " ") for each in (1, 2, 5, 10)),
                f"{last_stage(group.results)} of {trained:,}",
                whose(group),
                str(len(group.results)),
            ]
        )
    if not rows:
        return NOT_RUN.format(PERSISTENCE)
    rows.sort(key=lambda row: (row[-2], int(row[0]), row[1] == "not wiped"))
    header = ["classes", "memory", "1st, %", "2nd, %", "5th, %", "10th, %", "rows before the task itself"]
    return markdown([*header, "whose", "seeds"], rows)


def curriculum_table(root: Path = Path(".")) -> str:
    """Figure 4: accuracy in tests with more and more classes, a row a seed and instance."""
    tables = []
    for group in groups(CURRICULUM, "strings", root):
        ways = list(group.results[0].example["by_classes"])
        rows = [
            [
                str(result.run.seed),
                ordinal(instance),
                *(f"{100 * result.example['by_classes'][n_way][instance - 1]:.1f}" for n_way in ways),
            ]
            for result in group.results
            for instance in (2, 10)
        ]
        header = ["seed", "instance", *map(str, ways)]
        told = f"{title(group.run.method)}, accuracy in per cent by the number of classes in the test, at {group.label}"
        tables.append(f"{told}:\n\n{markdown(header, rows)}")
    return "\n\n".join(tables) or NOT_RUN.format(CURRICULUM)


def regression_table(by_dimensions: Mapping[str, Sequence[Group]]) -> str:
    """Figure 6: log-likelihood of the next value after twenty, and how much of the way it is from the LSTM's to the
    process's; the groups of one scale for each number of dimensions."""
    found = {
        (setting, group.run.method): group
        for setting, shown in by_dimensions.items()
        for group in shown
        if len(group.results[0].scores) > SEEN
    }
    rows = []
    for method in dict.fromkeys(method for _, method in found):
        of_method = [group for (_, each), group in found.items() if each == method]
        cells = [_cell(found, setting, method) for setting in by_dimensions]
        rows.append([title(method), whose(of_method[0]), *cells, span([len(each.results) for each in of_method], 0)])
    header = ["method", "whose", *(f"{name} dimension{'' if name == 'one' else 's'}" for name in by_dimensions)]
    return markdown([*header, "seeds"], rows)


def _cell(found: Mapping[tuple[str, str], Group], setting: str, method: str) -> str:
    """The mean in nats; of a learner between the two ends, its share of the way as well."""
    if (setting, method) not in found:
        return "not run"
    ours = _mean(found[setting, method])
    told = f"{ours:+.2f}".replace("-", "−")
    ends = [found.get((setting, each)) for each in (WEAKEST, BOUND)]
    if method in (WEAKEST, BOUND) or None in ends:
        return told
    low, high = map(_mean, ends)
    return f"{told} ({100 * (ours - low) / (high - low):.0f}{NO_BREAK}%)"


def _mean(group: Group) -> float:
    """Over seeds."""
    return float(np.mean([result.scores[SEEN]["log_likelihood"] for result in group.results]))
