"""What `work --plan` shows: each run that is to be done, why, what it costs, and what the minutes will do of it."""

import heapq
import math
from collections.abc import Sequence

from metamemory.study.work.queue import Job, named
from metamemory.study.work.scheduler import MARGIN, SLICE

FINISHED, SLICED = "finished", "a slice"


def outlook(jobs: Sequence[Job], workers: int, minutes: float) -> dict[str, str]:
    """Place of a run -> "finished", "a slice", or "" where it is not come to, if all takes as long as expected."""
    free = [0.0] * workers  # seconds at which each worker is free
    found, waiting, end = {}, list(jobs), 60 * minutes
    finished: dict[str, float] = {}
    while waiting and free:
        now = heapq.heappop(free)
        able = [job for job in waiting if job.needs is None or finished.get(job.needs, math.inf) <= now]
        job = next((job for job in able if MARGIN * (job.seconds or 0.0) <= end - now), None)
        if job is None and (not able or end - now <= SLICE):
            later = [at for at in finished.values() if at > now]
            if not able and later:
                heapq.heappush(free, min(later))
            continue
        whole = job is not None
        job = job or able[0]
        waiting.remove(job)
        until = now + (job.seconds or 0.0) if whole else end
        found[job.run.place] = FINISHED if whole else SLICED
        if whole:
            finished[job.run.place] = until
        heapq.heappush(free, until)
    return found


def plan(jobs: Sequence[Job], workers: int, minutes: float, hardware: str) -> str:
    """The plan as a table, with what it comes to below."""
    if not jobs:
        return "Nothing is left to do"
    coming = outlook(jobs, workers, minutes)
    rows = [("run", "why", "state", "operations", "minutes", f"in {minutes:g} minutes" if minutes < math.inf else "")]
    for job in jobs:
        operations = "?" if job.operations is None else f"{job.operations:.1e}" if job.operations else "none"
        expected = "?" if job.seconds is None else f"{job.seconds / 60:.1f} ({job.measured})"
        comes = coming.get(job.run.place, "later") if minutes < math.inf else ""
        rows.append((named(job.run), job.why, job.state, operations, expected, comes))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    side_by_side = f"{workers} side by side" if workers > 1 else "one after the other"
    known = [job.seconds for job in jobs if job.seconds is not None]
    others = len(jobs) - len(known)
    unknown = f", and {others} of which nothing tells how long they take" if others else ""
    lines.append(
        f"{counted(len(jobs), 'run')} at scale {jobs[0].run.scale}, {side_by_side} on {hardware}: "
        f"about {sum(known) / 60 / workers:.0f} minutes{unknown}"
    )
    if minutes < math.inf:
        ends = list(coming.values())
        lines.append(
            f"{minutes:g} minutes will finish {ends.count(FINISHED)}, and leave {ends.count(SLICED)} at a checkpoint"
        )
    return "\n".join(lines)


def counted(count: int, what: str) -> str:
    """ "1 run", "2 runs"."""
    return f"{count} {what}{'' if count == 1 else 's'}"
