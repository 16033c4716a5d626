"""What a run has left in results/, read back: every file is what its manifest says that it was, or is named.

`run`, `list`, `report` and the pages all read through here, so that what one of them refuses none takes for finished.
Manifests of before there were digests of files are taken at their word, if the files can be read.
"""

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from metamemory.errors import UserError
from metamemory.training.files import read_json, reading

ENDINGS = ("metrics.json", "scores.csv", "history.csv", "example.json", "manifest.json")  # of a run's files in results/
NEEDED = {"run": dict, "fingerprint": str, "digests": dict, "configuration": dict, "data": dict, "model": str}
FINISHED, BEGUN, NOT_RUN = "finished", "begun", "not run"
STALE, DAMAGED, NO_WEIGHTS = "stale", "damaged", "finished, without its weights"
ANEW = "run it again"
CHANGED = "it is not what the run left"


def read_manifest(run: Any, mend: str = "") -> dict[str, Any]:
    """What is known of a finished `runs.Run`; `mend` ends what is said of a fault.

    Raises:
        UserError: it has not finished, or the file is damaged.
    """
    path = run.result("manifest.json")
    return read_manifest_at(path, mend or _mend(path))


def read_manifest_at(path: Path, mend: str = "") -> dict[str, Any]:
    """The same of a file."""
    mend = mend or _mend(path)
    manifest = read_json(path, mend)
    with reading(path, mend):
        if "sha256" in manifest and manifest["sha256"] != seal(manifest):
            raise ValueError(CHANGED)
        for name, kind in NEEDED.items():
            if not isinstance(manifest[name], kind):
                raise ValueError(f"{name} is no {kind.__name__}")
        if not isinstance(manifest["data"]["title"], str):
            raise ValueError("data.title is no str")
    return manifest


def seal(manifest: Mapping[str, Any]) -> str:
    """The digest of all else in a manifest, which stands in it as `sha256`."""
    others = {name: value for name, value in manifest.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()


def read_part(run: Any, ending: str, manifest: Mapping[str, Any], mend: str = "") -> Any:
    """What one of the other files of a run holds: rows of numbers, or plain values by name.

    Raises:
        UserError: it is missing, damaged, or not what the run left.
    """
    path = run.result(ending)
    with reading(path, mend or _mend(path)):
        content = path.read_bytes()
        known = manifest.get("files", {}).get(ending)
        if known is not None and hashlib.sha256(content).hexdigest() != known:
            raise ValueError(CHANGED if content else "it is empty")
        return _values(content.decode()) if ending.endswith(".json") else _rows(content.decode())


def _values(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}")
    return found


def _rows(text: str) -> list[dict[str, float]]:
    table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows = [{key: float(value) for key, value in row.items()} for row in table]
    names = table.fieldnames or []
    if len(names) < 2 or not all(each.isidentifier() for each in names) or not text.endswith("\n"):
        raise ValueError("it is no whole table with names of columns")
    return rows


def read_whole(run: Any, mend: str = "") -> dict[str, Any]:
    """The manifest of a run of which all files in results/ are there, as they were left.

    Raises:
        UserError: one is not.
    """
    manifest = read_manifest(run, mend)
    for ending in ENDINGS:
        read_part(run, ending, manifest, mend)
    return manifest


def require_model(run: Any, manifest: Mapping[str, Any], mend: str) -> None:
    """Refuse weights that are not those that the run trained.

    Raises:
        UserError: they are missing, or others.
    """
    require_weights(run.model, manifest, mend)


def require_weights(path: Path, manifest: Mapping[str, Any], mend: str) -> None:
    """The same of a file."""
    with reading(path, mend):
        if file_digest(path) != manifest["model"]:
            path.stat()
            raise ValueError(CHANGED)


def file_digest(path: Path) -> str | None:
    """SHA-256 of its bytes; None where there is no such file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


class State(NamedTuple):
    """What there is of a run. One that is FINISHED is used again, one that has BEGUN goes on from its checkpoint, and
    of every other `run` trains anew.

    Attributes:
        kind: FINISHED, BEGUN, NOT_RUN, STALE (made with another configuration, code or data), DAMAGED or NO_WEIGHTS
            (all but its weights are here).
        why: what is stale or damaged.
    """

    kind: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.why}" if self.why else self.kind


def state(run: Any, today: Mapping[str, str | None], begun: bool) -> State:
    """What there is of a run.

    Args:
        run: a `runs.Run`.
        today: digests of what decides it now (`runs.digests`), in so far as they are known.
        begun: whether it has a checkpoint to go on from.
    """
    found = _of_results(run, today)
    return State(BEGUN) if begun and found.kind != FINISHED else found


def _of_results(run: Any, today: Mapping[str, str | None]) -> State:
    if not run.result("manifest.json").exists():
        return State(NOT_RUN)
    manifest: dict[str, Any] = {}
    for ending in (ENDINGS[-1], *ENDINGS[:-1]):
        try:
            manifest = manifest or read_manifest(run)
            read_part(run, ending, manifest)
        except UserError:
            return State(DAMAGED, run.result(ending).name)
    changed = [name for name, value in today.items() if value is not None and manifest["digests"].get(name) != value]
    if changed:
        return State(STALE, f"another {' and '.join(changed)}")
    try:
        require_model(run, manifest, "")
    except UserError:
        return State(DAMAGED, run.model.name) if run.model.exists() else State(NO_WEIGHTS)
    return State(FINISHED)


def _mend(path: Path) -> str:
    return f"{ANEW}, or get it back by `git checkout {path}`"
