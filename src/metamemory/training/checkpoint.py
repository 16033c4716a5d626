"""Where a training goes on: the last checkpoint, and the one before it for the case that the last is damaged."""

import hashlib
import io
import random
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metamemory.training.files import first_line, reading, write_bytes, writing

MARK = b"\nsha256:"  # between what torch has saved and the digest of it, at the end of the file


class Checkpoint:
    """The file of a training that is not finished, and that of its last checkpoint but one, `<name>.before`."""

    def __init__(self, path: Path):
        self.path = path
        self.before = path.with_name(f"{path.name}.before")

    def exists(self) -> bool:
        return self.path.exists() or self.before.exists()

    def write(self, state: dict[str, Any]) -> None:
        """Keep a state; the one that was kept last is then the one before.

        Raises:
            UserError: it cannot be written.
        """
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        if self.path.exists():
            with writing(self.before):
                self.path.replace(self.before)
        write_bytes(self.path, content + MARK + hashlib.sha256(content).hexdigest().encode())

    def states(self, device: torch.device | str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """The states that are whole, the last one first, each with its file; of a damaged one it is told.

        Raises:
            UserError: the system does not let a file be read.
        """
        for path in (self.path, self.before):
            if not path.exists():
                continue
            with reading(path, "make it readable, or delete it to train from the checkpoint before it or the start"):
                content = path.read_bytes()
            try:
                state = _state(content, device)
            except Exception as error:  # a damaged file can fail in as many ways as there are bytes in it
                self.refuse(path, error)
            else:
                yield path, state

    def refuse(self, path: Path, error: Exception) -> None:
        """Tell that a file is of no use, and what is done instead."""
        other = path == self.path and self.before.exists()
        instead = "going on from the checkpoint before it" if other else "training from the start"
        print(f"{path} is damaged ({first_line(error)}): {instead}", file=sys.stderr, flush=True)

    def delete(self) -> None:
        """Once it is of no use any more.

        Raises:
            UserError: the system does not allow it.
        """
        for path in (self.path, self.before):
            with writing(path):
                path.unlink(missing_ok=True)


def _state(content: bytes, device: torch.device | str) -> dict[str, Any]:
    saved, mark, digest = content.rpartition(MARK)
    if mark and len(digest) <= 64:
        if hashlib.sha256(saved).hexdigest().encode() != digest:
            raise ValueError("it does not have its digest")
    else:  # of a time before there were digests; torch does not look at the checksums of its parts
        saved = content
        with zipfile.ZipFile(io.BytesIO(saved)) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"its part {damaged} does not have its checksum")
    state = torch.load(io.BytesIO(saved), map_location=device, weights_only=True)
    if not isinstance(state, dict):
        raise ValueError(f"it holds a {type(state).__name__}")
    return state


def seed_generators(seed: int) -> None:
    """Seed the generators that any module may draw from without being given one, as `nn.Dropout` does."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def generators(device: torch.device) -> dict[str, Any]:
    """The state of those generators, as plain values and tensors."""
    name, keys, *rest = np.random.get_state()
    state = {"torch": torch.get_rng_state(), "numpy": [name, keys.tolist(), *rest], "python": random.getstate()}
    return {**state, "cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else state


def restore_generators(state: dict[str, Any], device: torch.device) -> None:
    """Put them back to a state from `generators`."""
    torch.set_rng_state(state["torch"].cpu())
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
