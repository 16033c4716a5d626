"""params.yaml: what the study runs, merged into the configuration of one run.

For a run (scale, experiment, method, setting) these are laid one over the other, later ones winning:

    experiments.<experiment>.scales.<scale>          sizes and budgets of the scale
    experiments.<experiment>.settings.<setting>      what is varied: the data set, a delay, a place of injection
    experiments.<experiment>.methods.<method>        what the method needs
    … settings.<setting>.methods.<method>            what the method needs in this setting only
    overrides                                        given by hand, on the command line or in a notebook

What any of the last three needs at one scale only stands in it under the name of the scale, and wins.
"""

import copy
import difflib
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from metamemory.errors import UserError

SCALES = ("smoke", "laptop", "paper")


class Parameters:
    """The contents of params.yaml.

    Raises:
        UserError: the file is missing, is not YAML, has no scale, seeds, headline or experiments, or seeds that are
            none; a name asked for is not in it.
    """

    def __init__(self, path: Path = Path("params.yaml")):
        self.path = path
        try:
            self.values = yaml.safe_load(path.read_text())
        except FileNotFoundError:
            raise UserError(f"{path} is not here: run from the top of the project") from None
        except yaml.YAMLError as error:
            raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
        for section in ("scale", "seeds", "headline", "experiments"):
            if not isinstance(self.values, dict) or section not in self.values:
                raise UserError(f"{path} has no {section}")
        for name in ("seeds", *(f"experiments.{each}.seeds" for each in self.experiments)):
            seeds = self.values["seeds"] if name == "seeds" else self.seeds(name.split(".")[1])
            if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
                raise UserError(f"{path}: {name} is {seeds!r}, and must be a list of whole numbers, as in [0, 1, 2]")

    @property
    def scale(self) -> str:
        """The scale that `dvc repro` runs."""
        return self.choose(SCALES, self.values["scale"], "scale")

    def seeds(self, experiment: str) -> list[int]:
        """Those of every run of it: its own, or else those of the whole study."""
        return self.experiment(experiment).get("seeds", self.values["seeds"])

    def in_headline(self, experiment: str, method: str, setting: str) -> bool:
        """Whether `make study` does this run."""
        chosen = self.values["headline"].get(experiment, {})
        return method in chosen.get("methods", ()) and setting in chosen.get("settings", ())

    @property
    def experiments(self) -> list[str]:
        """Their names, in order."""
        return list(self.values["experiments"])

    @property
    def data_sets(self) -> list[str]:
        """Data sets that any run needs, whatever the scale: `data/` is the same at all of them."""
        names = []
        for name, section in self.values["experiments"].items():
            for scale, method, setting in product(section["scales"], section["methods"], section["settings"]):
                config = self.configuration(scale, name, method, setting, {})
                if "data" in config:
                    names.append(config["data"]["name"])
        return list(dict.fromkeys(names))

    def experiment(self, name: str) -> dict[str, Any]:
        """The section of an experiment: methods, settings, scales, and seeds where it has its own."""
        return self.values["experiments"][self.choose(self.experiments, name, "experiment")]

    def configuration(
        self, scale: str, experiment: str, method: str, setting: str, overrides: Mapping[str, Any]
    ) -> dict[str, Any]:
        """All that decides a run but its seed, as plain values."""
        section = self.experiment(experiment)
        merged = merge({}, section["scales"][self.choose(section["scales"], scale, "scale")])
        of_setting = dict(section["settings"][self.choose(section["settings"], setting, "setting")] or {})
        of_method = section["methods"][self.choose(section["methods"], method, "method")]
        of_both = of_setting.pop("methods", {})
        for name in of_both:
            self.choose(section["methods"], name, f"method in {experiment}.settings.{setting}.methods:")
        for layer in (of_setting, of_method, of_both.get(method)):
            always = dict(layer or {})
            of_scale = {each: always.pop(each, None) for each in SCALES}[scale]
            merge(merge(merged, always), of_scale or {})
        return merge(merged, overrides)

    def choose(self, known: Iterable[str], name: str, what: str) -> str:
        """`name` if it is known; else an error that says what is, and what may have been meant."""
        known = list(known)
        if name in known:
            return name
        raise UserError(f"{self.path}: no {what} {name!r}{closest(name, known)}")


def closest(name: str, known: Iterable[str]) -> str:
    """The end of an error about a name that is not `known`: what may have been meant, and what there is."""
    known = list(known)
    close = difflib.get_close_matches(str(name), known, n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    return f"{hint} There are {', '.join(known)}."


def merge(base: dict, layer: Mapping) -> dict:
    """Lay `layer` over `base` in place, mapping by mapping; a list or a value replaces what was there."""
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = copy.deepcopy(value)
    return base


def parse_overrides(assignments: Iterable[str]) -> dict[str, Any]:
    """["training.episodes=100", …] -> {"training": {"episodes": 100}}; values are YAML."""
    overrides: dict[str, Any] = {}
    for assignment in assignments:
        keys, equals, value = assignment.partition("=")
        if not equals or not all(keys.split(".")):
            raise UserError(f"--set {assignment}: write it as section.key=value, as in training.episodes=1000")
        try:
            nested: Any = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError(f"--set {assignment}: {value} is not YAML") from None
        for key in reversed(keys.split(".")):
            nested = {key: nested}
        merge(overrides, nested)
    return overrides


def label_overrides(overrides: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The opposite of `parse_overrides`, in order of name."""
    labels = []
    for key, value in sorted(overrides.items()):
        if isinstance(value, Mapping):
            labels += label_overrides(value, f"{prefix}{key}.")
        else:
            labels.append(f"{prefix}{key}={value}".replace("/", "_").replace(" ", ""))
    return labels


def project_root() -> Path:
    """The folder with params.yaml, here or above: notebooks and pages run from folders of their own."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").exists():
            return folder
    raise UserError(f"no params.yaml in {here} or above: work inside the project")
