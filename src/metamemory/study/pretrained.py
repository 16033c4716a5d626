"""Weights of flagship runs, small enough for Git: half the precision, and the numbers measured with just these weights.

    pretrained/<experiment>/<method>/<setting>.safetensors    float16, or bfloat16 where a weight is too large for that
    pretrained/<experiment>/<method>/<setting>.json           of what run, and its metrics before and after rounding

`keep` in params.yaml is a list of patterns of runs, as `priority` has them, each with its scale before it. Metrics of
the rounded weights are measured on a processor, in float32 and in as many of the run's test episodes as take seconds,
so that `verify` finds them again on any machine (`verification`).
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from metamemory.data import ImageSet
from metamemory.errors import UserError, closest
from metamemory.models import TaskDescription, build, settings_of
from metamemory.models.learner import Learner
from metamemory.protocols import Context, protocol_class
from metamemory.study import runs, source
from metamemory.study.kept import FOLDER, file_of, read_kept, require_whole
from metamemory.study.parameters import Parameters
from metamemory.study.results import finished
from metamemory.study.runs import Run
from metamemory.study.stored import file_digest, read_manifest, require_model, seal
from metamemory.study.work.queue import matches
from metamemory.training.files import write_atomically, write_text

MOST_BYTES, MOST_BYTES_OF_ALL = 4 * 2**20, 20 * 2**20
MOST_SECONDS = 20.0  # of one core that the test of one may take
LARGEST_HALF = torch.finfo(torch.float16).max


@dataclass(frozen=True)
class Trained:
    """What weights of pretrained/ were trained on, and what they can do.

    Attributes:
        run: whose weights they are: scale/experiment/method/setting/seed<k>.
        data: the data set, as captions name it.
        configuration: of the run: data, task, training, evaluation, and the learner's settings.
        metrics: that the rounded weights give in `episodes` test episodes, on a processor; accuracies are shares of 1.
        episodes: how many; None where the protocol counts in another way.
    """

    run: str
    data: str
    configuration: dict[str, Any]
    metrics: dict[str, float]
    episodes: int | None


def keep(root: Path = Path(".")) -> list[str]:
    """Write pretrained/ for all finished runs that `keep` names; a line for each.

    Those that are kept already stay as they are where the weights of their run are not here.

    Raises:
        UserError: a pattern names no finished run whose weights are here or kept; weights are too large.
    """
    lines = []
    for pattern in Parameters(root).values.get("keep") or []:
        named = [each.run for each in finished(root) if _named(pattern, each.run)]
        here = [run for run in named if run.model.exists()]
        kept = [run for run in named if run not in here and _is_kept(run)]
        if not here and not kept:
            raise UserError(f"params.yaml: keep: no finished run whose weights are here is {pattern!r}")
        lines += [keep_run(run) for run in here]
        lines += [f"{_file_of(run).relative_to(root)}: kept before; the run's own weights are not here" for run in kept]
    total = sum(path.stat().st_size for path in (root / FOLDER).rglob("*.safetensors"))
    if total > MOST_BYTES_OF_ALL:
        most = MOST_BYTES_OF_ALL // 2**20
        raise UserError(f"{FOLDER}/ has {total / 2**20:.1f} MiB, and may have {most}: keep less")
    return lines


def _named(pattern: str, run: Run) -> bool:
    scale, _, rest = pattern.partition("/")
    return scale == run.scale and matches(rest, run)


def _file_of(run: Run) -> Path:
    return file_of(run.root, run.experiment, run.method, run.setting)


def _is_kept(run: Run) -> bool:
    path = _file_of(run).with_suffix(".json")
    return path.exists() and read_kept(path).get("weights_of_the_run") == read_manifest(run)["model"]


def keep_run(run: Run) -> str:
    """Write the rounded weights of a run, and what they measure; says how far that is from before.

    Raises:
        UserError: they are not those of the run, or too large.
    """
    manifest = read_manifest(run)
    require_model(run, manifest, "run it again")
    config = runs.configuration(run)
    images = runs.load_images(run, config)
    protocol = protocol_class(config["protocol"])(config, run.seed, Context(torch.device("cpu"), Path(), images=images))
    told = {name: getattr(protocol.validation, name) for name in protocol.learner_class.told}
    task, settings = protocol.description, {**config.get("model", {}), **told}
    if "precision" in settings_of(config["learner"]):
        settings["precision"] = "float32"  # in which all processors find the same
    path = _file_of(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda temporary: save_file(rounded(load_file(run.model)), temporary))
    if path.stat().st_size > MOST_BYTES:
        path.unlink()
        raise UserError(f"{run.place}: its weights are larger than {MOST_BYTES // 2**20} MiB in half precision")
    before = json.loads(run.result("metrics.json").read_text(encoding="utf-8"))
    kept = {
        "run": manifest["run"],
        "fingerprint": manifest["fingerprint"],
        "digests": manifest["digests"],
        "data": manifest["data"]["title"],
        "configuration": config,
        "learner": config["learner"],
        "model": settings,
        "task": {"input_shape": list(task.input_shape), "n_way": task.labels.n_way, "delay": task.delay},
        "metrics": before,
        "weights": file_digest(path),
        "weights_of_the_run": manifest["model"],
    }
    kept["test_episodes"] = _episodes_in_time(kept, path, images)
    kept["metrics_of_these_weights"] = measured = measure(kept, path, images)
    write_text(path.with_suffix(".json"), json.dumps({**kept, "sha256": seal(kept)}, indent=1) + "\n")
    farthest = max((abs(measured[name] - before[name]) for name in before), default=0.0)
    of = "" if kept["test_episodes"] is None else f" of {kept['test_episodes']:,} episodes"
    return f"{path.relative_to(run.root)}: {path.stat().st_size / 2**20:.1f} MiB, metrics{of} within {farthest:.5f}"


def _episodes_in_time(kept: Mapping[str, Any], path: Path, images: ImageSet | None) -> int | None:
    """How many test episodes take no more than `MOST_SECONDS`: all of the run's, or half of them as often as it takes.
    None where the protocol does not count episodes."""
    evaluation = kept["configuration"].get("evaluation", {})
    if "episodes" not in evaluation:
        return None
    episodes, few = evaluation["episodes"], min(evaluation["episodes"], evaluation.get("batch_size", 1))
    first, second = (_seconds(kept, path, images, count) for count in (few, 2 * few))
    each = max(second - first, 0.0) / few
    while episodes > few and first + (episodes - few) * each > MOST_SECONDS:
        episodes = max(few, episodes // 2 // few * few)
    return episodes


def _seconds(kept: Mapping[str, Any], path: Path, images: ImageSet | None, episodes: int) -> float:
    """That a processor works on so many episodes, whatever else it does meanwhile."""
    began = time.process_time()
    measure({**kept, "test_episodes": episodes}, path, images)
    return time.process_time() - began


def measure(kept: Mapping[str, Any], path: Path, images: ImageSet | None) -> dict[str, float]:
    """Metrics of kept weights in the first `test_episodes` of their run's test episodes, on one core of a processor.

    Args:
        kept: the record beside the weights.
        path: of the weights.
        images: the data set of the run, loaded; None where its task makes its inputs itself.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    config = kept["configuration"]
    if kept["test_episodes"] is not None:
        config = {**config, "evaluation": {**config["evaluation"], "episodes": kept["test_episodes"]}}
    context = Context(torch.device("cpu"), Path(), images=images)
    protocol = protocol_class(config["protocol"])(config, kept["run"]["seed"], context)
    return protocol.evaluate(learner_of(kept, path)).metrics


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


def learner_of(kept: Mapping[str, Any], path: Path) -> Learner:
    """The learner with kept weights, in evaluation mode, on the processor.

    Raises:
        UserError: the weights are missing or damaged.
    """
    require_whole(path, kept)
    task = kept["task"]
    description = TaskDescription(tuple(task["input_shape"]), task["n_way"], task["delay"])
    learner = build(kept["learner"], description, kept["model"])
    _fill(learner, load_file(path))
    return learner.eval()


def all_kept(root: Path) -> list[Path]:
    """The weights in pretrained/, in order."""
    return sorted((root / FOLDER).glob("*/*/*.safetensors"))


def load(method: str, setting: str, experiment: str | None = None, root: Path | None = None) -> Learner:
    """A trained learner in evaluation mode, with the weights of pretrained/; its `trained_on` says on what (`Trained`).

    Args:
        method, setting: as `list` names them.
        experiment: where several experiments have kept weights of the two.
        root: top of the project; that of this package's checkout where None.

    Raises:
        UserError: there are no such weights, or they are damaged.
    """
    root = root or source.PACKAGE.parents[1]
    known = [path.relative_to(root / FOLDER) for path in all_kept(root)]
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
    kept = read_kept(path.with_suffix(".json"))
    learner = learner_of(kept, path)
    learner.trained_on = Trained(
        Run(**kept["run"]).place,
        kept["data"],
        kept["configuration"],
        kept["metrics_of_these_weights"],
        kept["test_episodes"],
    )
    return learner
