"""The survey's families of learners, as their pages show them: numbers and costs."""

from collections.abc import Sequence
from pathlib import Path

from metamemory.papers.survey.reported import SETTINGS, Setting
from metamemory.papers.survey.support_query import EXPERIMENT, setting_of, table, title
from metamemory.study.results import Group, groups
from metamemory.study.tables import budget_table

METRIC = ("siamese", "matching", "matching_euclidean", "protonet", "ridge")
GRADIENT = ("maml", "maml_inductive", "fomaml", "anil", "reptile", "reptile_transductive")
MEMORY = ("lstm", "cl_lstm", "mann", "snail", "transformer", "delta_net", "srwm")
NEURAL_PROCESS = ("cnp",)
ONE_SHOT: Setting = (5, 1)


def numbers(methods: Sequence[str], root: Path = Path(".")) -> str:
    """Omniglot, what their papers and others report of them and this study's runs; then which have none at the paper's
    size."""
    return "\n\n".join(filter(None, [table("omniglot", root, methods), missing(methods, root)]))


def missing(methods: Sequence[str], root: Path = Path(".")) -> str:
    """A sentence on the methods without a run at the paper's size; empty where all have one."""
    large = {group.run.method for each in SETTINGS for group in _groups(each, root) if group.run.scale == "paper"}
    small = [title(method) for method in methods if method not in large]
    if not small:
        return ""
    return f"Not yet at `paper` scale, and so not to be compared with the papers: {'; '.join(small)}."


def costs(methods: Sequence[str], root: Path = Path(".")) -> str:
    """Parameters, operations and time of the runs with five classes and one shot of Omniglot."""
    shown = [group for method in methods for group in _groups(ONE_SHOT, root) if group.run.method == method]
    return budget_table(shown) if shown else ""


def _groups(setting: Setting, root: Path) -> list[Group]:
    return groups(EXPERIMENT, setting_of("omniglot", *setting), root)
