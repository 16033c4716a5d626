"""Runs in processes of their own that train in windows of time, when they are told to, and answer with their rate."""

import json
import subprocess
import sys
from collections.abc import Callable

READY = "ready\n"


def train_when_told(updates: Callable[[float], float]) -> None:
    """Be such a run: trains for as many seconds as a line of its input says, and answers with its episodes a second.

    Args:
        updates: trains for so many seconds, one update at least; returns episodes a second.
    """
    updates(0)
    print(READY, end="", flush=True)
    for line in sys.stdin:
        lead_in, seconds = json.loads(line)
        updates(lead_in)
        print(updates(seconds), flush=True)


def tell(process: subprocess.Popen, lead_in: float, seconds: float) -> None:
    """Let such a run train: the seconds of `lead_in` do not count."""
    process.stdin.write(f"[{lead_in}, {seconds}]\n")
    process.stdin.flush()
