"""The runs that are missing or stale, the most valuable first.

`priority` in params.yaml is a list of entries, the first the most valuable:

    - {why: what they are for, runs: [PATTERN, …], seeds: [0, 1, 2], scales: [laptop, paper]}

`seeds` are those of the parameters where an entry has none, and `scales` all. Runs that no entry names come last. A
pattern is experiment/method/setting/seed<k>, of which trailing parts may be left out and each may be a glob, as in
online_few_shot/*/omniglot; or one name alone, of an experiment, a method or a setting.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import product
from typing import Any, NamedTuple

from metamemory.errors import UserError, closest
from metamemory.study.parameter_files import FRONT
from metamemory.study.parameters import SCALES, Parameters
from metamemory.study.runs import Run
from metamemory.study.stored import BEGUN, FINISHED, NO_WEIGHTS, State
from metamemory.study.today import Today

OF_AN_ENTRY = ("why", "runs", "seeds", "scales")
REST = {"why": "in the parameters", "runs": ["*"]}


@dataclass(frozen=True)
class Job:
    """A run that is to be done.

    Attributes:
        why: the entry of the priority list that names it.
        state: why it is not done: "not run", "stale: …", "begun", "finished, without its weights", "damaged: …".
        fingerprint: of all that decides it; None where that is known only after `needs`.
        needs: place of the run whose weights it looks at, if that is to be done before.
        operations: floating-point operations of its training; None where they are not known.
        seconds: expected on this machine, what a checkpoint has done taken off; None where nothing tells.
        measured: what the seconds are taken from.
    """

    run: Run
    why: str
    state: str
    fingerprint: str | None = None
    needs: str | None = None
    operations: float | None = None
    seconds: float | None = None
    measured: str = ""

    @property
    def unfinished(self) -> bool:
        return self.state == BEGUN


def named(run: Run) -> str:
    """A run as patterns name it, and tables show it."""
    return f"{run.experiment}/{run.method}/{run.setting}/seed{run.seed}"


def matches(pattern: str, run: Run) -> bool:
    """Whether a pattern names a run."""
    parts = (run.experiment, run.method, run.setting, f"seed{run.seed}")
    wanted = pattern.removeprefix(f"{run.scale}/").strip("/").split("/")
    if len(wanted) == 1:
        return any(fnmatchcase(part, wanted[0]) for part in parts)
    return len(wanted) <= len(parts) and all(map(fnmatchcase, parts, wanted))


class Wanted(NamedTuple):
    """A run, and the entry of the priority list that names it."""

    run: Run
    why: str


class Queue:
    """All runs of a scale, in order, and which of them are to be done.

    Args:
        today: what decides each.
        scale: of the runs; that of the parameters where None.
        only: patterns, of which one names each run; all runs where there is none.
        headline: only those of the headline.
        pipeline: only those that are stages of the pipelines, with the seeds of the parameters.
        shard: (i, n): each n-th run from the i-th on, counted from 1. A run that looks at the weights of another is in
            the shard of that one. Shards do not change as runs are finished.
        weights: also do the runs whose results are here, but not their weights.

    Raises:
        UserError: there is no such scale; a pattern names no run; an entry of the priority list is not right.
    """

    def __init__(
        self,
        today: Today,
        scale: str | None = None,
        only: Sequence[str] = (),
        headline: bool = False,
        pipeline: bool = False,
        shard: tuple[int, int] | None = None,
        weights: bool = False,
    ):
        self.today, self.weights = today, weights
        parameters = today.parameters
        self.scale = parameters.choose(SCALES, parameters.scale if scale is None else scale, "scale")
        everything = self._in_order()
        if pipeline:
            everything = {place: each for place, each in everything.items() if self._planned(each.run)}
        for pattern in only:
            if not any(matches(pattern, each.run) for each in everything.values()):
                raise UserError(f"--only: no run {pattern!r}{closest(pattern, _names(everything))}")
        wanted = [each for each in everything.values() if not only or any(matches(name, each.run) for name in only)]
        if headline:
            wanted = [
                each
                for each in wanted
                if parameters.in_headline(each.run.experiment, each.run.method, each.run.setting)
            ]
        self.runs = self._of_shard(self._with_needed(wanted, everything), shard)

    def jobs(self) -> list[Job]:
        """What is to be done, unfinished runs first; without operations and seconds (`estimates`).

        Raises:
            UserError: data that a run needs are not prepared.
        """
        states = {place: self.today.state(each.run) for place, each in self.runs.items()}
        found: dict[str, Job] = {}
        for place, (run, why) in self.runs.items():
            needs = self.today.needs(run)
            needed = needs.place if needs is not None and needs.place in found else None
            state = states[place]
            if state.kind == NO_WEIGHTS and not self.weights and not self._looked_at(place, states):
                continue
            if state.kind != FINISHED or needed is not None:
                fingerprint = None if needed else self.today.fingerprint(run)
                reason = "its weights are made again" if state.kind == FINISHED else str(state)
                found[place] = Job(run, why, reason, fingerprint, needed)
        return sorted(found.values(), key=lambda job: not job.unfinished)

    def _looked_at(self, place: str, states: Mapping[str, State]) -> bool:
        """Whether a run that is to be done looks at the weights of this one."""
        to_do = (each.run for other, each in self.runs.items() if states[other].kind not in (FINISHED, NO_WEIGHTS))
        return any((needs := self.today.needs(run)) is not None and needs.place == place for run in to_do)

    def _planned(self, run: Run) -> bool:
        return run.seed in self.today.parameters.seeds(run.experiment)

    def _in_order(self) -> dict[str, Wanted]:
        """All runs by their place; of several entries that name a run, the first counts."""
        found: dict[str, Wanted] = {}
        parameters = self.today.parameters
        for number, entry in enumerate([*_entries(parameters), REST], start=1):
            for pattern in entry["runs"]:
                named_by_it = [run for run in self._all(entry) if matches(pattern, run)]
                if not named_by_it:
                    raise UserError(f"{FRONT}: priority, entry {number}: no run {pattern!r}")
                for run in named_by_it:
                    if self.scale in entry.get("scales", SCALES) and self.scale in parameters.scales(run.experiment):
                        found.setdefault(run.place, Wanted(run, entry["why"]))
        return found

    def _all(self, entry: Mapping[str, Any]) -> Iterator[Run]:
        """Every method in every setting, with the seeds of an entry."""
        parameters = self.today.parameters
        for experiment in parameters.experiments:
            seeds = entry.get("seeds") or parameters.seeds(experiment)
            names = product(parameters.methods(experiment), parameters.settings(experiment), seeds)
            for method, setting, seed in names:
                yield Run(self.scale, experiment, method, setting, seed, root=self.today.root)

    def _with_needed(self, wanted: Sequence[Wanted], everything: Mapping[str, Wanted]) -> dict[str, Wanted]:
        """Each run after that whose weights it looks at."""
        found: dict[str, Wanted] = {}
        for each in wanted:
            needs = self.today.needs(each.run)
            if needs is not None:
                found.setdefault(needs.place, Wanted(needs, f"its weights, for {named(each.run)}"))
            found.setdefault(each.run.place, each)
        return {place: everything.get(place, each) for place, each in found.items()}

    def _of_shard(self, wanted: dict[str, Wanted], shard: tuple[int, int] | None) -> dict[str, Wanted]:
        if shard is None:
            return wanted
        needs = {place: self.today.needs(each.run) for place, each in wanted.items()}
        first = [place for place in wanted if needs[place] is None]
        number = {place: at % shard[1] + 1 for at, place in enumerate(first)}
        return {
            place: each
            for place, each in wanted.items()
            if number[place if needs[place] is None else needs[place].place] == shard[0]
        }


def with_seconds(job: Job, operations: float | None, seconds: float | None, measured: str) -> Job:
    """The job with what it is expected to take."""
    return replace(job, operations=operations, seconds=seconds, measured=measured)


def _names(everything: Mapping[str, Wanted]) -> list[str]:
    parts = ((run.experiment, run.method, run.setting) for run, _ in everything.values())
    return list(dict.fromkeys(name for each in zip(*parts, strict=True) for name in each))


def _entries(parameters: Parameters) -> list[dict[str, Any]]:
    """The priority list, each entry with its keys right.

    Raises:
        UserError: it is not such a list.
    """
    entries = parameters.values.get("priority") or []
    if not isinstance(entries, list):
        raise UserError(f"{FRONT}: priority is {entries!r}, and must be a list of entries, each with why and runs")
    for number, entry in enumerate(entries, start=1):
        where = f"{FRONT}: priority, entry {number}"
        if not isinstance(entry, dict):
            raise UserError(f"{where} is {entry!r}, and must be {{why: …, runs: [PATTERN, …]}}")
        for key in entry:
            if key not in OF_AN_ENTRY:
                raise UserError(f"{where}: no key {key!r}{closest(key, OF_AN_ENTRY)}")
        if not isinstance(entry.get("why"), str):
            raise UserError(f"{where}: why is {entry.get('why')!r}, and must be words")
        patterns, seeds = entry.get("runs"), entry.get("seeds", [0])
        if not isinstance(patterns, list) or not patterns or not all(isinstance(each, str) for each in patterns):
            raise UserError(f"{where}: runs is {patterns!r}, and must be a list of patterns")
        scales = entry.get("scales", [])
        if not isinstance(scales, list) or any(scale not in SCALES for scale in scales):
            raise UserError(f"{where}: scales is {scales!r}, and must be some of {', '.join(SCALES)}")
        if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
            raise UserError(f"{where}: seeds is {seeds!r}, and must be a list of whole numbers, as in [0, 1, 2]")
    return entries
