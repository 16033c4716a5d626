"""What DVC is told of runs that it has not done itself: entries of dvc.lock, from manifests and files.

DVC takes a stage for done when its entry names the dependencies and the outputs that are there. `record` writes the
entry of each finished run: the digests of its manifest, with which it was made, and its files as they are. So a run
that was done beside others or on another machine is not done again, and one whose code or configuration have changed
since is. A model that is at hand is put into DVC's cache, else DVC would take the stage for changed; one that is not,
since DVC keeps it and Git does not, has the digest of its last entry.
"""

import configparser
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from metamemory.study.parameters import Parameters
from metamemory.study.pipeline import DIGESTS, digests_text, folder, resolved_stage, stage_name, write_if_changed
from metamemory.study.results import Result, finished
from metamemory.study.stored import file_digest
from metamemory.training.files import reading, write_bytes

Entry = dict[str, Any]  # of dvc.lock: path, hash, md5, size


def record(root: Path = Path("."), previous: Mapping[str, Entry] | None = None) -> tuple[int, list[str]]:
    """Write the notebooks/<paper>/<experiment>/dvc.lock of all finished runs.

    Args:
        root: top of the project.
        previous: stages of another dvc.lock, which knows models that are not at hand.

    Returns:
        The number of runs recorded, and the places of those that were not: nothing knows their models.
    """
    locks, recorded, lost = entries(root, previous or {})
    _fill_cache(root, [entry for stages in locks.values() for stage in stages.values() for entry in stage["outs"]])
    for path, stages in locks.items():
        if not path.exists() or read_stages(path) != stages:
            text = yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False, width=80)
            write_if_changed(path, text)
    return recorded, lost


def entries(root: Path, previous: Mapping[str, Entry]) -> tuple[dict[Path, dict[str, Entry]], int, list[str]]:
    """The stages of each dvc.lock as `record` writes them, and what it returns."""
    locks = {path: read_stages(path) for path in sorted((root / "notebooks").glob("*/*/dvc.lock"))}
    stages = [stage for each in (previous, *locks.values()) for stage in each.values()]
    models = {entry["path"]: entry for stage in stages for entry in stage["outs"] if "/model." in entry["path"]}
    parameters, results = Parameters(root, checked=False), list(finished(root))
    for result in results:
        path = str(result.run.model.relative_to(root))
        if file_digest(result.run.model) == result.manifest["model"]:
            models[path] = _entry(path, root)
    lost = []
    for result in results:
        entry = _lock_entry(result, parameters, models, root)
        if entry is None:
            lost.append(result.run.place)
        else:
            path = folder(result.run.experiment, root) / "dvc.lock"
            locks.setdefault(path, {})[stage_name(result.run)] = entry
    return locks, len(results) - len(lost), lost


def _fill_cache(root: Path, outputs: list[Entry]) -> None:
    """Put models that are here as their entries say into DVC's cache, if DVC is used here."""
    cache = _cache(root)
    for entry in outputs if cache else []:
        kept, path = cache / entry["md5"][:2] / entry["md5"][2:], root / entry["path"]
        if "/model." in entry["path"] and not kept.exists() and path.exists():
            content = path.read_bytes()
            if hashlib.md5(content).hexdigest() == entry["md5"]:
                write_bytes(kept, content)
                kept.chmod(0o444)


def _cache(root: Path) -> Path | None:
    """Where DVC keeps files by their digests; None where it is not set up."""
    folder, config = root / ".dvc", configparser.ConfigParser(interpolation=None)
    with reading(folder / "config", "get it back by `git checkout .dvc`"):
        found = config.read([folder / "config", folder / "config.local"], encoding="utf-8")
    return folder / config.get("cache", "dir", fallback="cache") / "files" / "md5" if found else None


def read_stages(path: Path) -> dict[str, Entry]:
    """The stages of a dvc.lock.

    Raises:
        UserError: it is missing or none.
    """
    with reading(path, "where there is none, `python -m metamemory record` writes it"):
        text = path.read_text(encoding="utf-8")
        stages = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["stages"]
        for stage in stages.values():
            _ = [each["path"] for each in stage["outs"]]
        return stages


def _lock_entry(result: Result, parameters: Parameters, models: Mapping[str, Entry], root: Path) -> Entry | None:
    stage = resolved_stage(result.run, parameters)
    deps = []
    for path in stage["deps"]:
        if path.startswith(f"{DIGESTS}/"):
            deps.append(_entry(path, root, digests_text(result.manifest["digests"]).encode()))
        else:
            deps.append(models.get(path) or _entry(path, root))
    outs = [models.get(path) if "/model." in path else _entry(path, root) for path in stage["outs"]]
    if not all([*deps, *outs]):
        return None
    by_path = lambda entries: sorted(entries, key=lambda each: each["path"])  # noqa: E731
    return {"cmd": stage["cmd"], "deps": by_path(deps), "outs": by_path(outs)}


def _entry(path: str, root: Path, content: bytes | None = None) -> Entry | None:
    """Of a file, or of what it would hold; None where there is none."""
    if content is None:
        if not (root / path).exists():
            return None
        content = (root / path).read_bytes()
    return {"path": path, "hash": "md5", "md5": hashlib.md5(content).hexdigest(), "size": len(content)}
