"""What a run leaves in results/ and runs/: its files, written whole or not at all, the manifest last."""

import csv
import hashlib
import json
import platform
import resource
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from metamemory.protocols import Outcome
from metamemory.training.files import write_atomically

DECIDES = ("src", "params.yaml", "params", "notebooks")  # what decides a run: whether it is dirty is in the manifest


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
    run.result("manifest.json").unlink(missing_ok=True)
    weights = {name: value.contiguous() for name, value in outcome.learner.state_dict().items()}
    write_atomically(run.model, lambda path: save_file(weights, path))
    _write_json(run.result("metrics.json"), outcome.metrics)
    _write_rows(run.result("scores.csv"), outcome.scores, ["shot", "accuracy", "low", "high"])
    _write_rows(run.result("history.csv"), outcome.history, ["episodes", "seconds", "loss"])
    _write_json(run.result("example.json"), outcome.example)
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
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("torch", "numpy", "metamemory")},
        },
        "git": _git_state(run.root),
        "model": file_digest(run.model),
    }
    _write_json(run.result("manifest.json"), manifest)


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=1 if path.name.endswith("manifest.json") else None) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _write_rows(path: Path, rows: list[dict], header: list[str]) -> None:
    """A CSV file; `header` names the columns where there are no rows to take them from."""

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(rows[0]) if rows else header, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)

    write_atomically(path, write)


def file_digest(path: Path) -> str | None:
    """SHA-256 of its bytes; None where there is no such file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def hardware(device: torch.device) -> str:
    """In words, as a table cites it: "AMD EPYC, 2 threads" or the name of the GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    with suppress(OSError):
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
        with suppress(OSError, subprocess.CalledProcessError):
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
