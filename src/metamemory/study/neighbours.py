"""How a run of several threads treats the other processes of its machine.

Threads of OpenMP spin while they wait for one another: some milliseconds, in which they are ready to go on at once.
On processors of one's own that is fastest. Beside another busy process it is ruinous: a thread spins away the time in
which the one that it waits for could run, and two threads of a run that the system has put on one processor, to leave
the other to its neighbour, wait a whole time slice for each other at every operation (`benchmarks/neighbours.py`).

GNU's OpenMP, which torch uses on Linux, reads how long to spin only once, as it is loaded. But it spins for a moment
only while there are more threads than processors, and that changes as it runs. So `sharing_processors` watches how long
the threads of this process wait for a processor; while that is long, it keeps a team of further threads, which sleep.
Results do not depend on it: how many threads share an operation stays as it was.
"""

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

LOOK_EVERY = 0.25  # seconds
CROWDED = 0.45  # seconds a second that threads wait for a processor; beside a busy process it is 0.7 and more
FIRST_REST, LONGEST_REST = 1.0, 32.0  # seconds of sleeping waits before spinning is tried again


@contextmanager
def sharing_processors() -> Iterator[None]:
    """While the body runs, threads of OpenMP sleep where they would spin as long as others need the processors.

    Does nothing for one thread, without GNU's OpenMP, where the system does not tell how long threads wait, or where
    the environment says how to wait (`OMP_WAIT_POLICY`, `GOMP_SPINCOUNT`).
    """
    told = "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ
    if told or torch.get_num_threads() == 1 or not hasattr(ctypes.CDLL(None), "GOMP_parallel") or waited() is None:
        yield
        return
    done = threading.Event()
    watch = threading.Thread(target=_watch, args=(done,), daemon=True)
    watch.start()
    try:
        yield
    finally:
        done.set()
        watch.join()


def waited() -> float | None:
    """Seconds that the threads of this process have been ready to run, but had no processor; None if not known."""
    seconds = 0.0
    for thread in Path("/proc/self/task").glob("*/schedstat"):
        try:
            seconds += int(thread.read_text(encoding="utf-8").split()[1]) / 1e9
        except OSError:  # it has ended
            continue
        except (IndexError, ValueError):
            return None
    return seconds or None


class Decision:
    """Whether to sleep or to spin, from the share of time that threads waited for a processor.

    Spinning is tried again after a rest; each time that it is crowded again at once, the rest is twice as long.
    """

    def __init__(self) -> None:
        self.sleeping = False
        self.rest = FIRST_REST
        self.since = -LONGEST_REST  # the last change, in seconds

    def __call__(self, share: float, now: float) -> bool:
        """Args: seconds waited a second since the last look; seconds of any clock. Returns whether to sleep."""
        if self.sleeping == (share > CROWDED):
            return self.sleeping
        if not self.sleeping:
            soon = now - self.since < 2 * FIRST_REST
            self.rest = min(2 * self.rest, LONGEST_REST) if soon else FIRST_REST
        elif now - self.since < self.rest:
            return True
        self.sleeping, self.since = not self.sleeping, now
        return self.sleeping


class SleepingTeam:
    """Threads of OpenMP that sleep: with those that work they are more than the processors, so none spins for long."""

    def __init__(self) -> None:
        self.system = ctypes.CDLL(None)
        self.size = max(2, os.cpu_count() - torch.get_num_threads() + 2)
        self.semaphore = ctypes.create_string_buffer(128)
        self.system.sem_init(self.semaphore, 0, 0)
        self.thread = threading.Thread(target=self._sleep, daemon=True)
        self.thread.start()

    def _sleep(self) -> None:
        self.system.GOMP_parallel(self.system.sem_wait, self.semaphore, self.size, 0)  # each thread waits

    def dismiss(self) -> None:
        for _ in range(self.size):
            self.system.sem_post(self.semaphore)
        self.thread.join()


def _watch(done: threading.Event, look: Callable[[], float | None] = waited) -> None:
    decision, team = Decision(), None
    before, then = look(), time.monotonic()
    while not done.wait(LOOK_EVERY):
        total, now = look(), time.monotonic()
        sleep = decision((total - before) / (now - then), now)
        before, then = total, now
        if sleep and team is None:
            team = SleepingTeam()
        elif not sleep and team is not None:
            team.dismiss()
            team = None
            before, then = look(), time.monotonic()
    if team is not None:
        team.dismiss()
