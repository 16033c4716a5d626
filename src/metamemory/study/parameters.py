"""What the study runs: params.yaml and params/<paper>.yaml, merged into the configuration of one run.

    params.yaml              scale, seeds, headline, and the names of the papers
    params/<paper>.yaml      methods         a learner and settings under a name; others are the learner of their name
                             experiments     protocol, methods, settings, scales, seeds
                             curricula       lists of stages, for `curriculum: NAME`
                             parts           pieces of settings, for `extends: parts.NAME`

For a run (scale, experiment, method, setting) these are laid one over the other, mapping by mapping; a list or a value
replaces what was there, and later ones win:

    experiments.<experiment>.scales.<scale>          sizes and budgets of the scale
    experiments.<experiment>.settings.<setting>      what is varied: the data set, a delay, a place of injection
    methods.<method>                                 `model`: what makes the method of its learner
    experiments.<experiment>.methods.<method>        what the method needs
    … settings.<setting>.methods.<method>            what the method needs in this setting only
    overrides                                        given by hand, on the command line or in a notebook

What settings and methods need at one scale only stands in them under the name of the scale, and wins over the rest.

An entry (a scale, a setting, a method, a part, or what one of these says of a scale) can say `extends: NAME`. Then the
entry of that name is laid below it, whole, with what that one extends:

    extends: lstm                         another entry of the same mapping
    extends: online_few_shot.lstm         the same kind of entry of another experiment
    extends: parts.photographs            one of the file's parts
    scales: {extends: online_few_shot}    all scales of another experiment, each below the scale of its name here
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

from metamemory.errors import UserError, closest
from metamemory.study.checks import require_method, require_possible, require_valid
from metamemory.study.layers import SCALES, Layer, Tree, at_scale, lay, mark, merge
from metamemory.study.methods import Method
from metamemory.study.overrides import label_overrides, parse_overrides
from metamemory.study.parameter_files import FRONT, choose, read_front, read_paper, require_names, require_seeds

__all__ = ["SCALES", "Parameters", "closest", "label_overrides", "merge", "parse_overrides", "project_root"]


class Parameters:
    """The parameters of the project at `root`; `checked` unless only their form is of interest.

    Raises:
        UserError: a file is missing, is not YAML, or has not its sections; something in it extends what there is not;
            seeds that are none; a run that could not be done (`checks`); a name asked for is not there.
    """

    def __init__(self, root: Path = Path("."), checked: bool = True):
        self.root, self.checked = root, checked
        front = read_front(root / FRONT)
        self.values = front
        papers = require_names(front["papers"], f"{FRONT}: papers")
        there = sorted(path.stem for path in (root / "params").glob("*.yaml"))
        for paper in papers if there else ():
            choose(there, paper, "file in params/ for the paper", FRONT)
        self._files = {paper: f"params/{paper}.yaml" for paper in papers}
        self._papers = {paper: read_paper(root, file) for paper, file in self._files.items()}
        self._tree = Tree(self._papers, self._files, checked)
        self._require_unique()
        for name in self.declared_methods:
            self.method(name)
        require_seeds(front["seeds"], f"{FRONT}: seeds")
        for name in self.experiments:
            require_seeds(self.seeds(name), f"{self.file_of(name)}: experiments.{name}.seeds")
        stamp = tuple(_stamp(root / file) for file in (FRONT, *self._files.values()))
        if checked and stamp not in VALID:
            self._require_headline()
            for name in self.declared_methods:
                require_method(self.method(name), f"{self._file_of_method(name)}: methods.{name}")
            require_valid(self)
            VALID.add(stamp)

    def _require_headline(self) -> None:
        for experiment, chosen in self.values["headline"].items():
            choose(self.experiments, experiment, "experiment of headline:", FRONT)
            known = {"methods": self.methods(experiment), "settings": self.settings(experiment)}
            for part, names in chosen.items():
                choose(known, part, f"key in headline.{experiment}:", FRONT)
                for name in names:
                    choose(known[part], name, f"entry in headline.{experiment}.{part}:", FRONT)

    def _require_unique(self) -> None:
        for kind in ("experiments", "methods"):
            seen: dict[str, str] = {}
            for paper, values in self._papers.items():
                for name in values.get(kind, {}):
                    if name in seen:
                        raise UserError(f"{self._files[paper]}: {kind}.{name} is in {seen[name]} already")
                    seen[name] = self._files[paper]

    @property
    def scale(self) -> str:
        """The scale that `dvc repro` runs."""
        return self.choose(SCALES, self.values["scale"], "scale")

    @property
    def papers(self) -> list[str]:
        """Their names, in order."""
        return list(self._papers)

    @property
    def experiments(self) -> list[str]:
        """Names of those of all papers, in order."""
        return list(self._tree.paper_of)

    def paper_of(self, experiment: str) -> str:
        """The paper whose file has the experiment."""
        return self._tree.paper_of[self.choose(self.experiments, experiment, "experiment")]

    def file_of(self, experiment: str) -> str:
        """That file, below the top of the project."""
        return self._files[self.paper_of(experiment)]

    def experiment(self, name: str) -> dict[str, Any]:
        """The section of an experiment, as it is written."""
        return self._papers[self.paper_of(name)]["experiments"][name]

    def expanded(self, name: str) -> dict[str, Any]:
        """The same with all that its entries extend written out."""
        section = dict(self.experiment(name))
        for kind, entries in (
            ("methods", self.methods(name)),
            ("settings", self.settings(name)),
            ("scales", self.scales(name)),
        ):
            each = {entry: self._tree.entry(("experiments", name, kind, entry)).values for entry in entries}
            section[kind] = copy.deepcopy(each)
        return section

    def seeds(self, experiment: str) -> list[int]:
        """Those of every run of it: its own, or else those of the whole study."""
        return self.experiment(experiment).get("seeds", self.values["seeds"])

    def protocol(self, experiment: str) -> str:
        """The name of its protocol's file."""
        return self.experiment(experiment).get("protocol", experiment)

    def methods(self, experiment: str) -> list[str]:
        """Names of what is compared."""
        return list(self.experiment(experiment)["methods"])

    def settings(self, experiment: str) -> list[str]:
        """Names of what is varied; the first is that of a run that names none."""
        return list(self.experiment(experiment)["settings"])

    def scales(self, experiment: str) -> list[str]:
        """Scales that it has, smallest first."""
        return self._tree.scales(experiment)

    def method(self, name: str) -> Method:
        """A method by name, whether or not an experiment has it."""
        for paper, values in self._papers.items():
            if name in values.get("methods", {}):
                return Method.declared(name, values["methods"][name], f"{self._files[paper]}: methods.{name}")
        return Method(name, learner=name)

    @property
    def declared_methods(self) -> list[str]:
        """Names of the methods that are not just a learner."""
        return [name for values in self._papers.values() for name in values["methods"]]

    def in_headline(self, experiment: str, method: str, setting: str) -> bool:
        """Whether `make study` does this run."""
        chosen = self.values["headline"].get(experiment, {})
        return method in chosen.get("methods", ()) and setting in chosen.get("settings", ())

    def combinations(self, experiment: str) -> Iterator[tuple[str, str, str, str]]:
        """(scale, experiment, method, setting) of all its runs."""
        each = (self.scales(experiment), (experiment,), self.methods(experiment), self.settings(experiment))
        return product(*each)

    @property
    def data_sets(self) -> list[str]:
        """Data sets that any run needs, whatever the scale: `data/` is the same at all of them."""
        sections = list(self._data)
        others = (each["other"] for each in sections if each.get("other"))
        return list(dict.fromkeys([*(each["name"] for each in sections), *others]))

    @property
    def data_folders(self) -> dict[str, str]:
        """Where the class folders of data sets of one's own are, by name.

        Raises:
            UserError: of one name there are two.
        """
        found: dict[str, str] = {}
        for name, folder in ((each["name"], each["folder"]) for each in self._data if each.get("folder")):
            if found.setdefault(name, folder) != folder:
                raise UserError(f"data set {name}: its folder is {found[name]} in one place and {folder} in another")
        return found

    @property
    def _data(self) -> Iterator[dict[str, Any]]:
        """The section `data` of all runs that have one."""
        runs = (run for experiment in self.experiments for run in self.combinations(experiment))
        return (config["data"] for config in (self.configuration(*run, {}) for run in runs) if "data" in config)

    def configuration(
        self, scale: str, experiment: str, method: str, setting: str, overrides: Mapping[str, Any]
    ) -> dict[str, Any]:
        """All that decides a run but its seed, as plain values: `learner`, `protocol`, and the sections.

        Raises:
            UserError: there is no such run, or the overrides are refused.
        """
        found = self.traced(scale, experiment, method, setting, overrides).values
        if overrides and self.checked:
            require_possible(found, self.traced(scale, experiment, method, setting, {}).values)
        return found

    def traced(self, scale: str, experiment: str, method: str, setting: str, overrides: Mapping[str, Any]) -> Layer:
        """The same with the place that each value is written in."""
        return lay(self.layers(scale, experiment, method, setting, overrides))

    def layers(
        self, scale: str, experiment: str, method: str, setting: str, overrides: Mapping[str, Any]
    ) -> list[Layer]:
        """What the configuration is merged from, the lowest first, with the place that each value is written in."""
        file = self.file_of(experiment)
        for known, name, what in (
            (self.scales(experiment), scale, "scale"),
            (self.settings(experiment), setting, "setting"),
            (self.methods(experiment), method, "method"),
        ):
            choose(known, name, what, file)
        place = ("experiments", experiment)
        of_setting = self._tree.entry((*place, "settings", setting))
        of_both = [part.get("methods", {}) for part in of_setting]
        for name in of_both[0]:
            choose(self.methods(experiment), name, f"method in {experiment}.settings.{setting}.methods:", file)
        own = self.method(method)
        layers = [
            mark(
                {"learner": own.learner},
                f"methods.{method}" if method in self.declared_methods else "the learner of this name",
            ),
            mark({"protocol": self.protocol(experiment)}, f"experiments.{experiment}"),
            self._tree.entry((*place, "scales", scale)),
            at_scale(Layer(*({k: v for k, v in part.items() if k != "methods"} for part in of_setting)), scale),
            mark({"model": own.model} if own.model else {}, f"methods.{method}"),
            at_scale(self._tree.entry((*place, "methods", method)), scale),
            at_scale(Layer(*(part.get(method, {}) for part in of_both)), scale),
        ]
        return [*layers, mark(self._named(overrides, experiment), "overrides")]

    def _file_of_method(self, name: str) -> str:
        return next(self._files[paper] for paper, values in self._papers.items() if name in values["methods"])

    def _named(self, overrides: Mapping[str, Any], experiment: str) -> Mapping[str, Any]:
        """The overrides, with the stages of a curriculum that they name."""
        if not isinstance(overrides, Mapping):
            raise UserError(
                f"overrides are {overrides!r}, and must be settings, as in {{training: {{episodes: 1000}}}}"
            )
        if not isinstance(overrides.get("curriculum"), str):
            return overrides
        curricula = self._papers[self.paper_of(experiment)]["curricula"]
        name = choose(curricula, overrides["curriculum"], "curriculum", self.file_of(experiment))
        return {**overrides, "curriculum": curricula[name]}

    def choose(self, known: Iterable[str], name: str, what: str) -> str:
        """`name` if it is known; else an error that says what is, and what may have been meant."""
        return choose(known, name, what, FRONT)


VALID: set[tuple] = set()  # stamps of files that were found valid in this process


def _stamp(path: Path) -> tuple[str, int, int]:
    found = path.stat()
    return str(path.resolve()), found.st_mtime_ns, found.st_size


@lru_cache(maxsize=8)
def _read(root: Path, _: int) -> Parameters:
    return Parameters(root, checked=False)


def parameters_of(root: Path) -> Parameters:
    """Those of the project at `root`, read once while its files are unchanged; only their form is checked."""
    files = [root / FRONT, *sorted((root / "params").glob("*.yaml"))]
    return _read(root, hash(tuple(_stamp(path) for path in files if path.exists())))


def project_root() -> Path:
    """The folder with params.yaml, here or above: notebooks and pages run from folders of their own."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / FRONT).exists():
            return folder
    raise UserError(f"no params.yaml in {here} or above: work inside the project")
