"""Weights of flagship runs, small enough for Git: half the precision, and the numbers measured with just these weights.

    pretrained/<experiment>/<method>/<setting>.safetensors    float16, or bfloat16 where a weight is too large for that
    pretrained/<experiment>/<method>/<setting>.json           of what run, and its metrics before and after rounding

`keep` in params.yaml is a list of patterns of runs, as `priority` has them, each with its scale before it.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from metamemory.errors import UserError, closest
from metamemory.models import TaskDescription, build
from metamemory.models.learner import Learner
from metamemory.protocols import Context, protocol_class
from metamemory.study import runs, source
from metamemory.study.parameters import Parameters
from metamemory.study.results import finished
from metamemory.study.runs import Run
from metamemory.study.stored import file_digest, read_manifest, require_model
from metamemory.study.work.queue import matches
from metamemory.training.files import read_json, write_atomically, write_text

FOLDER = "pretrained"
MOST_BYTES, MOST_BYTES_OF_ALL = 4 * 2**20, 20 * 2**20
LARGEST_HALF = torch.finfo(torch.float16).max


def keep(root: Path = Path(".")) -> list[str]:
    """Write pretrained/ for all finished runs that `keep` names; a line for each.

    Raises:
        UserError: a pattern names no finished run whose weights are here; weights are too large.
    """
    lines = []
    for pattern in Parameters(root).values.get("keep") or []:
        named = [each.run for each in finished(root) if _named(pattern, each.run) and each.run.model.exists()]
        if not named:
            raise UserError(f"params.yaml: keep: no finished run whose weights are here is {pattern!r}")
        lines += [keep_run(run) for run in named]
    total = sum(path.stat().st_size for path in (root / FOLDER).rglob("*.safetensors"))
    if total > MOST_BYTES_OF_ALL:
        most = MOST_BYTES_OF_ALL // 2**20
        raise UserError(f"{FOLDER}/ has {total / 2**20:.1f} MiB, and may have {most}: keep less")
    return lines


def _named(pattern: str, run: Run) -> bool:
    scale, _, rest = pattern.partition("/")
    return scale == run.scale and matches(rest, run)


def keep_run(run: Run) -> str:
    """Write the rounded weights of a run, and what they measure; says how far that is from before.

    Raises:
        UserError: they are not those of the run, or too large.
    """
    manifest = read_manifest(run)
    require_model(run, manifest, "run it again")
    weights = rounded(load_file(run.model))
    config = runs.configuration(run)
    context = Context(runs.prepare_device(), Path(), images=runs.load_images(run, config))
    protocol = protocol_class(config["protocol"])(config, run.seed, context)
    told = {name: getattr(protocol.validation, name) for name in protocol.learner_class.told}
    task, settings = protocol.description, {**config.get("model", {}), **told}
    learner = build(config["learner"], task, settings).to(context.device)
    _fill(learner, weights)
    measured = protocol.evaluate(learner.eval()).metrics
    path = file_of(run.root, run.experiment, run.method, run.setting)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda temporary: save_file(weights, temporary))
    if path.stat().st_size > MOST_BYTES:
        path.unlink()
        raise UserError(f"{run.place}: its weights are larger than {MOST_BYTES // 2**20} MiB in half precision")
    before = json.loads(run.result("metrics.json").read_text(encoding="utf-8"))
    kept = {
        "run": manifest["run"],
        "fingerprint": manifest["fingerprint"],
        "digests": manifest["digests"],
        "data": manifest["data"]["title"],
        "learner": config["learner"],
        "model": settings,
        "task": {"input_shape": list(task.input_shape), "n_way": task.labels.n_way, "delay": task.delay},
        "metrics": before,
        "metrics_of_these_weights": measured,
        "weights": file_digest(path),
        "weights_of_the_run": manifest["model"],
    }
    write_text(path.with_suffix(".json"), json.dumps(kept, indent=1) + "\n")
    farthest = max((abs(measured[name] - before[name]) for name in before), default=0.0)
    return f"{path.relative_to(run.root)}: {path.stat().st_size / 2**20:.1f} MiB, metrics within {farthest:.5f}"


def rounded(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """In half precision: float16, or bfloat16 where a value is too large for it. Whole numbers stay as they are."""
    found = {}
    for name, value in weights.items():
        if value.is_floating_point():
            large = value.numel() > 0 and value.abs().amax() > LARGEST_HALF
            value = value.to(torch.bfloat16 if large else torch.float16)
        found[name] = value.contiguous()
    return found


def _fill(learner: Learner, weights: Mapping[str, Tensor]) -> None:
    kinds = {name: value.dtype for name, value in learner.state_dict().items()}
    learner.load_state_dict({name: value.to(kinds.get(name, value.dtype)) for name, value in weights.items()})


def file_of(root: Path, experiment: str, method: str, setting: str) -> Path:
    """Where the weights are."""
    return root / FOLDER / experiment / method / f"{setting}.safetensors"


def load(method: str, setting: str, experiment: str | None = None, root: Path | None = None) -> Learner:
    """A trained learner in evaluation mode, with the weights of pretrained/.

    Args:
        method, setting: as `list` names them.
        experiment: where several experiments have kept weights of the two.
        root: top of the project; that of this package's checkout where None.

    Raises:
        UserError: there are no such weights, or they are damaged.
    """
    root = root or source.PACKAGE.parents[1]
    known = sorted(path.relative_to(root / FOLDER) for path in (root / FOLDER).glob("*/*/*.safetensors"))
    found = [path for path in known if path.parts[1:] == (method, f"{setting}.safetensors")]
    found = [path for path in found if experiment in (None, path.parts[0])]
    asked = "/".join(filter(None, (experiment, method, setting)))
    if not found:
        names = [str(path.with_suffix("")) for path in known]
        there = closest(asked, names) if names else f": {root / FOLDER} holds none"
        raise UserError(f"no pretrained weights {asked!r}{there}")
    if len(found) > 1:
        experiments = " or ".join(path.parts[0] for path in found)
        raise UserError(f"several pretrained weights {asked!r}: name the experiment, {experiments}")
    path = root / FOLDER / found[0]
    mend = f"get it back by `git checkout {path}`"
    kept = read_json(path.with_suffix(".json"), mend)
    if file_digest(path) != kept.get("weights"):
        raise UserError(f"{path} is damaged: {mend}")
    task = kept["task"]
    description = TaskDescription(tuple(task["input_shape"]), task["n_way"], task["delay"])
    learner = build(kept["learner"], description, kept["model"])
    _fill(learner, load_file(path))
    return learner.eval()
