"""How many processors may be used: those of the machine, less what a scheduler or a container keeps from us."""

import os
from contextlib import suppress
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def granted() -> int:
    """Those that this process may run on, a few at a time or all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable() -> int:
    """At a time; at least 1. A share of a processor counts as none, unless there is no other."""
    return max(1, int(min(granted(), _quota())))


def _quota() -> float:
    """Processors that the control group may use at a time; infinite where nothing limits it."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        with suppress(OSError, ValueError):
            text = " ".join((CGROUP / file).read_text(encoding="utf-8") for file in files)
            quota, period = map(int, text.split()[:2])
            if quota > 0 and period > 0:
                return quota / period
    return float("inf")
