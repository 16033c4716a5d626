"""Whether a committed result is what its run would give today, by the digests in its manifest; and the list of those
that are not, `results/stale.json`: place of the run -> the reason."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from metamemory.study import runs
from metamemory.study.runs import Run
from metamemory.training.files import read_json, reading

LIST = Path("results") / "stale.json"


def stale(run: Run) -> str | None:
    """Why the list says that the result of a run is not today's; None where it is."""
    path = run.root / LIST
    return _listed(path, path.stat().st_mtime_ns).get(run.place) if path.exists() else None


def listed(root: Path = Path(".")) -> dict[str, str]:
    """The whole list."""
    path = root / LIST
    return dict(_listed(path, path.stat().st_mtime_ns)) if path.exists() else {}


@lru_cache(maxsize=8)
def _listed(path: Path, _: int) -> dict[str, str]:
    mend = f"get it back by `git checkout {path}`"
    found = read_json(path, mend)
    with reading(path, mend):
        if not all(isinstance(reason, str) for reason in found.values()):
            raise ValueError("a reason is no text")
    return found


def as_text(reasons: Mapping[str, str]) -> str:
    """The list as its file has it, in order of place."""
    return json.dumps(dict(sorted(reasons.items())), indent=1, ensure_ascii=False) + "\n"


def differs(run: Run, manifest: Mapping[str, Any], config: Mapping[str, Any]) -> str | None:
    """Why a result is not what its run would give today, as far as its manifest tells; None where it is. `config` is
    today's configuration of the run."""
    if changed := different(manifest["configuration"], json.loads(json.dumps(config))):
        return f"its configuration is not today's: {', '.join(changed[:3])}"
    digests, today = manifest["digests"], runs.identity(config)
    for name, value in today.items():
        if digests[name] != value:
            return f"the digest of its {name} is {digests[name][:17]}…, and today's is {value[:17]}…"
    if runs.fingerprint(digests, run.seed) != manifest["fingerprint"]:
        return "its fingerprint is not that of its digests"
    return None


def different(one: Any, other: Any, place: str = "") -> list[str]:
    """Places at which two plain values differ, as in `training.episodes` or `history[3].loss`."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        within = f"{place}." if place else ""
        places = []
        for key in dict.fromkeys((*one, *other)):
            if key in one and key in other:
                places += different(one[key], other[key], f"{within}{key}")
            else:
                places.append(f"{within}{key} ({'only before' if key in one else 'only after'})")
        return places
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [each for at, (left, right) in pairs for each in different(left, right, f"{place}[{at}]")]
    return [] if json.dumps(one) == json.dumps(other) else [place]
