"""The weights that a run looks at: another run has trained them, or pretrained/ has kept them (`pretrained`)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metamemory.errors import UserError
from metamemory.study.stored import file_digest, read_manifest_at, require_weights, seal
from metamemory.training.files import read_json, reading

FOLDER = "pretrained"
DICTS = ("run", "digests", "configuration", "task", "model", "metrics", "metrics_of_these_weights")
TEXTS = ("data", "learner", "weights", "weights_of_the_run", "sha256")
KINDS = {**dict.fromkeys(DICTS, dict), **dict.fromkeys(TEXTS, str)}


def file_of(root: Path, experiment: str, method: str, setting: str) -> Path:
    """Where the weights are."""
    return root / FOLDER / experiment / method / f"{setting}.safetensors"


def read_kept(path: Path) -> dict[str, Any]:
    """The record of kept weights: `path` is that of the .json.

    Raises:
        UserError: it is missing or damaged.
    """
    kept = read_json(path, mend(path))
    with reading(path, mend(path)):
        for name, kind in KINDS.items():
            if not isinstance(kept[name], kind):
                raise ValueError(f"{name} is no {kind.__name__}")
        if kept["sha256"] != seal(kept):
            raise ValueError("it is not as it was written")
    return kept


def mend(path: Path) -> str:
    return f"get it back by `git checkout {path}`"


def require_whole(path: Path, kept: Mapping[str, Any]) -> None:
    """Refuse kept weights that are not those of their record.

    Raises:
        UserError: they are missing or damaged.
    """
    with reading(path, mend(path)):
        path.stat()
    if file_digest(path) != kept["weights"]:
        raise UserError(f"{path} is damaged: {mend(path)}")


def trained(run: Any, config: Mapping[str, Any]) -> Path | None:
    """Where the weights of another run are that this one looks at; None where it does not."""
    if "trained" not in config:
        return None
    return run.root / config["trained"].format(method=run.method, seed=run.seed)


def address_of(weights: Path, root: Path) -> tuple[str, str, str, str, int]:
    """Scale, experiment, method, setting and seed of the run that trains the weights at this place."""
    scale, experiment, method, setting, seed = weights.relative_to(root / "runs").parts[:-1]
    return scale, experiment, method, setting, int(seed.removeprefix("seed"))


def trained_or_kept(run: Any, config: Mapping[str, Any]) -> tuple[Path | None, str | None]:
    """The file of those weights and the digest of those that the run trained. Where these are not here, the rounded
    ones of pretrained/ stand in for them.

    Raises:
        UserError: the record in pretrained/ is damaged.
    """
    weights = trained(run, config)
    if weights is None or weights.exists():
        return weights, weights and file_digest(weights)
    scale, experiment, method, setting, seed = address_of(weights, run.root)
    path = file_of(run.root, experiment, method, setting)
    if path.exists():
        kept = read_kept(path.with_suffix(".json"))
        if (kept["run"]["scale"], kept["run"]["seed"], kept["run"]["overrides"]) == (scale, seed, {}):
            return path, kept["weights_of_the_run"]
    return weights, None


def require_trained(run: Any, config: Mapping[str, Any]) -> Path | None:
    """The file of the weights that a run begins with, its own or kept ones; None where it looks at none.

    Raises:
        UserError: they are missing or damaged, or not those that their run trained, or its manifest is damaged.
    """
    place = trained(run, config)
    if place is None:
        return None
    weights, _ = trained_or_kept(run, config)
    if weights != place:
        require_whole(weights, read_kept(weights.with_suffix(".json")))
        return weights
    of = weights.parent.relative_to(run.root / "runs")
    advice = f"do the run {of} first, which trains it"
    with reading(weights, advice):
        weights.open("rb").close()
    manifest = run.root / "results" / f"{of}.manifest.json"
    if manifest.exists():
        require_weights(weights, read_manifest_at(manifest), advice)
    return weights


def files_of_trained(run: Any, config: Mapping[str, Any]) -> dict[str, bytes]:
    """Place -> bytes of what a copy of the project needs for a run that looks at weights; empty where they are not
    here. Kept weights come with their record."""
    weights = trained_or_kept(run, config)[0]
    if weights is None or not weights.exists():
        return {}
    files = [weights] if weights == trained(run, config) else [weights, weights.with_suffix(".json")]
    return {str(path.relative_to(run.root)): path.read_bytes() for path in files}
