"""What a trained learner does with its memory, beyond what Babu et al. 2021 show: on test episodes, without training.

Calibration of every learner by shot; and of a CL+LSTM, what its accuracy is with the state of one layer reset before
every step or frozen after two appearances of each class, and how far labels move the state of each layer.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from metamemory.analysis import state as inspection
from metamemory.errors import UserError
from metamemory.models import TaskDescription, build
from metamemory.models.learner import Learner
from metamemory.protocols import Context, Outcome, facts
from metamemory.protocols.splits import load_splits
from metamemory.tasks import Episode
from metamemory.tasks.online_few_shot import OnlineFewShot
from metamemory.training.evaluation import score_by_shot
from metamemory.training.statistics import bootstrap

TEST_SEED = 20_000_000  # the test episodes of `online_few_shot`


@torch.no_grad()
def conduct(config: Mapping[str, Any], method: str, seed: int, context: Context) -> Outcome:
    """Inspect one trained learner.

    `config` has the sections `data`, `task`, `evaluation` and `model` of the run that trained it, and `trained`: its
    model, below the top of the project.
    """
    images, parts = load_splits(config, context)
    task = OnlineFewShot(parts["test"], **{**config["task"], "rotations": False, "augment": False})
    described = TaskDescription(tuple(images.images.shape[2:]), task.n_way, task.delay)
    learner = build(method, described, config.get("model", {})).to(context.device)
    path = context.data.parent / config["trained"].format(method=method, seed=seed)
    try:
        learner.load_state_dict(load_file(path, device=str(context.device)))
    except FileNotFoundError:
        raise UserError(f"{path} is not there: run online_few_shot of {method} first") from None
    learner.eval()

    generator = torch.Generator(context.device).manual_seed(TEST_SEED)
    evaluation, episodes = config["evaluation"], []
    for _ in range(evaluation["episodes"] // evaluation["batch_size"]):
        episodes.append(task.sample(evaluation["batch_size"], generator))

    logits = [learner(each.x, each.y_seen) for each in episodes]
    intervals = [bootstrap(column, over="episodes") for column in _accuracy(logits, episodes, task).T]
    told = [inspection.told_apart(each, episode) for each, episode in zip(logits, episodes, strict=True)]
    together = {name: torch.cat([each[name] for each in told], dim=1) for name in told[0]}
    shot = torch.cat([each.shot for each in episodes], dim=1)
    errors = inspection.by_shot(together, shot, task.samples_per_class, inspection.calibration_error)
    sure = inspection.by_shot(
        together, shot, task.samples_per_class, lambda confidence, right: confidence.mean().item()
    )

    found: dict[str, Any] = {"calibration_error": errors, "confidence": sure}
    if method == "cl_lstm":
        found |= _layers(learner, episodes, task)
    return Outcome(
        learner=learner,
        metrics={f"calibration_error_{k}_shot": round(error, 5) for k, error in enumerate(errors)},
        by_shot=[
            {"shot": k, "accuracy": each.mean, "low": each.low, "high": each.high} for k, each in enumerate(intervals)
        ],
        example=_rounded(found),
        facts={
            **facts.of_data(images, config["data"]["size"]),
            **facts.of_test(evaluation["episodes"], TEST_SEED),
        },
    )


def _accuracy(logits: list[Tensor], episodes: list[Episode], task: OnlineFewShot) -> np.ndarray:
    """[episode, shot] of the answers to batches of episodes."""
    rows = [
        score_by_shot(each.argmax(-1) == episode.y, episode.shot, episode.y >= 0, task.samples_per_class)
        for each, episode in zip(logits, episodes, strict=True)
    ]
    return torch.cat(rows).numpy()


def _layers(learner: Learner, episodes: list[Episode], task: OnlineFewShot) -> dict[str, Any]:
    """Accuracy by shot with each part of the state reset or frozen; how far labels move each part."""
    after = 2 * task.n_way
    altered = {"reset": {}, "frozen": {}}
    for part in inspection.parts(learner):
        for kind, alter in (
            ("reset", partial(inspection.reset, learner, part)),
            ("frozen", partial(inspection.frozen, part, after)),
        ):
            logits = [inspection.answers(learner, each, alter()) for each in episodes]
            altered[kind][part] = np.nanmean(_accuracy(logits, episodes, task), axis=0).tolist()
    moved = [inspection.moved_by_labels(learner, each) for each in episodes[:4]]
    return {
        **altered,
        "frozen_after": after,
        "moved": {part: np.mean([each[part] for each in moved], axis=0).tolist() for part in moved[0]},
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [round(each, 4) for each in value]
    return value
