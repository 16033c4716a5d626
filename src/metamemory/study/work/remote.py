"""What a node of a cluster executes: a run in a process of its own, and what it leaves on its way back."""

import hashlib
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

CHECKPOINTS = 5.0  # seconds between two looks for a new checkpoint


class Flag:
    """An actor that is told to stop, and that tells so."""

    def __init__(self) -> None:
        self.raised = False

    def raise_it(self) -> None:
        self.raised = True

    def is_raised(self) -> bool:
        return self.raised


def versions() -> dict[str, str]:
    """Of Python and the packages that decide bits."""
    import numpy
    import torch

    return {"python": platform.python_version(), "torch": torch.__version__.split("+")[0], "numpy": numpy.__version__}


def do(
    run: Mapping[str, Any],
    minutes: float,
    checkpoint: bytes | None,
    fingerprint: str | None,
    data: Mapping[str, Any],
    trained: Mapping[str, bytes],
    flag: Any,
) -> Iterator[tuple[str, Any]]:
    """Do a run in a folder of its own, or go on with it from a checkpoint.

    Yields:
        ("line", text) of what it prints, ("item", fields of an `archives.Item`) for each new checkpoint and for the
        finished run, and last how it ended: ("finished" | "stopped" | "failed", reason).
    """
    import ray

    from metamemory.study import runs
    from metamemory.study.today import Today
    from metamemory.training.files import write_bytes

    with tempfile.TemporaryDirectory(prefix="metamemory-") as folder:
        root = Path(folder)
        for name in ("params.yaml", "params"):
            (root / name).symlink_to(Path(name).resolve())
        _place_data(root, {name: ray.get(reference) for name, reference in data.items()})
        for name, content in trained.items():
            write_bytes(root / name, content)
        here = runs.Run(**run, root=root)
        if checkpoint is not None:
            write_bytes(runs.checkpoint(root, fingerprint), checkpoint)
        yield from _followed(here, Today(root).digests(here), minutes, flag)


def _followed(run: Any, digests: Mapping[str, Any], minutes: float, flag: Any) -> Iterator[tuple[str, Any]]:
    """Do a run in a process, and yield what comes of it, until it ends."""
    from metamemory.study import runs
    from metamemory.study.work.archives import finished_item, unfinished_item
    from metamemory.study.work.workers import perform

    path = runs.checkpoint(run.root, runs.fingerprint(digests, run.seed))
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=perform, args=(run, minutes, theirs))
    process.start()
    theirs.close()
    looked, stamp, told = time.monotonic(), path.stat().st_mtime_ns if path.exists() else None, False
    ended = ("failed", "its process was killed")
    while True:
        if ours.poll(1.0):
            try:
                kind, text = ours.recv()
            except (EOFError, OSError):
                break
            if kind != "line":
                ended = (kind, text)
                break
            yield kind, text
        if time.monotonic() - looked > CHECKPOINTS:
            looked = time.monotonic()
            if path.exists() and path.stat().st_mtime_ns != stamp:
                stamp = path.stat().st_mtime_ns
                if item := unfinished_item(run, digests):
                    yield "item", vars(item)
            if not told and _raised(flag):
                told = True
                process.terminate()
    process.join()
    item = finished_item(run) if ended[0] == "finished" else unfinished_item(run, digests)
    if item:
        yield "item", vars(item)
    yield ended


def _raised(flag: Any) -> bool:
    """Whether the flag is; a node that has died may have taken it along."""
    import ray

    try:
        return ray.get(flag.is_raised.remote(), timeout=10)
    except ray.exceptions.RayError:
        return False


def _place_data(root: Path, files: Mapping[str, bytes]) -> None:
    """The data, kept once a node under their digest."""
    for name, content in files.items():
        kept = Path(tempfile.gettempdir()) / "metamemory-data" / hashlib.sha256(content).hexdigest()
        if not kept.exists() or kept.stat().st_size != len(content):
            kept.parent.mkdir(parents=True, exist_ok=True)
            partial = kept.with_name(f"{kept.name}.{os.getpid()}")
            partial.write_bytes(content)
            partial.replace(kept)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(kept)
