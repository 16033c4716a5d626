"""The survey's families of learners, as their pages show them: numbers and costs."""

from collections.abc import Sequence
from pathlib import Path

from metamemory.papers.survey.reported import SETTINGS, Setting
from metamemory.papers.survey.support_query import EXPERIMENT, setting_of, table, title
from metamemory.study.methods import method
from metamemory.study.parameters import Parameters, project_root
from metamemory.study.results import Group, groups
from metamemory.study.tables import budget_table

# A page -> the folders of `models/` whose learners it shows, in this order
METRIC, GRADIENT, NEURAL_PROCESS = ("metric",), ("gradient",), ("neural_process",)
MEMORY = ("recurrent", "memory", "attention", "fast_weights")
ONE_SHOT: Setting = (5, 1)


def members(families: Sequence[str]) -> list[str]:
    """Methods of the experiment whose learners are of these families, in their order."""
    methods = Parameters(project_root()).methods(EXPERIMENT)
    return [name for family in families for name in methods if method(name).family == family]


def numbers(families: Sequence[str], root: Path = Path(".")) -> str:
    """Of their learners on Omniglot, what their papers and others report and this study's runs; then which have none at
    the paper's size."""
    methods = members(families)
    return "\n\n".join(filter(None, [table("omniglot", root, methods), missing(methods, root)]))


def missing(methods: Sequence[str], root: Path = Path(".")) -> str:
    """A sentence on the methods without a run at the paper's size; empty where all have one."""
    large = {group.run.method for each in SETTINGS for group in _groups(each, root) if group.run.scale == "paper"}
    small = [title(method) for method in methods if method not in large]
    if not small:
        return ""
    return f"Not yet at `paper` scale, and so not to be compared with the papers: {'; '.join(small)}."


def costs(families: Sequence[str], root: Path = Path(".")) -> str:
    """Parameters, operations and time of their learners' runs with five classes and one shot of Omniglot."""
    shown = [group for name in members(families) for group in _groups(ONE_SHOT, root) if group.run.method == name]
    return budget_table(shown) if shown else ""


def _groups(setting: Setting, root: Path) -> list[Group]:
    return groups(EXPERIMENT, setting_of("omniglot", *setting), root)
