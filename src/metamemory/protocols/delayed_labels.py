"""Labels that come later than one step: section 4.2 and Table 3 of Babu et al. 2021.

The protocol is that of online few-shot learning; what varies is the task's `delay`, and whether the curriculum begins
at a delay of 1. Beyond the paper, a learner is tested at every delay from 1 to 10 steps, whichever it was trained at.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from metamemory.models.learner import Learner
from metamemory.protocols import Context, Outcome, online_few_shot
from metamemory.protocols.splits import load_splits
from metamemory.tasks.online_few_shot import OnlineFewShot
from metamemory.training.evaluation import evaluate
from metamemory.training.statistics import bootstrap

DELAYS = range(1, 11)  # steps


def conduct(config: Mapping[str, Any], method: str, seed: int, context: Context) -> Outcome | None:
    """Train and evaluate one learner, as `online_few_shot.conduct`; `by_delay` of the example is what it knows at other
    delays: rows of delay, shot, accuracy and the ends of its interval."""
    outcome = online_few_shot.conduct(config, method, seed, context)
    if outcome is not None and not outcome.learner.needs_delay:  # one that is told its delay is made for it
        outcome.example["by_delay"] = _by_delay(outcome.learner, config, context)
    return outcome


def _by_delay(learner: Learner, config: Mapping[str, Any], context: Context) -> list[dict[str, float]]:
    """In as many test episodes as the delay of its training is tested in; a shot that none of them has is left out."""
    images = load_splits(config, context)[1]["test"]
    evaluation, rows = config["evaluation"], []
    for delay in DELAYS:
        task = OnlineFewShot(images, **{**config["task"], "rotations": False, "augment": False, "delay": delay})
        budget = evaluation["episodes"], evaluation["batch_size"], online_few_shot.TEST_SEED
        for shot, column in enumerate(evaluate(learner, task, *budget).accuracy.T.numpy()):
            if not np.isnan(column).all():
                mean, low, high, _ = bootstrap(column, over="episodes")
                rows.append({"delay": delay, "shot": shot, "accuracy": mean, "low": low, "high": high})
    return rows
