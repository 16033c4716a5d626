"""The weights of pretrained/ measured again on this machine, beside the numbers that were measured when they were kept.

Nothing is trained. A number agrees if it is within a tenth of a point; episodes are the same everywhere, so that only
the rounding of sums can differ. What was measured on a data set is not measured on its stand-in: that is refused.
"""

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from metamemory.data import ImageSet
from metamemory.errors import UserError
from metamemory.study.pretrained import FOLDER, all_kept, measure, read_kept
from metamemory.study.processors import usable
from metamemory.study.runs import Run, load_images
from metamemory.study.tables import markdown
from metamemory.study.work.queue import matches

TOLERANCE = 0.001  # of a share of 1: a tenth of a point


@dataclass(frozen=True)
class Number:
    """One metric of one run.

    Attributes:
        of_run: what the run itself measured, with its own weights in all of its test episodes.
        kept: what the rounded weights measured when they were kept.
        here: the same on this machine.
    """

    run: str
    data: str
    episodes: int | None
    metric: str
    of_run: float
    kept: float
    here: float

    @property
    def agrees(self) -> bool:
        """Whether it is within a tenth of a point."""
        return abs(self.here - self.kept) <= TOLERANCE + 1e-9


def verify(root: Path = Path("."), only: tuple[str, ...] = (), jobs: int | None = None) -> bool:
    """Measure all weights of pretrained/, or those that a pattern of runs names, and print a table.

    Returns:
        Whether all numbers agree.

    Raises:
        UserError: there are no such weights, or they are damaged; the data set of one is missing, or is another or a
            stand-in.
    """
    began = time.monotonic()
    paths = [path for path in all_kept(root) if not only or any(matches(each, _run_of(path, root)) for each in only)]
    if not paths:
        if only and all_kept(root):
            raise UserError(f"{root / FOLDER} holds no weights of {' '.join(only)}")
        raise UserError(f"{root / FOLDER} holds no weights: run from the top of a checkout of the project")
    for path in paths:
        _images(path, root)  # what is refused is refused before anything is measured
    found = []
    for numbers in _measured(paths, root, min(jobs or usable(), len(paths))):
        found += numbers
        agreed = sum(each.agrees for each in numbers)
        print(f"{numbers[0].run}: {agreed} of {len(numbers)} numbers agree", flush=True)
    agreed = sum(each.agrees for each in found)
    print(f"\n{table(found)}\n")
    seconds = time.monotonic() - began
    print(f"{agreed} of {len(found)} numbers agree within {100 * TOLERANCE:g} point, in {seconds:.0f} s")
    return agreed == len(found)


def table(numbers: list[Number]) -> str:
    """A row a number, in %."""
    header = ["weights of the run", "data", "episodes", "metric", "the run, %", "committed, %", "here, %", ""]
    rows, before = [], None
    for each in numbers:
        name = ["", "", ""] if each.run == before else [each.run, each.data, _count(each.episodes)]
        values = (f"{100 * value:.2f}" for value in (each.of_run, each.kept, each.here))
        rows.append([*name, each.metric, *values, "agrees" if each.agrees else "DIFFERS"])
        before = each.run
    return markdown(header, rows)


def _count(episodes: int | None) -> str:
    return "" if episodes is None else f"{episodes:,}"


def _run_of(path: Path, root: Path) -> Run:
    return Run(**read_kept(path.with_suffix(".json"))["run"], root=root)


def _images(path: Path, root: Path) -> ImageSet | None:
    """The data set of kept weights.

    Raises:
        UserError: it is missing, or not what they were measured on.
    """
    kept = read_kept(path.with_suffix(".json"))
    images = load_images(_run_of(path, root), kept["configuration"])
    if images is None or images.digest == kept["digests"].get("data"):
        return images
    name, there = kept["configuration"]["data"]["name"], images.title or images.name
    mend = f"fetch it by `python -m metamemory data {name}`, with METAMEMORY_MIRROR or its own host in reach"
    raise UserError(f"{path.relative_to(root)} was measured on {kept['data']}, and data/ has {there}: {mend}")


def _measured(paths: list[Path], root: Path, jobs: int) -> Iterator[list[Number]]:
    """The numbers of each, one after the other or side by side, each on one core."""
    if jobs == 1:
        yield from (numbers_of(path, root) for path in paths)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        try:
            yield from pool.map(numbers_of, paths, [root] * len(paths))
        except BrokenProcessPool:
            raise UserError("a process was killed, perhaps for want of memory: verify with --jobs 1") from None
        finally:
            pool.shutdown(cancel_futures=True)


def numbers_of(path: Path, root: Path) -> list[Number]:
    """What kept weights measure here, beside what they measured before."""
    kept = read_kept(path.with_suffix(".json"))
    here = measure(kept, path, _images(path, root))
    of_run, before = kept["metrics"], kept["metrics_of_these_weights"]
    name, episodes = _run_of(path, root).place, kept["test_episodes"]
    return [
        Number(name, kept["data"], episodes, each, of_run[each], before[each], value) for each, value in here.items()
    ]
