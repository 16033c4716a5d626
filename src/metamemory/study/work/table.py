"""What is going on, a line a run: redrawn in place on a terminal, else a line when something happens."""

import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from metamemory.study.work.queue import Job, named

LINE = re.compile(r"episode ([\d,]+) of ([\d,]+)")
PARTS = {"accuracy": r"accuracy ([\d.]+ %)", "speed": r"([\d.]+) episodes/s", "left": r"([\d.]+) min left"}
SPARSE = 30.0  # seconds between lines of a run where there is no terminal


@dataclass
class Row:
    """A run that is being done.

    Attributes:
        share: of its training that is done.
        speed: episodes a second; "" before the first line of progress.
        left: minutes.
    """

    job: Job
    began: float = field(default_factory=time.monotonic)
    share: float = 0.0
    first: float | None = None
    accuracy: str = ""
    speed: str = ""
    left: str = ""
    said: float = 0.0

    def hear(self, line: str) -> bool:
        """Take in a line that the run printed; whether it told of progress."""
        if not (found := LINE.match(line)):
            return False
        done, total = (int(text.replace(",", "")) for text in found.groups())
        self.share = done / max(total, 1)
        if self.first is None:
            self.first = self.share
        for name, pattern in PARTS.items():
            if part := re.search(pattern, line):
                setattr(self, name, part[1])
        return True

    def seconds(self) -> float | None:
        """That the whole run takes at this speed; None while there is no telling."""
        elapsed, gained = time.monotonic() - self.began, self.share - (self.first or 0.0)
        return elapsed / gained if elapsed > 10 and gained > 0.01 else None

    def __str__(self) -> str:
        speed = f"{self.speed:>7} ep/s" if self.speed else f"{'':7}     "
        accuracy = f"{self.accuracy:>7}" if self.accuracy else f"{'':7}"
        left = f"{self.left:>6} min left" if self.left else f"{'':15}"
        return f"{named(self.job.run):56} {100 * self.share:3.0f} % {speed} {accuracy} {left}".rstrip()


class Table:
    """Args:
    out: where to show it.
    head: tells of the whole.
    """

    def __init__(self, head: Callable[[], str], out: TextIO | None = None):
        self.out = out or sys.stdout
        self.head, self.rows, self.drawn = head, {}, 0
        self.terminal = self.out.isatty()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._erase()
        print(text, file=self.out, flush=True)
        self.draw()

    def draw(self) -> None:
        """Show every run that is being done."""
        if not self.terminal:
            return self._sparsely(list(self.rows.values()))
        self._erase()
        lines = [self.head(), *map(str, self.rows.values())] if self.rows else []
        for line in lines:
            print(line[:160], file=self.out)
        self.out.flush()
        self.drawn = len(lines)
        return None

    def _erase(self) -> None:
        if self.terminal and self.drawn:
            self.out.write(f"\x1b[{self.drawn}A\x1b[J")
            self.drawn = 0

    def _sparsely(self, rows: Sequence[Row]) -> None:
        now = time.monotonic()
        for row in rows:
            if row.speed and now - max(row.said, row.began) >= SPARSE:
                row.said = now
                print(row, file=self.out, flush=True)
