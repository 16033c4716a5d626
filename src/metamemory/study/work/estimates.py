"""What runs cost: floating-point operations, and the minutes that these take on this machine.

The seconds of a run are those of a finished run of the same method and setting on the same hardware or, where there is
none, its operations over the rate at which such hardware did others: first of the same learner at the same scale, then
of the same learner, then of any. Where nothing is trained, they are those of other settings of the same method, or else
of other methods of the experiment. What runs here, the first seconds of a run included, counts more than manifests.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch

from metamemory.errors import UserError
from metamemory.models import TaskDescription, build, learner_class
from metamemory.protocols import Context, protocol_class
from metamemory.study import runs
from metamemory.study.runs import Run
from metamemory.study.stored import read_manifest_at
from metamemory.study.today import Today
from metamemory.study.work.queue import Job, with_seconds
from metamemory.training.checkpoint import Checkpoint
from metamemory.training.files import read_json, reading, write_atomically
from metamemory.training.flops import flops_per_step

KEPT = Path(".resume") / "work" / "operations.json"
ELSEWHERE = "other hardware"
AT_LEAST = 3.0  # seconds of a run, for its start and its test
SETTING, METHOD, EXPERIMENT = (4, "a finished run"), (3, "another setting"), (2, "another method")  # parts of a group


class _Training(NamedTuple):
    """What is trained on, as far as operations depend on it."""

    task: TaskDescription
    steps: int  # of an episode
    told: dict[str, Any]  # settings of the learner


class Estimates:
    """Of runs on one machine.

    Args:
        today: what decides each run.
        hardware: as manifests name it.
    """

    def __init__(self, today: Today, hardware: str):
        self.today, self.hardware = today, hardware
        self.manifests = manifests(today.root)
        self.path = today.root / KEPT
        self.kept: dict[str, float] = {}
        with suppress(UserError), reading(self.path, ""):
            self.kept = {key: float(value) for key, value in read_json(self.path, "").items()}
        self.rates: dict[tuple, list[float]] = defaultdict(list)  # operations a second
        for manifest in self.manifests:
            self._learn_from(manifest)
        self.seen: dict[tuple, float] = {}  # the same, of runs that this machine does now
        self._shares: dict[tuple, float] = {}  # done, by checkpoint as it is
        self._trainings: dict[str, _Training | None] = {}  # by what decides them

    def of(self, job: Job) -> Job:
        """The job with its operations and seconds."""
        operations = self.operations(job.run)
        seconds, measured = self._seconds(job.run, operations)
        left = 1 - self.share_done(job) if job.unfinished else 1.0
        return with_seconds(job, operations, None if seconds is None else left * seconds, measured)

    def observe(self, run: Run, seconds: float) -> None:
        """A run here is going to take so long as a whole, or has taken it."""
        if operations := self.operations(run):
            self.seen[self._kind(run)] = operations / max(seconds, 1e-3)
        self.seen[("seconds", *group_of(run))] = seconds

    def operations(self, run: Run) -> float | None:
        """Of its training; 0 where nothing is trained, None where they cannot be told."""
        config = self.today.configuration(run)
        for manifest in self.manifests:
            counted = manifest.get("training_flops", 0)
            same = group_of(manifest["run"]) == group_of(run) and manifest["configuration"] == config
            if same and counted is not None:
                return counted
        key = runs.sha256(list(self.today.identity(run).values()))
        if key not in self.kept:
            try:
                self.kept[key] = float(_count(config, self._training(run, config)))
            except Exception:  # of a learner that is being written: its own run says what is wrong
                return None
            text = json.dumps(self.kept)
            write_atomically(self.path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
        return self.kept[key]

    def _training(self, run: Run, config: Mapping[str, Any]) -> _Training | None:
        """None where nothing is trained. The same for all learners that are told the same: tasks are slow to make."""
        shared = {name: each for name, each in config.items() if name not in ("learner", "model", "training")}
        names = learner_class(config["learner"]).told
        key = runs.sha256([shared, names])
        if key not in self._trainings:
            context = Context(torch.device("cpu"), Path(), images=self.today.images(run))
            protocol, found = protocol_class(config["protocol"])(config, run.seed, context), None
            if protocol.trains:
                told = {name: getattr(protocol.validation, name) for name in names}
                found = _Training(protocol.description, protocol.curriculum()[-1].task.length, told)
            self._trainings[key] = found
        return self._trainings[key]

    def share_done(self, job: Job) -> float:
        """Of the training, by the checkpoint of an unfinished run."""
        path = runs.checkpoint(job.run.root, job.fingerprint or self.today.fingerprint(job.run))
        try:
            key = (str(path), path.stat().st_mtime_ns)
            if key not in self._shares:
                _, state = next(Checkpoint(path).states("cpu"))
                position = state["position"]
                self._shares[key] = position["episodes"] / self.today.configuration(job.run)["training"]["episodes"]
            return min(1.0, self._shares[key])
        except Exception:  # a damaged file can fail in as many ways as there are bytes in it
            return 0.0

    def _kind(self, run: Run) -> tuple[str, str]:
        return run.scale, self.today.configuration(run)["learner"]

    def _seconds(self, run: Run, operations: float | None) -> tuple[float | None, str]:
        if ("seconds", *group_of(run)) in self.seen:
            return self.seen[("seconds", *group_of(run))], "here, now"
        wider = (SETTING, METHOD, EXPERIMENT) if operations == 0 else (SETTING,)
        for parts, name in wider:
            same = [
                manifest["seconds"]
                for manifest in self.manifests
                if group_of(manifest["run"])[:parts] == group_of(run)[:parts]
                and manifest.get("seconds")
                and manifest["hardware"] == self.hardware
            ]
            if same:
                return median(same), name
        if operations is None:
            return None, ""
        kind = self._kind(run)
        if kind in self.seen:
            return AT_LEAST + operations / self.seen[kind], "its learner, here, now"
        for key, name in (
            ((self.hardware, *kind), "its learner"),
            ((self.hardware, kind[1]), "its learner at another scale"),
            ((self.hardware,), "other learners"),
            ((ELSEWHERE, *kind), ELSEWHERE),
            ((ELSEWHERE,), ELSEWHERE),
        ):
            if key in self.rates:
                return AT_LEAST + operations / median(self.rates[key]), name
        return None, ""

    def _learn_from(self, manifest: Mapping[str, Any]) -> None:
        operations = manifest.get("training_flops")
        seconds = manifest.get("seconds") or manifest.get("training_seconds")
        if operations and seconds:
            scale, learner = manifest["run"]["scale"], manifest["configuration"]["learner"]
            here = self.hardware if manifest["hardware"] == self.hardware else ELSEWHERE
            for key in ((here, scale, learner), (here, learner), (here,)):
                self.rates[key].append(operations / seconds)


def group_of(run: Run | Mapping[str, Any]) -> tuple:
    """Scale, experiment, method and setting: what all seeds share."""
    names = ("scale", "experiment", "method", "setting")
    return tuple(run[name] if isinstance(run, Mapping) else getattr(run, name) for name in names)


def manifests(root: Path) -> list[dict[str, Any]]:
    """Those of finished runs that can be read."""
    found = []
    for path in sorted((root / "results").glob("*/*/*/*/seed*.manifest.json")):
        with suppress(UserError), reading(path, ""):
            manifest = read_manifest_at(path)
            told = (*group_of(manifest["run"]), manifest["configuration"]["learner"], manifest["hardware"])
            if all(isinstance(each, str) for each in told) and not manifest["run"].get("overrides"):
                found.append(manifest)
    return found


def _count(config: Mapping[str, Any], training: _Training | None) -> int:
    """Three forward passes for each step of the training, as manifests count it; every episode is taken to be as long
    as one of the last stage."""
    if training is None:
        return 0
    learner = build(config["learner"], training.task, {**config.get("model", {}), **training.told})
    if not any(parameter.requires_grad for parameter in learner.parameters()):
        return 0
    steps = config["training"]["episodes"] * training.steps
    return 3 * steps * flops_per_step(learner, training.task.input_shape, training.task.labels)
