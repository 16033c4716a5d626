"""Online continual learning: section 4.3, Figures 3 and 4 of Babu et al. 2021, and what is left of the first subtask.

A learner is trained on tasks of more and more subtasks, the best of its validations is kept, and what it knows of every
subtask is measured as later ones come, in a fixed set of tasks of test characters. A row of the accuracies is of the
queries of subtasks `first` to `last`, asked after `seen` subtasks:

    Figure 3        seen = n, subtasks 1 to n               how much is known of all
    Figure 4        seen = 20, subtask i alone              how much of each, after the last
    forgetting      seen = n, subtask 1 alone               how much of the first, as later ones come
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metamemory.errors import UserError
from metamemory.models import TaskDescription, build
from metamemory.models.learner import Learner
from metamemory.protocols import Context, Outcome, facts
from metamemory.protocols.curricula import require_pretrainable, stage
from metamemory.protocols.splits import load_splits
from metamemory.tasks.continual import Continual, after
from metamemory.training.flops import flops_per_step
from metamemory.training.loop import train
from metamemory.training.statistics import bootstrap
from metamemory.training.update import settings_of

VALIDATION_SEED = 1_000_000  # of the validation episodes; the run's seed is added
VALIDATION_BATCH = 50  # episodes at a time
TEST_SEED = 20_000_000  # of the test episodes, the same for every run


def conduct(config: Mapping[str, Any], method: str, seed: int, context: Context) -> Outcome | None:
    """Train and evaluate one learner.

    `config` has the sections `data` (name, split, size), `task` (of `Continual`), `curriculum` (all stages of training:
    changes to the task, or `pretrain` with the settings of a `SupportQuery`; and `episodes`, but for the last),
    `training` (of `Training`), `evaluation` (episodes, batch_size, n_query; and `longer`: subtasks, every, episodes,
    batch_size of tasks longer than those trained on) and `model` (the learner's own settings).
    """
    images, parts = load_splits(config, context)
    task, input_shape = config["task"], tuple(images.images.shape[2:])
    evaluation = config["evaluation"]
    as_they_are = {**task, "rotations": False, "augment": False, "n_query": evaluation["n_query"]}
    validation, test = (Continual(parts[part], **as_they_are) for part in ("validation", "test"))
    if not config["curriculum"]:
        raise UserError("params.yaml: curriculum has no stage; name at least one, as `- {subtasks: 5}`")
    curriculum = [stage(Continual, parts["train"], task, **changes) for changes in config["curriculum"]]

    torch.manual_seed(seed)
    described = TaskDescription(input_shape, task["n_way"], task["delay"])
    learner = build(method, described, config.get("model", {})).to(context.device)
    require_pretrainable(learner, method, curriculum)
    settings = settings_of(config["training"])
    validate = _validation(validation, settings.validation_episodes, seed)
    trained = train(learner, curriculum, validate, settings, seed, context.checkpoint, context.minutes)
    if trained is None:
        return None

    known = known_of(learner, test, range(1, test.subtasks + 1), evaluation["episodes"], evaluation["batch_size"])
    by_seen = _rows(known, range(1, test.subtasks + 1))
    beyond = _longer(learner, method, parts["test"], config, input_shape)
    metrics = _metrics(by_seen, test.subtasks) | {
        f"accuracy_{row['seen']}_subtasks": round(row["accuracy"], 5) for row in beyond if row["last"] == row["seen"]
    }
    step = flops_per_step(learner, input_shape)
    return Outcome(
        learner=learner,
        metrics=metrics,
        by_shot=by_seen + beyond,
        history=trained.history,
        example=example(learner, test, known),
        facts={
            **facts.of_data(images, config["data"]["size"]),
            **facts.of_learner(learner, step),
            **facts.of_training(trained, step, len(curriculum)),
            **facts.of_test(evaluation["episodes"], TEST_SEED),
            "longest_test": beyond[-1]["seen"] if beyond else test.subtasks,
        },
    )


def _validation(task: Continual, episodes: int, seed: int) -> Callable[[Learner], tuple[float, dict[str, float]]]:
    """Accuracy over all subtasks after the last, in the same episodes each time; it is the validation_score as well."""

    def validate(learner: Learner) -> tuple[float, dict[str, float]]:
        batch_size = min(VALIDATION_BATCH, episodes)
        accuracy = float(known_of(learner, task, [task.subtasks], episodes, batch_size, VALIDATION_SEED + seed).mean())
        return accuracy, {"accuracy": accuracy}

    return validate


def known_of(
    learner: Learner,
    task: Continual,
    moments: Sequence[int],
    episodes: int,
    batch_size: int,
    seed: int = TEST_SEED,
) -> np.ndarray:
    """[episode, moment, subtask] accuracy, nan for subtasks yet to come, in evaluation mode; the learner's mode is put
    back. The same task, seed and batch size always give the same episodes."""
    was_training = learner.training
    learner.eval()
    generator = torch.Generator(task.device).manual_seed(seed)
    found = []
    for begin in range(0, episodes, batch_size):
        episode = task.sample(min(batch_size, episodes - begin), generator)
        found.append(task.retained(learner, episode, moments).permute(2, 0, 1))
    learner.train(was_training)
    return torch.cat(found).numpy()


def _rows(known: np.ndarray, moments: Sequence[int]) -> list[dict[str, float]]:
    """The rows of all that figures show, with intervals over episodes, from [episode, moment, subtask]."""
    rows = []
    for at, seen in enumerate(moments):
        spans = {(1, seen), (1, 1)}
        if seen == known.shape[2]:
            spans |= {(subtask, subtask) for subtask in range(1, seen + 1)} | {(1, max(seen - 1, 1))}
        for first, last in sorted(spans):
            mean, low, high, _ = bootstrap(known[:, at, first - 1 : last].mean(axis=1), over="episodes")
            rows.append({"seen": seen, "first": first, "last": last, "accuracy": mean, "low": low, "high": high})
    return rows


def _longer(
    learner: Learner, method: str, images: Tensor, config: Mapping[str, Any], input_shape: tuple[int, ...]
) -> list[dict[str, float]]:
    """Rows of tasks longer than those trained on; none where the learner's weights are for fewer labels.

    Where no weight belongs to a label, the same weights make a learner that knows more of them.
    """
    longer, task = config["evaluation"]["longer"], config["task"]
    n_way = max(longer["subtasks"], task["n_way"])
    wide = build(method, TaskDescription(input_shape, n_way, task["delay"]), config.get("model", {})).to(images.device)
    weights, needed = learner.state_dict(), wide.state_dict()
    if any(weights[name].shape != needed[name].shape for name in needed):
        return []
    wide.load_state_dict(weights)
    changes = {"n_way": n_way, "subtasks": longer["subtasks"], "n_query": 1, "rotations": False, "augment": False}
    moments = range(longer["every"], longer["subtasks"] + 1, longer["every"])
    test = Continual(images, **{**task, **changes})
    known = known_of(wide, test, moments, longer["episodes"], longer["batch_size"])
    rows = [row for row in _rows(known, moments) if row["first"] == 1 and row["last"] in (1, row["seen"])]
    return [row for row in rows if row["seen"] > task["subtasks"]]


def _metrics(rows: Sequence[Mapping[str, float]], subtasks: int) -> dict[str, float]:
    """Accuracies of all subtasks at every fifth length; and of the ends of the longest task."""
    at = {(row["seen"], row["first"], row["last"]): round(row["accuracy"], 5) for row in rows}
    lengths = [n for n in range(1, subtasks + 1) if n % 5 == 0 or n == subtasks]
    return {f"accuracy_{n}_subtasks": at[n, 1, n] for n in lengths} | {
        "accuracy_but_the_last": at[subtasks, 1, max(subtasks - 1, 1)],
        "accuracy_of_the_last": at[subtasks, subtasks, subtasks],
        "accuracy_of_the_first_at_once": at[1, 1, 1],
        "accuracy_of_the_first_at_the_end": at[subtasks, 1, 1],
    }


@torch.no_grad()
def example(learner: Learner, test: Continual, known: np.ndarray) -> dict[str, Any]:
    """The first test episode, as plain values: `y`, the label of each subtask in order, and `probability`, that given
    to every label [subtask][label] when one query of the subtask is asked after the last. And over all test episodes,
    `known`: accuracy [seen][subtask] for the subtasks seen."""
    learner.eval()
    episode = test.sample(1, torch.Generator(test.device).manual_seed(TEST_SEED))
    state = after(learner, episode.x, episode.y_seen, learner.initial_state(1))
    probability = learner.predict(episode.query_x[: test.subtasks], state)[:, 0].softmax(dim=-1)
    return {
        "y": episode.query_y[: test.subtasks, 0].tolist(),
        "probability": [[round(value, 4) for value in row] for row in probability.tolist()],
        "known": [[round(v, 4) for v in row[: at + 1]] for at, row in enumerate(known.mean(axis=0).tolist())],
    }
