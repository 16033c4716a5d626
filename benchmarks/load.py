"""How busy a Linux machine is."""

import os
from pathlib import Path


def busy_seconds() -> float:
    """Of all processors since the machine started; what its hypervisor gave to others is among them."""
    user, nice, system, _, _, *rest = map(int, Path("/proc/stat").read_text(encoding="utf-8").split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Of a process since it began."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
