"""Runs side by side on this machine, each in a process of its own.

A run holds a lock as long as its process lives, so that no other process does it at the same time and a crash leaves
nothing behind. A process whose parent is gone, by kill -9 as well, stops at a checkpoint.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from metamemory.errors import UserError
from metamemory.locking import locked
from metamemory.study.neighbours import bind_threads
from metamemory.study.parameters import VALID
from metamemory.study.runs import Run, execute
from metamemory.study.work.queue import Job, named
from metamemory.training import progress
from metamemory.training.interruption import interruptible

FOLDER = Path(".resume") / "work"  # of locks and logs
SAY_EVERY = 1.0  # seconds between two lines of progress of a run
PATIENCE = 30.0  # seconds that a process has to write its checkpoint before it is killed


@dataclass(frozen=True)
class Event:
    """What a worker tells of a run.

    Attributes:
        kind: "line" of what the run prints; or how it ended: "finished", "stopped" at a checkpoint, "busy" where
            another process does it, "failed", "died" where its process is gone and has not said why.
        text: the line, or the reason.
    """

    job: Job
    kind: str
    text: str = ""

    @property
    def ends(self) -> bool:
        return self.kind != "line"


def log_of(run: Run) -> Path:
    """Where what a run prints is kept."""
    return run.root / FOLDER / "logs" / f"{run.place.replace('/', '-')}.log"


def lock_of(run: Run) -> Path:
    """What a process has locked as long as it does the run."""
    return run.root / FOLDER / "locks" / f"{run.place.replace('/', '-')}.lock"


class _Told:
    """Standard output that also sends each line to whoever watches."""

    def __init__(self, channel: Connection, log: Any):
        self.channel, self.log, self.rest = channel, log, ""

    def write(self, text: str) -> int:
        self.log.write(text)
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            with suppress(OSError):
                self.channel.send(("line", line))
        return len(text)

    def flush(self) -> None:
        self.log.flush()

    def isatty(self) -> bool:
        return False


def perform(run: Run, minutes: float, channel: Connection, valid: frozenset[tuple] = frozenset()) -> None:
    """What a process does: the run, until it is finished, the minutes are over or it is told to stop (SIGTERM).
    Parameters that were found `valid` are not looked through again."""
    VALID.update(valid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes: the parent passes it on
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    progress.LINE_SECONDS = SAY_EVERY
    path = log_of(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", buffering=1) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        sys.stdout, sys.stderr = _Told(channel, log), log
        with interruptible():
            channel.send(_ended(run, minutes, path))


def _ended(run: Run, minutes: float, log: Path) -> tuple[str, str]:
    """How the run ended, and why."""
    try:
        with locked(lock_of(run)) as ours:
            if not ours:
                return "busy", "another process does it"
            return ("finished" if execute(run, minutes) else "stopped"), ""
    except UserError as error:
        return "failed", str(error)
    except KeyboardInterrupt:
        return "stopped", ""
    except Exception as error:
        traceback.print_exc()
        text = " ".join(str(error).split("\n")[0].split())
        return "failed", f"{type(error).__name__}: {text}; the traceback is in {log}"


def _stop_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


class LocalWorkers:
    """Processes of this machine.

    Args:
        jobs: how many at a time.
        threads: of each.
    """

    def __init__(self, jobs: int, threads: int):
        self.jobs = jobs
        if jobs == 1:
            bind_threads()  # in the environment, which a process reads when it loads torch
        else:
            os.environ["OMP_NUM_THREADS"] = str(threads)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["metamemory.study.runs"])  # torch is loaded once
        self.active: dict[str, tuple[Job, Any, Connection]] = {}  # by place

    def room(self, job: Job) -> bool:
        """Whether a job can be started now."""
        return len(self.active) < self.jobs

    def start(self, job: Job, minutes: float) -> None:
        ours, theirs = self.context.Pipe(duplex=False)
        process = self.context.Process(
            target=perform, args=(job.run, minutes, theirs, frozenset(VALID)), name=named(job.run)
        )
        process.start()
        theirs.close()
        self.active[job.run.place] = (job, process, ours)

    def events(self, seconds: float) -> list[Event]:
        """What has happened; waits for so long at most."""
        if not self.active:
            time.sleep(min(seconds, 0.05))
            return []
        ready = wait([channel for _, _, channel in self.active.values()], seconds)
        found = []
        for job, process, channel in list(self.active.values()):
            if channel in ready:
                found += self._heard(job, process, channel)
        return found

    def _heard(self, job: Job, process: Any, channel: Connection) -> list[Event]:
        found = []
        try:
            while channel.poll() and not (found and found[-1].ends):
                found.append(Event(job, *channel.recv()))
        except (EOFError, OSError):
            process.join()
            code = process.exitcode
            how = f"was killed ({signal.Signals(-code).name})" if code and code < 0 else f"ended with exit code {code}"
            found.append(Event(job, "died", f"its process {how}; what it printed is in {log_of(job.run)}"))
        if found and found[-1].ends:
            process.join()
            channel.close()
            del self.active[job.run.place]
        return found

    def stop(self) -> None:
        """Ask all to stop at a checkpoint."""
        for _, process, _ in self.active.values():
            with suppress(OSError):
                process.terminate()

    def kill(self) -> None:
        """End all at once."""
        for _, process, _ in self.active.values():
            with suppress(OSError):
                process.kill()

    def close(self) -> None:
        """When nothing is to be started any more."""
        self.kill()
        for _, process, channel in self.active.values():
            process.join()
            channel.close()
        self.active.clear()
