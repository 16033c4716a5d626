"""Finished runs, read back from results/ and put together over seeds."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metamemory.study.parameters import SCALES
from metamemory.study.runs import Run
from metamemory.study.stored import read_manifest_at, read_part
from metamemory.training.files import reading
from metamemory.training.statistics import Interval, bootstrap


@dataclass(frozen=True)
class Result:
    """A finished run and what it left in results/.

    Attributes:
        metrics: the numbers that sum it up, by name.
        scores: a row a shot: shot, accuracy, low, high, shares with the ends of a 95 % interval over test episodes.
            Protocols that measure something else have columns of their own.
        history: a row a validation: episodes, seconds, loss (nats a step), and what was measured.
        example: a test episode and the answers to it, or what else the experiment shows of its run.

    Raises:
        UserError: of each of the four, the file is missing, damaged or not what the run left.
    """

    run: Run
    manifest: dict[str, Any]

    @property
    def metrics(self) -> dict[str, float]:
        return self._part("metrics.json")

    @property
    def scores(self) -> list[dict[str, float]]:
        return self._part("scores.csv")

    @property
    def history(self) -> list[dict[str, float]]:
        return self._part("history.csv")

    @property
    def example(self) -> dict[str, Any]:
        return self._part("example.json")

    def _part(self, ending: str) -> Any:
        path = self.run.result(ending)
        return read_part(self.run, ending, self.manifest, _mend(path, self.run))


def _mend(path: Path, run: Run) -> str:
    return f"run it again (`python -m metamemory run {run.call}`), or get it back by `git checkout {path}`"


@dataclass(frozen=True)
class Group:
    """The seeds of one method in one setting at one scale: what a row of a table or a line of a figure shows."""

    results: list[Result]

    @property
    def run(self) -> Run:
        """The run of its first seed."""
        return self.results[0].run

    @property
    def data(self) -> str:
        """The data set as captions name it; a stand-in says so."""
        return self.results[0].manifest["data"]["title"]

    @property
    def comparable(self) -> bool:
        """Whether it was made at the paper's size and on its data: only then can it decide anything about the paper."""
        return self.run.scale == "paper" and "stand-in" not in self.data

    @property
    def may_differ(self) -> bool:
        """Whether another seed could give other numbers that are not here: of one that was trained with one seed."""
        return len(self.results) == 1 and self.results[0].manifest.get("training_episodes") != 0

    def accuracy(self, shot: int) -> Interval:
        """k-shot accuracy: over seeds where there are several, else over the episodes of the one."""
        rows = [result.scores[shot] for result in self.results]
        if len(rows) > 1:
            return bootstrap(np.array([row["accuracy"] for row in rows]), over="seeds")
        return Interval(rows[0]["accuracy"], rows[0]["low"], rows[0]["high"], over="episodes")

    @property
    def label(self) -> str:
        """Scale, data set and seeds, for captions."""
        count = len(self.results)
        return f"{self.run.scale} scale, {self.data}, {count} seed{'s' if count > 1 else ''}"


def finished(root: Path = Path("."), experiment: str = "*") -> Iterator[Result]:
    """All finished runs below `root`/results that have no overrides, in order of their path."""
    for path in sorted((root / "results").glob(f"*/{experiment}/*/*/seed*.manifest.json")):
        manifest = read_manifest_at(path)
        with reading(path, "run it again, or delete it"):
            run = Run(**manifest["run"], root=root)
            if run.result("manifest.json") != path:
                raise ValueError(f"it is of the run {run.place}")
        if not run.overrides:
            yield Result(run, manifest)


def groups(
    experiment: str, setting: str | None = None, root: Path = Path("."), method: str | None = None
) -> list[Group]:
    """Finished runs put together over seeds, of the largest scale first, as pages and tables show them.

    Those of one setting and one method, or of all. Smoke runs claim nothing and are left out, unless they are all
    there is.
    """
    together: dict[tuple, list[Result]] = {}
    for result in finished(root, experiment):
        run = result.run
        key = (run.scale, run.method, run.setting, result.manifest["data"]["title"])
        together.setdefault(key, []).append(result)
    shown = sorted((Group(seeds) for seeds in together.values()), key=lambda group: -SCALES.index(group.run.scale))
    if any(group.run.scale != "smoke" for group in shown):
        shown = [group for group in shown if group.run.scale != "smoke"]
    return [group for group in shown if setting in (None, group.run.setting) and method in (None, group.run.method)]


def at_the_largest_scale(*sides: Sequence[Group]) -> list[Group] | None:
    """One group of each side, at the largest scale at which all of them are; None where there is none. The groups of a
    side are of one method in one setting; of two at a scale, that on the paper's data is taken."""
    of_side = [{group.run.scale: group for group in sorted(side, key=lambda group: group.comparable)} for side in sides]
    scale = next((each for each in reversed(SCALES) if all(each in of for of in of_side)), None)
    return None if scale is None else [of[scale] for of in of_side]


def largest(experiment: str, setting: str | None, root: Path = Path(".")) -> list[Group]:
    """Those at the largest scale that was run; empty where none was."""
    return next(iter(by_scale(experiment, setting, root).values()), [])


def largest_of_each(experiment: str, settings: Iterable[str], root: Path = Path(".")) -> dict[str, list[Group]]:
    """The same of some settings; one that was not run is not there."""
    return {setting: found for setting in settings if (found := largest(experiment, setting, root))}


def by_scale(experiment: str, setting: str | None, root: Path = Path(".")) -> dict[str, list[Group]]:
    """The same by scale, largest first."""
    shown: dict[str, list[Group]] = {}
    for group in groups(experiment, setting, root):
        shown.setdefault(group.run.scale, []).append(group)
    return shown
