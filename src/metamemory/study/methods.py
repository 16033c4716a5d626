"""Methods: a learner and settings, under the name that results, tables and figures know it by.

A method has the same title and the same colour everywhere. The colour follows from the family of its learner, which
has a range of hues and a list of places in it, taken in the order of the parameters; `shade` in the parameters names
another. Methods that an experiment shows together differ by at least 5 in OKLab (of 100 from black to white), as people
see them who have all three kinds of cones, or lack those for red or for green; a test holds that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from metamemory.errors import UserError, closest
from metamemory.models import TaskDescription, available, build, learner_class, settings_of
from metamemory.models.learner import Learner

PALETTES = {
    "recurrent": ("#46050E", "#5A2127", "#D66C65", "#D55E00", "#CA5753", "#773125", "#F2A67D", "#A0522D"),  # reds
    "memory": ("#17AEAA", "#009E73", "#A7E09F", "#058741", "#53B588", "#285D36", "#7FD6C2", "#12403A"),  # greens
    "fast_weights": (  # pinks
        *("#CC79A7", "#910891", "#F7C5E0", "#DF0CDF", "#F76EF7", "#6B065A", "#9E4C83", "#F994A9"),
        *("#F3204A", "#3A0A2C", "#B80A2D", "#CD47FC", "#93566B", "#760A1C"),
    ),
    "metric": (
        *("#426FC6", "#56B4E9", "#1F5C9E", "#6A9BF9", "#12325F", "#A5CDF2", "#0072B2", "#88CCEE"),
        *("#001B3A", "#00B2EE", "#4B4BD8", "#7A9CC6"),
    ),  # blues
    "gradient": (  # yellows
        *("#606431", "#CCCB73", "#E69F00", "#C08E37", "#8C8462", "#F0E442", "#3F3A12", "#B5A642"),
        *("#594C0D", "#E4E6B3", "#FCFF99"),
    ),
    "attention": ("#882255", "#332288", "#8E6BBF", "#BFA3DC", "#5254A3", "#4B1D6B"),  # purples
    "neural_process": ("#5389A6", "#7C9EB2", "#B4CDD8", "#4F7C8C"),  # blue greys
    "self_modifying": (  # olives, then sea greens
        *("#6B8E23", "#A9C46C", "#3D5216", "#C5D86D", "#5A7558", "#043800", "#EBEBB0", "#5FB200", "#EBEB23", "#94946F"),
        *("#756600", "#95B286", "#B9D19D", "#8BD100", "#575741", "#2A2A3A", "#007F7A", "#5FC9C4", "#A8E6E2", "#0B4F5C"),
        *("#00968F", "#8FDAD5", "#114E52", "#3FA34D", "#86A92B", "#B08D00", "#1B7F3B", "#C2A83E", "#22352B"),
    ),
    "image": ("#0072B2", "#4FA3D9", "#A5CDF2", "#D55E00", "#EE9A5F", "#F7CBA8"),  # only ever among themselves
    "reference": ("#BBBBBB", "#767676", "#000000", "#999999"),  # greys
}
OTHER = ("#000000", "#637939", "#8C6D31", "#5254A3")  # of families that have no list


@dataclass(frozen=True)
class Method:
    """A learner under a name.

    Attributes:
        name: in parameters and results.
        learner: name of the learner's file.
        own_title: in tables and legends; the learner's where it is empty.
        model: settings of the learner that make it this method.
        shade: place in the palette of the learner's family; the next one that is free where None.
    """

    name: str
    learner: str
    own_title: str = ""
    model: dict[str, Any] = field(default_factory=dict)
    shade: int | None = None

    @classmethod
    def declared(cls, name: str, values: Any, where: str) -> "Method":
        """A method as `methods` of a paper's file has it; `where` is what errors call it.

        Raises:
            UserError: a key is unknown, or its value is of another kind.
        """
        kinds = {"learner": str, "title": str, "model": Mapping, "shade": int}
        if not isinstance(values, Mapping) or "learner" not in values:
            raise UserError(f"{where} has no learner")
        for key, value in values.items():
            if key not in kinds:
                raise UserError(f"{where}: no key {key!r}{closest(key, kinds)}")
            if not isinstance(value, kinds[key]) or (key == "shade" and (value is True or value is False or value < 0)):
                raise UserError(f"{where}: {key} is {value!r}, and must be {KINDS[kinds[key]]}")
        return cls(name, values["learner"], values.get("title", ""), dict(values.get("model", {})), values.get("shade"))

    @property
    def learner_class(self) -> type[Learner]:
        """The learner's class.

        Raises:
            UserError: there is none.
        """
        return learner_class(self.learner)

    def build(self, task: TaskDescription, settings: Mapping[str, Any] | None = None) -> Learner:
        """The learner for a task, with the method's settings and, over them, others.

        Raises:
            UserError: it has no such setting, or cannot do the task.
        """
        return build(self.learner, task, {**self.model, **(settings or {})})

    @property
    def title(self) -> str:
        """In tables and legends."""
        if self.own_title or self.learner not in available():
            return self.own_title or self.name
        return self.learner_class.title

    @property
    def transductive(self) -> bool:
        """Whether an answer may depend on other queries: as its settings say, where its learner has that setting."""
        return {**settings_of(self.learner), **self.model}.get("transductive", self.learner_class.transductive)

    @property
    def family(self) -> str:
        """The folder of the learner's file; "" where there is no such learner."""
        try:
            return self.learner_class.family
        except UserError:
            return ""


KINDS = {str: "a name", Mapping: "settings, as in {hidden: 16}", int: "a whole number"}


def method(name: str, root: Path | None = None) -> Method:
    """A method by name; arguments as those of `title`."""
    return _parameters(root).method(name)


def title(name: str, root: Path | None = None) -> str:
    """The method as tables and legends name it; one that is not known goes by its own name.

    Args:
        name: of the method.
        root: top of the project whose parameters have it; found from the working folder where None.
    """
    return method(name, root).title


def colour(name: str, root: Path | None = None) -> str:
    """The method's colour, as "#RRGGBB"; arguments as those of `title`."""
    return _colours(_parameters(root)).get(name) or OTHER[sum(map(ord, name)) % len(OTHER)]


def _parameters(root: Path | None):
    from metamemory.study.parameters import parameters_of, project_root  # which read methods by `Method`

    return parameters_of(root or project_root())


@lru_cache(maxsize=4)
def _colours(parameters) -> dict[str, str]:
    """Of all methods of `Parameters`: declared shades first, then the others in order, in the places that are left."""
    names = dict.fromkeys(name for each in parameters.experiments for name in parameters.methods(each))
    by_family: dict[str, list[Method]] = {}
    for method in map(parameters.method, names):
        by_family.setdefault(method.family, []).append(method)
    found = {}
    for family, methods in by_family.items():
        palette = PALETTES.get(family, OTHER)
        declared = {method.shade for method in methods if method.shade is not None}
        free = iter([place for place in range(len(palette) + len(methods)) if place not in declared])
        for method in methods:
            place = next(free) if method.shade is None else method.shade
            found[method.name] = palette[place % len(palette)]
    return found
