"""What was found of each result, when digests were to be carried over a change (`lineage`)."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from metamemory.study.runs import Run


@dataclass(frozen=True)
class Found:
    """A result, and what was found of it: it is carried over with a proof, or stale for a reason, or neither yet."""

    run: Run
    manifest: dict[str, Any]
    proof: dict[str, Any] | None = None
    reason: str | None = None
    fresh: bool = False

    @property
    def open(self) -> bool:
        """Whether nothing is known of it yet."""
        return not (self.fresh or self.proof or self.reason)


def told(found: list[Found]) -> str:
    """How many results there are of each kind, and which are stale, for people."""
    kinds = Counter(_kind(each) for each in found)
    lines = [f"{count:5} {kind}" for kind, count in kinds.items()]
    return "\n".join([*lines, *(f"      {each.run.place}: {each.reason}" for each in found if each.reason)])


def _kind(found: Found) -> str:
    if found.fresh:
        return "as today"
    if found.proof:
        return f"carried over: {found.proof['proof']}"
    return "stale" if found.reason else "without proof yet"
