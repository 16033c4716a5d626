"""`python -m metamemory work`: the missing runs, the most valuable first, in the minutes that there are."""

import math
import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from metamemory.errors import UserError
from metamemory.locking import locked
from metamemory.study.locks import record
from metamemory.study.parameters import project_root
from metamemory.study.processors import usable
from metamemory.study.recording import hardware
from metamemory.study.speed import measured
from metamemory.study.today import Today
from metamemory.study.work import arrivals
from metamemory.study.work.arrivals import HERE, IMPORTED, REFUSED
from metamemory.study.work.estimates import Estimates
from metamemory.study.work.export import Export, note_done
from metamemory.study.work.plan import counted, plan
from metamemory.study.work.queue import Job, Queue, named
from metamemory.study.work.scheduler import Scheduler, Tally, Workers
from metamemory.study.work.workers import FOLDER, Event, LocalWorkers
from metamemory.training.interruption import Interruption

NOTHING_LEFT, FAILED, LEFT, INTERRUPTED = 0, 1, 3, 128  # exit codes; to the last the number of the signal is added
RESERVE = 0.05  # share of the minutes, but no more than RESERVE_SECONDS, for checkpoints to be written
RESERVE_SECONDS = 10.0
MEMORY = 2 * 2**30  # bytes that a run may need
ON_A_GPU = 4  # side by side, where nothing was measured


@dataclass(frozen=True)
class Wish:
    """What is asked for: the options of the command."""

    minutes: float = math.inf
    jobs: int | None = None
    scale: str | None = None
    only: Sequence[str] = ()
    headline: bool = False
    pipeline: bool = False
    shard: tuple[int, int] | None = None
    weights: bool = False
    cluster: str | None = None
    export: Path | None = None
    archives: int = 8
    archive_size: int = 15 * 2**20
    root: Path = Path(".")


def work(wish: Wish) -> int:
    """Do what is missing; returns the exit code.

    Raises:
        UserError: what is asked for cannot be done; nothing has been run then.
    """
    began = time.monotonic()
    queue, jobs, estimates, workers = prepare(wish)
    export = Exporting(wish, queue)
    if not jobs:
        print("Nothing is left to do")
        export.refresh()
        _record(wish.root)
        return NOTHING_LEFT
    seconds = 60 * wish.minutes
    reserve = min(RESERVE * seconds, RESERVE_SECONDS) if seconds < math.inf else 0.0
    minutes = (seconds - reserve - (time.monotonic() - began)) / 60
    print(f"{counted(len(jobs), 'run')} to do, {counted(workers.jobs, 'worker')} on {estimates.hardware}", flush=True)
    with Interruption() as asked:
        scheduler = Scheduler(jobs, workers, estimates, minutes, export.ended, export.often, asked)
        tally = scheduler.run()
        export.refresh()
        _record(wish.root)
    print(summary(tally, estimates))
    print(export.told(), end="")
    if asked.number is not None:
        return INTERRUPTED + asked.number
    return FAILED if tally.failed else LEFT if tally.left else NOTHING_LEFT


def show(wish: Wish) -> None:
    """Print the plan, and do nothing."""
    _, jobs, estimates, workers = prepare(wish)
    estimated = [estimates.of(job) for job in tqdm(jobs, "what it costs", unit=" runs", leave=False)]
    print(plan(estimated, workers.jobs, wish.minutes, estimates.hardware))


class Exporting:
    """Keeps the archives of `--export` up to date, if there are any; what goes wrong with them stops no run."""

    def __init__(self, wish: Wish, queue: Queue):
        self.root, self.export = wish.root, None
        if wish.export is not None:
            wanted = list(queue.runs.values())
            self.export = Export(wish.export, queue.today, wanted, wish.archives, wish.archive_size, wish.shard)

    def ended(self, event: Event) -> None:
        """A run has ended."""
        if event.kind == "finished":
            note_done(self.root, event.job.run.place)
        self.refresh()

    def often(self) -> None:
        """Some time has passed."""
        self.refresh(force=False)

    def refresh(self, force: bool = True) -> None:
        """Write what is new."""
        if self.export is not None:
            try:
                self.export.refresh(force)
            except UserError as error:
                print(f"not exported: {error}", file=sys.stderr, flush=True)

    def told(self) -> str:
        """What lies in the folder."""
        return "" if self.export is None else f"{self.export.told()}\n"


def prepare(wish: Wish) -> tuple[Queue, list[Job], Estimates, Workers]:
    """All runs, those to be done in order, what they cost here, and who does them."""
    today = Today(wish.root)
    queue = Queue(today, wish.scale, wish.only, wish.headline, wish.pipeline, wish.shard, wish.weights)
    jobs = queue.jobs()
    count = wish.jobs or side_by_side()
    threads = _told_threads() or max(1, usable() // count)
    torch.set_num_threads(threads)
    here = hardware(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    if wish.cluster is None:
        return queue, jobs, Estimates(today, here), LocalWorkers(count, threads)
    from metamemory.study.work.cluster import ClusterWorkers

    workers = ClusterWorkers(wish.cluster, today, wish.jobs)
    return queue, jobs, Estimates(today, workers.hardware), workers


def bring_home(paths: Sequence[Path], root: Path = Path(".")) -> int:
    """`python -m metamemory import`; returns the exit code, 1 where something was refused."""
    counts = {IMPORTED: 0, HERE: 0, REFUSED: 0}
    for kind, line in arrivals.bring_home(paths, root):
        counts[kind] += 1
        print(f"{kind}: {line}", flush=True)
    if counts[IMPORTED]:
        _record(root)
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    return FAILED if counts[REFUSED] else NOTHING_LEFT


def _told_threads() -> int | None:
    """What OMP_NUM_THREADS says, which is a list where threads have threads; None where it is no number of them."""
    told = re.match(r"\s*([0-9]{1,4})\s*(,|$)", os.environ.get("OMP_NUM_THREADS", ""))
    return int(told[1]) or None if told else None


def side_by_side() -> int:
    """How many runs at a time: one a core, as far as the memory goes; on a GPU as many as were fastest together where
    that was measured, else a few."""
    if torch.cuda.is_available():
        return min(_fastest_together(torch.cuda.get_device_name()) or ON_A_GPU, usable())
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return usable()
    return max(1, min(usable(), memory // MEMORY))


def _fastest_together(card: str) -> int | None:
    """Of runs on such a card, as `benchmarks/gpu.py` counted them."""
    report = measured("gpu", project_root()) or {}
    counted = report.get("side_by_side", {}) if report.get("hardware") == card else {}
    rates = {int(runs): each["episodes_per_second"] for runs, each in counted.items()}
    return max(rates, key=rates.__getitem__, default=None)


def summary(tally: Tally, estimates: Estimates) -> str:
    """What was done, and what is left."""
    lines = [f"finished: {counted(len(tally.finished), 'run')}"]
    lines += [f"failed: {place}: {why}" for place, why in tally.failed.items()]
    if tally.left:
        known = [seconds for job in tally.left if (seconds := estimates.of(job).seconds) is not None]
        unknown = len(tally.left) - len(known)
        rest = f", and {unknown} of which nothing tells how long they take" if unknown else ""
        kinds = f"{len(tally.stopped)} at a checkpoint" + (f", {len(tally.busy)} done elsewhere" if tally.busy else "")
        minutes = f"about {sum(known) / 60:.0f} minutes of one worker{rest}"
        lines.append(f"left: {counted(len(tally.left), 'run')} ({kinds}), {minutes}")
        lines.append(f"next: {', '.join(named(job.run) for job in tally.left[:3])}; the same command goes on")
    else:
        lines.append("left: nothing" if not tally.failed else "left: only what failed")
    return "\n".join(lines)


def _record(root: Path) -> None:
    """Tell DVC of all finished runs; two processes do it one after the other."""
    try:
        with locked(root / FOLDER / "locks" / "record.lock", wait=True):
            record(root)
    except (UserError, OSError) as error:
        print(f"not recorded with DVC: {error}", file=sys.stderr)
