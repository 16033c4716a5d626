"""A run: one method, one setting, one seed of an experiment, at one scale; and what it leaves behind.

    results/<scale>/<experiment>/<method>/<setting>/
        seed<k>.json             metrics
        seed<k>.shots.csv        accuracy by shot
        seed<k>.csv              learning curve
        seed<k>.episode.json     a test episode and the answers to it
        seed<k>.manifest.json    what was run, on what, with what
    runs/<the same>/seed<k>/model.safetensors

All but the model are small and live in Git. The manifest is written last: a run without one has not finished.
A finished run is used again only if its fingerprint (configuration, source, data) is the one asked for.
"""

import csv
import hashlib
import json
import math
import platform
import resource
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from metamemory import data
from metamemory.errors import UserError
from metamemory.models import learner_class
from metamemory.protocols import Context, Outcome
from metamemory.study import source
from metamemory.study.checks import require_known, require_possible, stores_samples
from metamemory.study.parameters import SCALES, Parameters, closest, label_overrides
from metamemory.training.files import write_atomically

ENDINGS = ("json", "shots.csv", "csv", "episode.json", "manifest.json")  # of what a run leaves in results/
PROTOCOLS = {
    "mann_classification": "binding",
    "mann_persistence": "binding_rows",
    "mann_curriculum": "growing_classes",
    "mann_regression": "regression",
    "continual_learning": "continual",
    "supervised_learning": "supervised",
}
MOST_THREADS = 8  # more do not help with maps of this size


@dataclass(frozen=True)
class Run:
    """The name of a run, and where its files are (below `root`, the top of the project)."""

    scale: str
    experiment: str
    method: str
    setting: str
    seed: int = 0
    overrides: Mapping[str, Any] = field(default_factory=dict)
    root: Path = Path(".")

    @property
    def place(self) -> str:
        """Where its files are, in results/ as in runs/; what was overridden is part of it."""
        setting = ",".join([self.setting, *label_overrides(self.overrides)])
        return f"{self.scale}/{self.experiment}/{self.method}/{setting}/seed{self.seed}"

    def result(self, ending: str) -> Path:
        """A file of the results, as "json", "csv", "shots.csv", "episode.json" or "manifest.json"."""
        return self.root / "results" / f"{self.place}.{ending}"

    @property
    def call(self) -> str:
        """The arguments of `python -m metamemory run` that do it."""
        return (
            f"{self.experiment} --method {self.method} --setting {self.setting} --scale {self.scale} --seed {self.seed}"
        )

    @property
    def model(self) -> Path:
        """The trained weights."""
        return self.root / "runs" / self.place / "model.safetensors"

    @property
    def roots(self) -> list[tuple[str, str]]:
        """What the run calls, by module and name: all that these reach is its source."""
        learner = learner_class(self.method)
        return [(self.modules[0], "conduct"), ("metamemory.data", "load"), (learner.__module__, learner.__name__)]

    @property
    def modules(self) -> list[str]:
        """The two modules that decide what the run does."""
        return [
            f"metamemory.protocols.{PROTOCOLS.get(self.experiment, self.experiment)}",
            learner_class(self.method).__module__,
        ]


def execute(run: Run, minutes: float = math.inf, again: bool = False) -> bool:
    """Do the run, or go on with it, unless it is finished; `again` does it afresh.

    Returns:
        True when it is finished, False if `minutes` ran out: the same call goes on where it stopped.

    Raises:
        UserError: the run is not in params.yaml, its configuration or its data are bad, or training failed.
    """
    parameters = Parameters(run.root / "params.yaml")
    named = (run.scale, run.experiment, run.method, run.setting)
    require_known(run.overrides, parameters.configuration(*named, {}), run.experiment, run.method)
    config = parameters.configuration(*named, run.overrides)
    require_possible(config, run.experiment, run.method)
    digests = {
        "configuration": configuration_digest(config),
        "source": source.digest(run.roots),
        "data": _data_digest(config, run),
    }
    if "trained" in config:  # the run looks at what another has trained
        digests["trained"] = file_digest(run.root / config["trained"].format(method=run.method, seed=run.seed))
    fingerprint = _sha256([digests, run.seed])
    if not again and finished(run) == fingerprint:
        print(f"{run.place}: finished before, with the same configuration, code and data")
        return True

    checkpoint = run.root / ".resume" / f"{fingerprint[:16]}.pt"
    if again:
        checkpoint.unlink(missing_ok=True)
    torch.set_num_threads(min(torch.get_num_threads(), MOST_THREADS))
    torch.set_flush_denormal(True)  # gates that saturate leave numbers below 1e-38, each a hundred times as slow
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{run.place}: {'going on' if checkpoint.exists() else 'begins'} on {hardware(device)}")
    if stores_samples(run.method):
        print(f"{run.method} is told the delay of the labels, and stores samples until they come")
    began = time.monotonic()
    conduct = import_module(run.modules[0]).conduct
    outcome = conduct(config, run.method, run.seed, Context(device, run.root / "data", checkpoint, minutes))
    if outcome is None:
        print(f"{run.place}: stopped after {minutes:g} minutes; the same command goes on")
        return False
    _record(run, outcome, config, digests, fingerprint, device, time.monotonic() - began)
    checkpoint.unlink(missing_ok=True)
    shown = "  ".join(f"{name} {value:.3f}" for name, value in outcome.metrics.items())
    print(f"{run.place}: {shown}")
    return True


def _data_digest(config: Mapping[str, Any], run: Run) -> str | None:
    """Of what is learned from; None where the task draws it itself."""
    if "data" not in config:
        return None
    images = data.load(config["data"]["name"], config["data"]["size"], root=run.root / "data")
    split = config["data"].get("split")
    if split is not None and split not in images.splits:
        raise UserError(f"{config['data']['name']}: no data.split {split!r}{closest(split, images.splits)}")
    return images.digest


def finished(run: Run) -> str | None:
    """The fingerprint that the finished run was made with; None if it is not finished, or one of its files is lost."""
    with suppress(OSError, ValueError, KeyError):
        manifest = read_manifest(run)
        whole = all(run.result(ending).exists() for ending in ENDINGS)
        if whole and file_digest(run.model) == manifest["model"]:
            return manifest["fingerprint"]
    return None


def read_manifest(run: Run) -> dict[str, Any]:
    """What is known of a finished run.

    Raises:
        OSError, ValueError: it has not finished.
    """
    return json.loads(run.result("manifest.json").read_text())


def _record(run: Run, outcome: Outcome, config, digests, fingerprint, device, seconds: float) -> None:
    run.result("manifest.json").unlink(missing_ok=True)
    weights = {name: value.contiguous() for name, value in outcome.learner.state_dict().items()}
    write_atomically(run.model, lambda path: save_file(weights, path))
    _write_json(run.result("json"), outcome.metrics)
    _write_rows(run.result("shots.csv"), outcome.by_shot, ["shot", "accuracy", "low", "high"])
    _write_rows(run.result("csv"), outcome.history, ["episodes", "seconds", "loss"])
    _write_json(run.result("episode.json"), outcome.example)
    manifest = {
        "run": {
            "scale": run.scale,
            "experiment": run.experiment,
            "method": run.method,
            "setting": run.setting,
            "seed": run.seed,
            "overrides": dict(run.overrides),
        },
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
    write_atomically(path, lambda temporary: temporary.write_text(text))


def _write_rows(path: Path, rows: list[dict], header: list[str]) -> None:
    """A CSV file; `header` names the columns where there are no rows to take them from."""

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]) if rows else header, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)

    write_atomically(path, write)


def configuration_digest(config: Mapping[str, Any]) -> str:
    """Of all that decides a run but its seed, code and data."""
    return _sha256(config)


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def file_digest(path: Path) -> str | None:
    """SHA-256 of a file; None where there is no such file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def hardware(device: torch.device) -> str:
    """In words, as a table cites it: "AMD EPYC, 2 threads" or the name of the GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
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
                ["git", "-C", str(root), *words], check=True, capture_output=True, text=True
            ).stdout.strip()
        return None

    changed = ask("status", "--porcelain", "--", "src", "params.yaml", "notebooks")
    return {"commit": ask("rev-parse", "HEAD"), "dirty": None if changed is None else bool(changed)}


def planned(parameters: Parameters, scale: str, experiments: list[str], root: Path = Path(".")) -> list[Run]:
    """All runs that params.yaml asks for at a scale, as the matrix of each dvc.yaml spells them out.

    Raises:
        UserError: there is no such scale.
    """
    parameters.choose(SCALES, scale, "scale")
    return [
        Run(scale, experiment, method, setting, seed, root=root)
        for experiment in experiments
        for method in parameters.experiment(experiment)["methods"]
        for setting in parameters.experiment(experiment)["settings"]
        for seed in parameters.seeds(experiment)
    ]
