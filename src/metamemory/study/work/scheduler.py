"""Who does what when: starts the runs of a queue on workers, until nothing is left or the time is over."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from metamemory.study.stored import BEGUN
from metamemory.study.work.estimates import Estimates
from metamemory.study.work.queue import Job, named
from metamemory.study.work.table import Row, Table
from metamemory.study.work.workers import PATIENCE, Event

LOOK_EVERY = 1.0  # seconds
SLICE = 20.0  # seconds that are worth a slice of a run
MARGIN = 1.1  # of what a run is expected to take, to say that it fits


class Workers(Protocol):
    """Where runs are done: `workers.LocalWorkers`, `cluster.ClusterWorkers`."""

    active: dict
    jobs: int

    def room(self, job: Job) -> bool: ...
    def start(self, job: Job, minutes: float) -> None: ...
    def events(self, seconds: float) -> list[Event]: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def close(self) -> None: ...


@dataclass
class Tally:
    """What came of each job, by place of its run."""

    finished: dict[str, Job] = field(default_factory=dict)
    stopped: dict[str, Job] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    busy: dict[str, Job] = field(default_factory=dict)
    waiting: list[Job] = field(default_factory=list)

    @property
    def left(self) -> list[Job]:
        """What a later call has to do."""
        return [*self.stopped.values(), *self.waiting, *self.busy.values()]


class Scheduler:
    """Args:
    jobs: what is to be done, in order.
    minutes: that there are.
    ended: is told of each run that ends, with how.
    often: is called every second or so.
    interruption: whose `number` is None until a signal asks to stop.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        workers: Workers,
        estimates: Estimates,
        minutes: float = math.inf,
        ended: Callable[[Event], None] = lambda _: None,
        often: Callable[[], None] = lambda: None,
        interruption: object = None,
    ):
        self.workers, self.estimates, self.ended, self.often = workers, estimates, ended, often
        self.interruption = interruption
        self.tally = Tally(waiting=list(jobs))
        self.end = time.monotonic() + 60 * minutes
        self.told_to_stop: float | None = None
        self.table = Table(self._head)

    def run(self) -> Tally:
        """Until nothing is left, the time is over or a signal has come; every run that began is then at an end or at a
        checkpoint."""
        try:
            while True:
                if self._over():
                    self._stop()
                else:
                    self._fill()
                if not self.workers.active:
                    break
                for event in self.workers.events(LOOK_EVERY):
                    self._hear(event)
                self.table.draw()
                self.often()
        finally:
            self.workers.close()
        return self.tally

    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()

    def _over(self) -> bool:
        return self.left() <= 0 or getattr(self.interruption, "number", None) is not None

    def _stop(self) -> None:
        now = time.monotonic()
        if self.told_to_stop is None:
            self.told_to_stop = now
            self.table.say("stopping: the same command goes on from the checkpoints")
            self.workers.stop()
        elif now - self.told_to_stop > PATIENCE:
            self.workers.kill()

    def _fill(self) -> None:
        while (job := self._next()) is not None:
            self.tally.waiting.remove(job)
            self.table.rows[job.run.place] = Row(job)
            self.table.say(f"{named(job.run)}: {'goes on' if job.unfinished else 'begins'} ({job.state}; {job.why})")
            self.workers.start(job, self.left() / 60)

    def _next(self) -> Job | None:
        """The first that fits in the time left; else the first, of which a slice is done."""
        able = [job for job in self.tally.waiting if self._able(job)]
        for job in able:
            seconds = self.estimates.of(job).seconds if self.left() < math.inf else None
            if seconds is None or MARGIN * seconds <= self.left():
                return job
        return able[0] if able and self.left() > SLICE else None

    def _able(self, job: Job) -> bool:
        """Whether it can be started now."""
        if job.needs is not None and job.needs not in self.tally.finished:
            return False
        return self.workers.room(job)

    def _hear(self, event: Event) -> None:
        place = event.job.run.place
        row = self.table.rows[place]
        if not event.ends:
            if row.hear(event.text) and (seconds := row.seconds()) is not None:
                self.estimates.observe(event.job.run, seconds)
            return
        del self.table.rows[place]
        if event.kind == "died" and self.told_to_stop is not None:  # before it could write a checkpoint
            event = replace(event, kind="stopped")
        took = time.monotonic() - row.began
        name = named(event.job.run)
        if event.kind == "finished":
            self.tally.finished[place] = event.job
            if not event.job.unfinished:
                self.estimates.observe(event.job.run, took)
            self.table.say(f"{name}: finished in {took / 60:.1f} min")
        elif event.kind == "stopped":
            self.tally.stopped[place] = replace(event.job, state=BEGUN)
            self.table.say(f"{name}: stopped at a checkpoint, {100 * row.share:.0f} % of the training done")
        elif event.kind == "busy":
            self.tally.busy[place] = event.job
            self.table.say(f"{name}: passed over, {event.text}")
        else:
            self.tally.failed[place] = event.text
            self.table.say(f"{name}: failed: {event.text}")
        self.ended(event)

    def _head(self) -> str:
        tally = self.tally
        left = "" if self.left() == math.inf else f", {max(0.0, self.left()) / 60:.1f} minutes left"
        return f"{len(tally.finished)} finished, {len(self.table.rows)} at work, {len(tally.waiting)} waiting{left}"
