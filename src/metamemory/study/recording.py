"""What a run leaves in results/ and runs/: its files, written whole or not at all, the manifest last."""

import csv
import hashlib
import io
import json
import platform
import resource
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

import metamemory
from metamemory.errors import UserError
from metamemory.models.learner import Learner
from metamemory.protocols import Outcome
from metamemory.study.stored import ENDINGS, seal
from metamemory.training.files import first_line, remove_abandoned, require_writable, write_bytes, writing

DECIDES = ("src", "params.yaml", "params", "notebooks")  # what decides a run: whether it is dirty is in the manifest


COPIES = 5  # of the weights in a checkpoint: those, the best so far, two moments of the optimiser, and some room


def require_recordable(run: Any, checkpoint: Path, learner: Learner | None = None) -> None:
    """Find out before a `runs.Run` is done whether all that it will write can be written, its weights too where the
    learner is given; and remove what writers that have died left beside it.

    Raises:
        UserError: a name is too long, a folder cannot be made or written to, the disk is full, the weights are not of
            a kind that can be stored.
    """
    if learner is not None:
        size = len(_weights(run, learner))
        require_writable(checkpoint, COPIES * size)
        require_writable(run.model, size)
        return
    paths = [run.model, checkpoint, *map(run.result, ENDINGS)]
    for path in paths:
        require_writable(path)
    remove_abandoned(dict.fromkeys(path.parent for path in paths))


def record(
    run: Any,
    outcome: Outcome,
    config: Mapping[str, Any],
    digests: Mapping[str, str | None],
    fingerprint: str,
    device: torch.device,
    seconds: float,
) -> None:
    """Write the files of a finished `runs.Run`.

    Raises:
        UserError: the disk is full or a folder cannot be written to.
    """
    weights = _weights(run, outcome.learner)
    contents = {
        "metrics.json": _json(outcome.metrics),
        "scores.csv": _csv(outcome.scores, ["shot", "accuracy", "low", "high"]),
        "history.csv": _csv(outcome.history, ["episodes", "seconds", "loss"]),
        "example.json": _json(outcome.example),
    }
    named = ("scale", "experiment", "method", "setting", "seed")
    manifest = {
        "run": {**{name: getattr(run, name) for name in named}, "overrides": dict(run.overrides)},
        "fingerprint": fingerprint,
        "digests": digests,
        "configuration": config,
        **outcome.facts,
        "hardware": hardware(device),
        "device": device.type,
        "threads": torch.get_num_threads(),
        "seconds": round(seconds, 1),
        "peak_memory_bytes": _peak_memory(device),
        "versions": versions(),
        "git": _git_state(run.root),
        "model": _sha256(weights),
        "files": {ending: _sha256(content) for ending, content in contents.items()},
    }
    manifest = json.loads(json.dumps(manifest))
    sealed = _json({**manifest, "sha256": seal(manifest)}, indent=1)
    with writing(run.result("manifest.json")):
        run.result("manifest.json").unlink(missing_ok=True)
    write_bytes(run.model, weights)
    for ending, content in contents.items():
        write_bytes(run.result(ending), content)
    write_bytes(run.result("manifest.json"), sealed)


def _weights(run: Any, learner: Learner) -> bytes:
    """The file of the weights; what shares memory in the learner is in it under each of its names."""
    try:
        state = {name: value.detach().clone().contiguous() for name, value in learner.state_dict().items()}
        return safetensors.torch.save(state)
    except Exception as error:  # of whatever else than dense tensors of real numbers a learner may have
        raise UserError(f"{run.model} cannot hold the weights of this learner: {first_line(error)}") from error


def versions() -> dict[str, str]:
    """Of what decides bits, as they say themselves: a package that was not installed has no metadata."""
    modules = {"torch": torch, "numpy": np, "metamemory": metamemory}
    return {"python": platform.python_version(), **{name: str(each.__version__) for name, each in modules.items()}}


def _json(value: Any, indent: int | None = None) -> bytes:
    return (json.dumps(value, indent=indent) + "\n").encode()


def _csv(rows: list[dict], header: list[str]) -> bytes:
    """`header` names the columns where there are no rows to take them from."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]) if rows else header, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def hardware(device: torch.device) -> str:
    """In words, as a table cites it: "AMD EPYC, 2 threads" or the name of the GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    with suppress(OSError, ValueError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    threads = torch.get_num_threads()
    return f"{name}, {threads} thread{'s' if threads > 1 else ''}"


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _git_state(root: Path) -> dict[str, Any]:
    """The commit and whether files that decide a run differ from it; nulls where there is no Git."""

    def ask(*words: str) -> str | None:
        with suppress(OSError, ValueError, subprocess.CalledProcessError):
            return subprocess.run(
                ["git", "-C", str(root), *words],
                check=True,
                capture_output=True,
                text=True,
                encoding="utf-8",
            ).stdout.strip()
        return None

    changed = ask("status", "--porcelain", "--", *DECIDES)
    return {"commit": ask("rev-parse", "HEAD"), "dirty": None if changed is None else bool(changed)}
