"""A memory that is not wiped between episodes: section 4.2.1 and Figure 3 of Santoro et al. 2016."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from metamemory.protocols import Context, Outcome, santoro
from metamemory.protocols.santoro import Answers
from metamemory.protocols.splits import load_splits
from metamemory.tasks.binding import Binding
from metamemory.tasks.persistent_binding import PersistentBinding
from metamemory.training.loop import Stage


def conduct(config: Mapping[str, Any], method: str, seed: int, context: Context) -> Outcome | None:
    """Train and evaluate one learner on rows of episodes.

    `config` has the sections of `mann_classification` and `rows` (`row` and `wiped` of `PersistentBinding`). What
    counts are the episodes of a row after its first, in which there is something to interfere; accuracy by the
    episode's place in the row is in the example.
    """
    images, parts = load_splits(config, context)

    def rows(part: str, **changes: Any) -> PersistentBinding:
        return PersistentBinding(Binding(parts[part], **{**config["task"], **changes}), **config["rows"])

    curriculum = [*santoro.before_the_task(config, partial(rows, "train")), Stage(rows("train"))]
    test = rows("test")
    learner = santoro.learner_of(method, test.episodes, config, seed, context)
    position = santoro.trained(learner, curriculum, rows("validation"), config, seed, context)
    if position is None:
        return None
    evaluation = config["evaluation"]
    found = santoro.answers(learner, test, evaluation["episodes"], evaluation["batch_size"], santoro.TEST_SEED)
    by_place = [Answers(*each).by_instance for each in zip(*map(test.split_episodes, found), strict=True)]
    later = torch.stack(by_place[1:] or by_place).nanmean(dim=0)
    return santoro.outcome(
        learner, position, later, images, config, len(curriculum), test.episodes,
        example={"by_place": [each.nanmean(dim=0).nan_to_num().tolist() for each in by_place]},
    )  # fmt: skip
