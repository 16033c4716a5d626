"""The files of parameters, read and of the right form: each has its sections, and no other. What is in the entries of
an experiment is checked when they are merged (`checks`).

Everything here raises a UserError, of one line, with the file and the key.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from metamemory.errors import UserError, closest
from metamemory.study.layers import SCALES
from metamemory.yaml_files import read_yaml

FRONT = "params.yaml"
NAME = re.compile(r"\w+")
OF_THE_FRONT = ("scale", "seeds", "headline", "papers")
ALSO_OF_THE_FRONT = ("priority", "keep")  # which it need not have
OF_A_PAPER = ("methods", "experiments", "curricula", "parts")
OF_AN_EXPERIMENT = ("protocol", "methods", "settings", "scales", "seeds")


def choose(known: Iterable[str], name: str, what: str, file: str) -> str:
    """`name` if it is known; else an error that says what is, and what may have been meant.

    Raises:
        UserError: it is not.
    """
    known = list(known)
    if name in known:
        return name
    raise UserError(f"{file}: no {what} {name!r}{closest(name, known)}")


def read_front(path: Path) -> dict[str, Any]:
    """params.yaml: all sections that it must have are there, and none that nobody reads."""
    values, file, known = read_yaml(path, FRONT), FRONT, OF_THE_FRONT
    for section in known:
        if not isinstance(values, dict) or section not in values:
            raise UserError(f"{file} has no {section}")
    for section in values:
        choose((*known, *ALSO_OF_THE_FRONT), section, "section", file)
    if not isinstance(values["scale"], str) or values["scale"] not in SCALES:
        raise UserError(f"{file}: scale is {values['scale']!r}, and must be one of {', '.join(SCALES)}")
    headline = values["headline"]
    if not isinstance(headline, dict) or not all(isinstance(each, dict) for each in headline.values()):
        raise UserError(f"{file}: headline is {headline!r}, and must be experiments, with methods and settings")
    for experiment, chosen in headline.items():
        for key, names in chosen.items():
            require_names(names, f"{file}: headline.{experiment}.{key}")
    require_names(values["papers"], f"{file}: papers")
    if not values["papers"] or not all(map(NAME.fullmatch, values["papers"])):
        raise UserError(f"{file}: papers is {values['papers']!r}, and must be names of files in params/")
    return values


def read_paper(root: Path, file: str) -> dict[str, Any]:
    """What a paper's file holds, with those sections that it does not have."""
    values = read_yaml(root / file, file)
    if not isinstance(values, dict) or "experiments" not in values:
        raise UserError(f"{file} has no experiments")
    for section in values:
        choose(OF_A_PAPER, section, "section", file)
    found = {section: values.get(section, {}) for section in OF_A_PAPER}
    for section, entries in found.items():
        if not isinstance(entries, dict):
            raise UserError(f"{file}: {section} is {entries!r}, and must be names, each with what it stands for")
    for name, experiment in found["experiments"].items():
        if not isinstance(experiment, dict):
            raise UserError(
                f"{file}: experiments.{name} is {experiment!r}, and must have {', '.join(OF_AN_EXPERIMENT)}"
            )
        for key in experiment:
            choose(OF_AN_EXPERIMENT, key, f"key in experiments.{name}:", file)
        for part in ("methods", "settings", "scales"):
            if not isinstance(experiment.get(part), dict) or not experiment[part]:
                mend = ", for example {extends: <another experiment>}" if part == "scales" else ""
                raise UserError(f"{file}: experiments.{name} has no {part}{mend}")
            _require_plain(experiment[part], f"{file}: experiments.{name}.{part}")
        for scale in experiment["scales"]:
            choose((*SCALES, "extends"), scale, f"scale in experiments.{name}.scales:", file)
        if not isinstance(experiment.get("protocol", ""), str):
            raise UserError(f"{file}: experiments.{name}.protocol is {experiment['protocol']!r}, and must be a name")
    for section, entries in found.items():
        _require_plain(entries, f"{file}: {section}")
    for name, stages in found["curricula"].items():
        if not isinstance(stages, list) or not all(isinstance(each, dict) for each in stages):
            raise UserError(
                f"{file}: curricula.{name} is {stages!r}, and must be a list of stages, as in [{{n_way: 2}}]"
            )
    return found


def _require_plain(names: Iterable[str], where: str) -> None:
    """Refuse names that are no part of a file's or a stage's name."""
    for name in names:
        if not NAME.fullmatch(name) or (name in SCALES and not where.endswith(".scales")):
            raise UserError(f"{where}: {name!r} cannot be a name here: letters, digits and _, and no scale")


def require_names(values: Any, where: str) -> list[str]:
    """`values`, if they are names."""
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise UserError(f"{where} is {values!r}, and must be a list of names")
    if len(set(values)) < len(values):
        raise UserError(f"{where} is {values!r}, and must have each name once")
    return values


def require_seeds(seeds: Any, where: str) -> None:
    """Refuse what are no seeds."""
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and 0 <= seed < 2**31 for seed in seeds):
        raise UserError(f"{where} is {seeds!r}, and must be a list of whole numbers, as in [0, 1, 2]")
    if len(set(seeds)) < len(seeds):
        raise UserError(f"{where} is {seeds!r}, and must have each seed once")
