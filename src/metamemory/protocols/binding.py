"""Drawings and one-hot labels: Table 1 and Figure 2 (a, b) of Santoro et al. 2016.

Of a MANN, what its memory did in a test episode is kept too (`analysis.memory`).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from metamemory.analysis import memory as memory_trace
from metamemory.protocols import Context, Outcome, santoro
from metamemory.protocols.splits import load_splits
from metamemory.tasks.binding import Binding
from metamemory.training.loop import Stage


def conduct(config: Mapping[str, Any], method: str, seed: int, context: Context) -> Outcome | None:
    """Train and evaluate one learner.

    `config` has the sections `data` (name, split, size), `task` (of `Binding`), `label_gain` (how much larger than the
    others the weights begin that read the label), `curriculum` (the stages before the
    task: changes to it, and `episodes` where a stage does not end by mastery), `training` (of `Training`; none for a
    learner without parameters), `evaluation` (episodes, batch_size) and `model` (the learner's own settings).
    """
    images, parts = load_splits(config, context)

    def task(part: str, **changes: Any) -> Binding:
        return Binding(parts[part], **{**config["task"], **changes})

    curriculum = [*santoro.before_the_task(config, partial(task, "train")), Stage(task("train"))]
    validation, test = task("validation"), task("test")
    learner = santoro.learner_of(method, test, config, seed, context)
    position = santoro.trained(learner, curriculum, validation, config, seed, context)
    if position is None:
        return None
    evaluation = config["evaluation"]
    found = santoro.answers(learner, test, evaluation["episodes"], evaluation["batch_size"], santoro.TEST_SEED)
    example = santoro.example(learner, test)
    if memory_trace.has_memory(learner):
        example |= memory_trace.of_episode(learner, santoro.first_episode(test))
        example |= memory_trace.retrieval(learner, test, seed=santoro.TEST_SEED)
    return santoro.outcome(learner, position, found.by_instance, images, config, len(curriculum), test, example=example)
