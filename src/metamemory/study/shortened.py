"""A run cut short: what is executed before a change and after it, to prove that the change keeps every bit.

`shorten` is a function of the configuration alone, so that two trees cut a run at the same places. The rest of this
file is executed in the tree that is to be tried, which need not be the one that the file stands in:

    PYTHONPATH=<tree>/src python -P src/metamemory/study/shortened.py < job.json
"""

import copy
import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WHOLE = 5  # episodes of a batch, of which a test has a whole number: for runs that look at the weights of another
HEAVY = 1e8  # FLOPs of a step, from which on a run takes too long on one core


@dataclass(frozen=True)
class Cut:
    """How much is left of a run.

    Attributes:
        updates: of the training, all stages together; every stage of the curriculum is entered, whatever it takes.
        validations: of the training.
        validation_episodes: at most, of one validation: more than any protocol takes at a time.
        episodes: of the test, in batches of which the last is a smaller one.
        batch_size: of the test.
    """

    updates: int = 50
    validations: int = 2
    validation_episodes: int = 110
    episodes: int = 20
    batch_size: int = 8

    @classmethod
    def of(cls, flops_per_step: int | None) -> "Cut":
        """For a learner whose step costs so much: a run takes some minutes at most."""
        return cls(updates=0, validations=1, validation_episodes=55) if (flops_per_step or 0) > HEAVY else cls()


def shorten(config: Mapping[str, Any], cut: Cut) -> dict[str, Any]:
    """The configuration with fewer updates and episodes, and stages that end after so many episodes, not by mastery.

    The last stage takes the updates that are left, at least two.
    """
    config = copy.deepcopy(dict(config))
    evaluation = config["evaluation"]
    if "training" in config:
        _shorten_training(config, cut)
    if "episodes" in evaluation:
        evaluation["episodes"] = min(evaluation["episodes"], cut.episodes)
        batch_size = cut.batch_size if "trained" not in config else WHOLE
        evaluation["batch_size"] = min(evaluation["batch_size"], batch_size)
    if "longer" in evaluation:  # episodes of five times as many steps
        longer = evaluation["longer"]
        longer["episodes"] = min(longer["episodes"], cut.episodes // 5)
        longer["batch_size"] = min(longer["batch_size"], 2)
    if "second" in config:  # another training, after the first
        second = config["second"]
        second["every"] = min(second["every"], max(1, cut.updates // 5))
        second["tasks"] = min(second["tasks"], 2 * second["every"])
        second["repeats"] = min(second["repeats"], 2)
    return config


def _shorten_training(config: dict[str, Any], cut: Cut) -> None:
    training, curriculum, classes = config["training"], config.get("curriculum") or [], config.get("classes")
    batch = training["batch_size"]
    stages = len(curriculum) + (classes["last"] - classes["first"] + 1 if classes else 1)
    each = max(1, cut.updates // stages)
    for stage in curriculum:
        stage["episodes"] = each * batch
    if classes:  # a stage for each number of classes
        classes["every"] = each * batch
    training["episodes"] = max(cut.updates, each * (stages - 1) + 2) * batch
    training["validations"] = cut.validations
    training["validation_episodes"] = min(training.get("validation_episodes", 200), cut.validation_episodes)


def perform(job: Mapping[str, Any]) -> None:
    """Do a run on the CPU with one thread, and write what came of it.

    A job has `configuration`, cut already, `seed`, `method` and `experiment`, the folder of prepared `data`, and
    `outcome`, the JSON file to write, beside which the weights come to lie. `through` is None, or a Python file whose
    `conduct(job, root)` does the run in a tree with another interface. The weights that a run looks at come from the
    file `trained`; where it is not there, they are drawn with the seed and written to it.
    """
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = _conduct_of(job.get("through"))(job, Path(folder))
    weights = {name: value.detach().contiguous() for name, value in found.pop("learner").state_dict().items()}
    out = Path(job["outcome"])
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, out.with_suffix(".safetensors"))
    record = {"job": identity(job), **found, "took": round(time.monotonic() - began, 1)}
    partial = out.with_suffix(".partial")
    partial.write_text(json.dumps(record) + "\n", encoding="utf-8")
    partial.replace(out)


def identity(job: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the outcome of a job in a tree."""
    return {name: job[name] for name in ("experiment", "method", "seed", "configuration", "cut")}


def _conduct_of(through: str | None):
    if through is None:
        return conduct
    spec = importlib.util.spec_from_file_location("through", through)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.conduct


def conduct(job: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Do the run of a job in a tree that has the interface of this one."""
    import torch
    from safetensors.torch import save_file

    from metamemory import data
    from metamemory.protocols import Context
    from metamemory.protocols.conduct import conduct

    config, seed = job["configuration"], job["seed"]
    images, section = None, config.get("data")
    if section is not None:
        other = {"other": section["other"]} if section.get("other") else {}  # a tree of before knows no such thing
        images = data.load(section["name"], section["size"], root=job["data"], **other)
    place = {"device": torch.device("cpu"), "checkpoint": root / "checkpoint.pt", "images": images}
    if "trained" in config:
        trained = Path(job["trained"])
        if not trained.exists():
            drawn = conduct(config, seed, Context(**place)).learner.state_dict()
            trained.parent.mkdir(parents=True, exist_ok=True)
            save_file({name: value.contiguous() for name, value in drawn.items()}, trained)
        place["trained"] = trained
    outcome = conduct(config, seed, Context(**place))
    parts = ("learner", "metrics", "scores", "history", "example", "facts")
    return {name: getattr(outcome, name) for name in parts}


if __name__ == "__main__":
    perform(json.load(sys.stdin))
