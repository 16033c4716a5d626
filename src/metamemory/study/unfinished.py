"""Unfinished runs go with a change that keeps every bit, as finished ones do: their checkpoints are found by a digest
of what decides the run, which is another then."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from metamemory.study import runs
from metamemory.study.begun import note_of
from metamemory.training.checkpoint import Checkpoint

SEEDS = range(10)  # of which there may be checkpoints


def carried(root: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[Path, Path]]:
    """Checkpoints of runs with the old digests, of whatever seed, and what they are to be called."""
    for seed in SEEDS:
        path, other = (runs.checkpoint(root, runs.fingerprint(digests, seed)) for digests in (old, new))
        if Checkpoint(path).exists() and not Checkpoint(other).exists():
            yield path, other


def carry(path: Path, other: Path, renamed: Callable[[str, Any], Any]) -> None:
    """Rename a checkpoint, and what is measured in the learning curve that it holds."""
    for _, state in Checkpoint(path).states("cpu"):
        state["position"]["history"] = renamed("history", state["position"]["history"])
        Checkpoint(other).write(state)
        break
    Checkpoint(path).delete()
    if note_of(path).exists():
        note_of(path).replace(note_of(other))
