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


def _standing_in(weights: Path, root: Path) -> tuple[Path, str] | None:
    """The kept weights of the run whose own would be at `weights`, and the digest of its own; None where none are kept.

    Raises:
        UserError: they are damaged.
    """
    scale, experiment, method, setting, seed = weights.relative_to(root / "runs").parts[:-1]
    path = file_of(root, experiment, method, setting)
    if not path.exists():
        return None
    kept = read_kept(path.with_suffix(".json"))
    if (kept["run"]["scale"], f"seed{kept['run']['seed']}", kept["run"]["overrides"]) != (scale, seed, {}):
        return None
    if file_digest(path) != kept["weights"]:
        raise UserError(f"{path} is damaged: {mend(path)}")
    return path, kept["weights_of_the_run"]


def mend(path: Path) -> str:
    return f"get it back by `git checkout {path}`"


def trained(run: Any, config: Mapping[str, Any]) -> Path | None:
    """Where the weights of another run are that this one looks at; None where it does not."""
    if "trained" not in config:
        return None
    return run.root / config["trained"].format(method=run.method, seed=run.seed)


def trained_or_kept(run: Any, config: Mapping[str, Any]) -> tuple[Path | None, str | None]:
    """The file of those weights and the digest of those that the run trained. Where these are not here, the rounded
    ones of pretrained/ stand in for them.

    Raises:
        UserError: those of pretrained/ are damaged.
    """
    weights = trained(run, config)
    if weights is None or weights.exists():
        return weights, weights and file_digest(weights)
    return _standing_in(weights, run.root) or (weights, None)


def require_trained(run: Any, config: Mapping[str, Any]) -> None:
    """Refuse weights that are not there, or are not those that their run trained.

    Raises:
        UserError: they are missing or damaged, or their manifest is.
    """
    weights = trained(run, config)
    if weights is None or trained_or_kept(run, config)[0] != weights:
        return
    advice = f"do the run {weights.parent.relative_to(run.root / 'runs')} first, which trains it"
    with reading(weights, advice):
        weights.open("rb").close()
    manifest = run.root / "results" / f"{weights.parent.relative_to(run.root / 'runs')}.manifest.json"
    if manifest.exists():
        require_weights(weights, read_manifest_at(manifest), advice)


def files_of_trained(run: Any, config: Mapping[str, Any]) -> dict[str, bytes]:
    """What a copy of the project needs for a run that looks at weights: their place, and bytes. None where they are not
    here; a copy without the run's own has the record of pretrained/ too."""
    weights = trained_or_kept(run, config)[0]
    if weights is None or not weights.exists():
        return {}
    files = [weights] if weights == trained(run, config) else [weights, weights.with_suffix(".json")]
    return {str(path.relative_to(run.root)): path.read_bytes() for path in files}
