"""Does a run in the tree of commit bc53fac: executed there, by `metamemory.study.shortened`."""

import shutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any


def conduct(job: Mapping[str, Any], root: Path) -> dict[str, Any]:
    import torch
    from metamemory.study.experiments import Context

    config, method, seed = job["configuration"], job["method"], job["seed"]
    (root / "data").symlink_to(Path(job["data"]).resolve())
    if "trained" in config:  # found beside the folder of data
        trained = root / config["trained"].format(method=method, seed=seed)
        trained.parent.mkdir(parents=True)
        shutil.copy(_drawn(job, root), trained)
    experiment = import_module(f"metamemory.study.experiments.{job['experiment']}")
    context = Context(torch.device("cpu"), root / "data", root / "checkpoint.pt")
    outcome = experiment.conduct(config, method, seed, context)
    parts = ("learner", "metrics", "history", "example", "facts")
    return {"scores": outcome.by_shot, **{name: getattr(outcome, name) for name in parts}}


def _drawn(job: Mapping[str, Any], root: Path) -> Path:
    """Weights drawn with the seed, in the file that the other tree reads them from."""
    import torch
    from safetensors.torch import save_file

    from metamemory import data
    from metamemory.models import build

    path, config = Path(job["trained"]), job["configuration"]
    if not path.exists():
        images = data.load(config["data"]["name"], config["data"]["size"], root=root / "data")
        torch.manual_seed(job["seed"])
        shape, task = tuple(images.images.shape[2:]), config["task"]
        learner = build(job["method"], shape, task["n_way"], task["delay"], config.get("model", {}))
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: value.contiguous() for name, value in learner.state_dict().items()}, path)
    return path
