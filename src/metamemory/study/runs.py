"""A run: one method, one setting, one seed of an experiment, at one scale; and what it leaves behind.

    results/<scale>/<experiment>/<method>/<setting>/
        seed<k>.metrics.json     the numbers that sum it up
        seed<k>.scores.csv       what was measured: a row a shot, or what else the protocol measures by
        seed<k>.history.csv      learning curve: a row a validation
        seed<k>.example.json     a test episode and the answers to it
        seed<k>.manifest.json    what was run, on what, with what
    runs/<the same>/seed<k>/model.safetensors

All but the model are small and live in Git. The manifest is written last: a run without one has not finished.
A finished run is used again only if its fingerprint (configuration, source, data) is the one asked for, and all its
files are as it left them.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from metamemory import data
from metamemory.data import ImageSet
from metamemory.errors import UserError
from metamemory.kernels.memory import keep_freed_memory
from metamemory.models import learner_class
from metamemory.protocols import Context, protocol_class
from metamemory.protocols.conduct import conduct
from metamemory.study import source
from metamemory.study.begun import Begun
from metamemory.study.checks import require_possible, stores_samples
from metamemory.study.kept import require_trained, trained, trained_or_kept
from metamemory.study.neighbours import MOST_THREADS
from metamemory.study.parameters import SCALES, Parameters, closest, label_overrides
from metamemory.study.processors import usable
from metamemory.study.recording import hardware, record, require_recordable
from metamemory.study.stored import (
    ENDINGS,
    file_digest,
    read_manifest,
    read_part,
    read_whole,
    require_model,
)
from metamemory.training.interruption import Interruption

__all__ = ["ENDINGS", "Run", "execute", "file_digest", "read_manifest"]
LONGEST_NAME = 255  # bytes of the name of a folder
SourceDigest = Callable[[tuple[tuple[str, str], ...]], str]  # `source.digest`, or what remembers its answers


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
        """Where its files are, in results/ as in runs/; what was overridden is part of it, in so far as a folder's
        name can hold it."""
        setting = _within_a_name(",".join([self.setting, *label_overrides(self.overrides)]))
        return f"{self.scale}/{self.experiment}/{self.method}/{setting}/seed{self.seed}"

    def result(self, ending: str) -> Path:
        """A file of the results: `ending` is one of ENDINGS."""
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


def _within_a_name(text: str) -> str:
    """The text or, where it is too long for the name of a folder, its beginning and a digest of it."""
    encoded = text.encode()
    if len(encoded) <= LONGEST_NAME:
        return text
    return f"{encoded[:200].decode(errors='ignore')}~{hashlib.sha256(encoded).hexdigest()[:16]}"


def configuration(run: Run, parameters: Parameters | None = None) -> dict[str, Any]:
    """All that decides the run but its seed and its data; `parameters` are read where they are not given.

    Raises:
        UserError: the run is not in the parameters; an override is of what nobody reads, or of another kind; the
            learner cannot do what is asked.
    """
    parameters = parameters or Parameters(run.root)
    named = (run.scale, run.experiment, run.method, run.setting)
    config = parameters.configuration(*named, run.overrides)
    require_possible(config, parameters.configuration(*named, {}))
    return config


def roots(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(module, name) of the definitions that decide what a run does; what they reach is its source."""
    called = (protocol_class(config["protocol"]), learner_class(config["learner"]))
    return [
        ("metamemory.protocols.conduct", "conduct"),
        ("metamemory.data", "load"),
        *((each.__module__, each.__name__) for each in called),
    ]


def identity(config: Mapping[str, Any], source_digest: SourceDigest = source.digest) -> dict[str, str]:
    """Digests of what decides a run but its seed and its data; that of its source may be taken from whoever keeps
    it."""
    return {"configuration": sha256(config), "source": source_digest(tuple(roots(config)))}


def load_images(run: Run, config: Mapping[str, Any]) -> ImageSet | None:
    """What is learned from; None where the task makes it itself.

    Raises:
        UserError: the data set is not prepared or damaged, or has no such split.
    """
    if "data" not in config:
        return None
    section = config["data"]
    images = data.load(section["name"], section["size"], root=run.root / "data", other=section.get("other"))
    split = config["data"].get("split")
    if split is not None and split not in images.splits:
        raise UserError(f"{config['data']['name']}: no data.split {split!r}{closest(split, images.splits)}")
    return images


def digests(
    run: Run,
    config: Mapping[str, Any],
    images: str | None,
    source_digest: SourceDigest = source.digest,
) -> dict[str, str | None]:
    """Of all that decides a run but its seed; `images` is that of the images. That of weights that are not there is
    None."""
    found = {**identity(config, source_digest), "data": images}
    return found if trained(run, config) is None else {**found, "trained": trained_or_kept(run, config)[1]}


def fingerprint(digests: Mapping[str, Any], seed: int) -> str:
    """Of all that decides a run."""
    return sha256([digests, seed])


def sha256(value: Any) -> str:
    """Of plain values, whatever the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def execute(run: Run, minutes: float = math.inf, again: bool = False) -> bool:
    """Do the run, or go on with it, unless it is finished; `again` does it afresh, once.

    Returns:
        True when it is finished, False if `minutes` of training ran out: the same call goes on where it stopped.

    Raises:
        UserError: the run is not in the parameters, its configuration or its data are bad, what it is to leave cannot
            be written, or training failed.
    """
    config = configuration(run)
    images = load_images(run, config)
    weights = require_trained(run, config)
    decided = digests(run, config, images and images.digest)
    asked_for = fingerprint(decided, run.seed)
    if not again and _told_finished(run, asked_for, decided):
        return True

    earlier = _earlier(run, asked_for)
    begun = Begun(run.root, asked_for)
    require_recordable(run, begun.path)
    begun.start(run.place, again)
    device = prepare_device()
    print(f"{run.place}: {'going on' if begun.checkpoint.exists() else 'begins'} on {hardware(device)}")
    if stores_samples(config["learner"]) and "delay" in config.get("task", {}):
        print(f"{run.method} is told the delay of the labels, and stores samples until they come")
    if rounded := weights != trained(run, config):
        print(f"{run.place}: with the rounded weights of {weights}: those that were trained are not here")
    began = time.monotonic()
    context = Context(
        *(device, begun.path, minutes, images, weights),
        before_training=lambda learner: require_recordable(run, begun.path, learner),
    )
    try:
        outcome = conduct(config, run.seed, context)
    finally:
        if not begun.checkpoint.exists():  # it could not begin, or trains nothing
            begun.finish()
    if outcome is None:
        print(f"{run.place}: stopped after {minutes:g} minutes of training; the same command goes on")
        return False
    with Interruption():  # what is recorded is finished: a signal comes too late
        if rounded:
            outcome.facts["rounded_weights"] = str(weights.relative_to(run.root))
        record(run, outcome, config, decided, asked_for, device, time.monotonic() - began)
        begun.finish()
    print(f"{run.place}: {_shown(outcome.metrics)}")
    if earlier is not None:
        print(f"{run.place}: {_shown(earlier)} in the results that these replace; `git diff results` shows all")
    return True


def _shown(metrics: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in metrics.items())


def _earlier(run: Run, asked_for: str) -> dict[str, float] | None:
    """The metrics of the same run, where it was done before and is now done again."""
    with suppress(UserError):
        manifest = read_manifest(run)
        if manifest["fingerprint"] == asked_for:
            return read_part(run, "metrics.json", manifest)
    return None


def _told_finished(run: Run, asked_for: str, decided: Mapping[str, Any]) -> bool:
    """Whether it is finished, as asked for; prints that, or why results that are there are of no use."""
    if not run.result("manifest.json").exists():
        return False
    instead = "so the run is done again"
    try:
        manifest = read_whole(run, instead)
        if manifest["fingerprint"] == asked_for:
            require_model(run, manifest, instead)
            print(f"{run.place}: finished before, with the same configuration, code and data")
            return True
    except UserError as error:
        print(error, flush=True)
        return False
    names = {"configuration": "configuration", "source": "code", "data": "data", "trained": "trained weights"}
    others = [what for name, what in names.items() if manifest["digests"].get(name) != decided.get(name)]
    print(f"{run.place}: finished before, but with other {', '.join(others) or 'digests'}: {instead}", flush=True)
    return False


def checkpoint(root: Path, fingerprint: str) -> Path:
    """Where the run with this fingerprint leaves off, until it is finished."""
    return Begun(root, fingerprint).path


def prepare_device() -> torch.device:
    """Where a run computes, set up as all runs have it."""
    torch.set_num_threads(min(torch.get_num_threads(), MOST_THREADS, usable()))
    torch.set_flush_denormal(True)  # gates that saturate leave numbers below 1e-38, each a hundred times as slow
    keep_freed_memory()  # for evaluations too; a training sees to it by itself
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def finished(run: Run) -> str | None:
    """The fingerprint that the finished run was made with; None if it is not finished, or one of its files is lost or
    not as the run left it."""
    with suppress(UserError):
        manifest = read_whole(run)
        require_model(run, manifest, "")
        return manifest["fingerprint"]
    return None


def planned(parameters: Parameters, scale: str, experiments: list[str], root: Path = Path(".")) -> list[Run]:
    """All runs that the parameters ask for at a scale, as the pipeline's matrix spells them out.

    Raises:
        UserError: there is no such scale.
    """
    parameters.choose(SCALES, scale, "scale")
    return [
        Run(scale, experiment, method, setting, seed, root=root)
        for experiment in experiments
        for method in parameters.methods(experiment)
        for setting in parameters.settings(experiment)
        for seed in parameters.seeds(experiment)
    ]
