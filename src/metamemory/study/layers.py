"""Merging of settings, with the place that each is written in, and entries that extend others by name.

Merging goes mapping by mapping: a key of the upper layer is laid over the same key of the lower one; a list or a value
replaces what was there. The rest of the rules are at the top of `parameters`.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from metamemory.errors import UserError, closest

SCALES = ("smoke", "laptop", "paper")
SECTIONS = ("data", "task", "training", "evaluation", "model")  # of every configuration
MISSING = object()  # where nothing is written
Place = tuple[str, ...]  # of an entry, as ("experiments", "online_few_shot", "methods", "lstm")


class Layer(NamedTuple):
    """Settings, and a mapping of the same shape that has, in place of each value, where that is written."""

    values: dict[str, Any]
    origins: dict[str, Any]


def merge(base: dict, layer: Mapping) -> dict:
    """Lay `layer` over `base` in place, mapping by mapping; a list or a value replaces what was there."""
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = copy.deepcopy(value)
    return base


def lay(layers: Iterable[Layer]) -> Layer:
    """All of them, one over the other, later ones winning."""
    values, origins = {}, {}
    for layer in layers:
        merge(values, layer.values)
        merge(origins, layer.origins)
    return Layer(values, origins)


def mark(values: Mapping[str, Any], origin: str) -> Layer:
    """A layer that was written in one place."""

    def marked(value: Any) -> Any:
        return {key: marked(each) for key, each in value.items()} if isinstance(value, Mapping) else origin

    return Layer(dict(values), marked(values))


def at_scale(layer: Layer, scale: str) -> Layer:
    """What it says at one scale: what it says always, and over it what it says under the scale's name."""
    always = Layer(*({key: each for key, each in part.items() if key not in SCALES} for part in layer))
    return lay([always, Layer(*(part.get(scale, {}) for part in layer))])


class Tree:
    """The entries of all files of parameters, and what they extend.

    Args:
        papers: name -> what its file holds; `parts`, `curricula` and `experiments` of it are read here.
        files: name of a paper -> its file, for errors.
        checked: whether the sections of every configuration have to be sections.
    """

    def __init__(self, papers: Mapping[str, Mapping[str, Any]], files: Mapping[str, str], checked: bool = True):
        self.papers, self.files, self.checked = papers, files, checked
        self.paper_of = {name: paper for paper, values in papers.items() for name in values.get("experiments") or {}}
        self._resolved: dict[Place, Layer] = {}

    def entry(self, place: Place) -> Layer:
        """An entry with all that it extends below it. Names of curricula in it are replaced by their stages.

        Raises:
            UserError: it extends what there is not, or in a circle; or is not a mapping.
        """
        return self._entry(place, ())

    def _entry(self, place: Place, trail: tuple[Place, ...]) -> Layer:
        if place in trail:
            circle = " -> ".join(name(each) for each in (*trail[trail.index(place) :], place))
            raise UserError(f"{self._file(place)}: {name(place)}: extends goes in a circle: {circle}")
        if place not in self._resolved:
            own = self._own(place, trail)
            below = [self._entry(each, (*trail, place)) for each in self._extended(place)]
            self._resolved[place] = lay([*below, own])
        return self._resolved[place]

    def _own(self, place: Place, trail: tuple[Place, ...]) -> Layer:
        """What the entry writes itself."""
        layers = []
        for key, value in self._mapping(place).items():
            inner = (*place, key)
            self._require_said(value, inner)
            if key in SCALES:
                part = self._entry(inner, (*trail, place))
            elif key == "methods" and (place[0] == "parts" or place[-2] == "settings"):
                each = {method: self._entry((*inner, method), (*trail, place)) for method in self._mapping(inner)}
                part = Layer({m: e.values for m, e in each.items()}, {m: e.origins for m, e in each.items()})
            elif key == "extends":
                continue
            else:
                if key == "curriculum" and isinstance(value, str):
                    value = self._curriculum(value, place)
                layers.append(mark({key: value}, name(place)))
                continue
            layers.append(Layer({key: part.values}, {key: part.origins}))
        return lay(layers)

    def _extended(self, place: Place) -> list[Place]:
        """Places of the entries below this one, the lowest first."""
        found = []
        if place[-2] == "scales":  # the scales of another experiment, each below the same scale here
            other = self._mapping(place[:-1]).get("extends")
            if other is not None:
                self._require(other, self.paper_of, "experiment", place[:-1])
                if place[-1] in self.scales(other, (place[1],)):
                    found.append(("experiments", other, *place[2:]))
        extends = self._mapping(place).get("extends")
        if extends is not None:
            found.append(self._target(extends, place))
        return found

    def _target(self, extends: Any, place: Place) -> Place:
        group, _, sibling = str(extends).rpartition(".")
        if not group:
            beside = place[:-1]
        elif group == "parts":
            beside = ("parts", self._paper(place))
        elif place[0] == "experiments":
            self._require(group, self.paper_of, "experiment", place)
            beside = ("experiments", group, *place[2:-1])
        else:
            raise UserError(f"{self._file(place)}: {name(place)}: extends is {extends!r}: write parts.NAME")
        known = self.scales(beside[1]) if beside[-1] == "scales" else [*self._mapping(beside)]
        self._require(sibling, [each for each in known if (*beside, each) != place], "entry", place)
        return (*beside, sibling)

    def scales(self, experiment: str, trail: tuple[str, ...] = ()) -> list[str]:
        """Scales that an experiment has, its own and those of the experiment whose scales it extends."""
        place = ("experiments", experiment, "scales")
        if experiment in trail:
            circle = " -> ".join((*trail[trail.index(experiment) :], experiment))
            raise UserError(f"{self._file(place)}: {name(place)}: extends goes in a circle: {circle}")
        own = self._mapping(place)
        other = own.get("extends")
        if other is not None:
            self._require(other, self.paper_of, "experiment", place)
        inherited = [] if other is None else self.scales(other, (*trail, experiment))
        return [each for each in SCALES if each in own or each in inherited]

    def _curriculum(self, wanted: str, place: Place) -> list[Any]:
        curricula = self.papers[self._paper(place)].get("curricula") or {}
        self._require(wanted, curricula, "curriculum", place)
        return curricula[wanted]

    def _mapping(self, place: Place) -> Mapping[str, Any]:
        value = self._find(place)
        if value is MISSING or value is None:  # as `counting:`, an entry that says nothing of its own
            return {}
        if not isinstance(value, Mapping):
            raise UserError(
                f"{self._file(place)}: {name(place)} is {value!r}, and must be settings, as in {{n_way: 2}}"
            )
        return value

    def _find(self, place: Place) -> Any:
        """What is written there; `MISSING` where nothing is."""
        paper = self._paper(place)
        value: Any = self.papers[paper].get(place[0])
        for key in place[2:] if place[0] == "parts" else place[1:]:
            if not isinstance(value, Mapping) or key not in value:
                return MISSING
            value = value[key]
        return value

    def _require_said(self, value: Any, place: Place) -> None:
        if value is None:
            raise UserError(f"{self._file(place)}: {name(place)} is empty: write {{}} for nothing, or leave it out")
        if self.checked and place[-1] in SECTIONS and not isinstance(value, Mapping):
            raise UserError(
                f"{self._file(place)}: {name(place)} is {value!r}, and must be settings, as in {{n_way: 2}}"
            )

    def _paper(self, place: Place) -> str:
        return place[1] if place[0] == "parts" else self.paper_of[place[1]]

    def _file(self, place: Place) -> str:
        return self.files[self._paper(place)]

    def _require(self, wanted: Any, known: Iterable[str], what: str, place: Place) -> None:
        known = list(known)
        if wanted not in known:
            raise UserError(f"{self._file(place)}: {name(place)}: no {what} {wanted!r}{closest(wanted, known)}")


def name(place: Place) -> str:
    """As it is written in the file: "experiments.online_few_shot.methods.lstm"."""
    return ".".join(("parts", *place[2:]) if place[0] == "parts" else place)
