"""More and more classes: section 4.2.2 and Figure 4 of Santoro et al. 2016."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from metamemory.protocols import Context, Outcome, santoro
from metamemory.protocols.splits import load_splits
from metamemory.tasks.binding import Binding
from metamemory.training.loop import Stage

PER_CLASS = 10  # steps of an episode, for each class


def conduct(config: Mapping[str, Any], method: str, seed: int, context: Context) -> Outcome | None:
    """Train one learner on ever more classes, and test it on many more.

    `config` has the sections of `mann_classification`, `task` without n_way and length, and `classes`: how many there
    are at `first` and at `last`, and after how many episodes there is one more (`every`). What `curriculum` has comes
    before them. `evaluation` has `classes` too, a list. An episode has ten steps a class. Validation is with as many
    classes as training ends with.
    """
    images, parts = load_splits(config, context)

    def task(part: str, **changes: Any) -> Binding:
        return Binding(parts[part], **{**config["task"], **changes})

    def of(part: str, n_way: int) -> Binding:
        return task(part, n_way=n_way, length=PER_CLASS * n_way)

    first, last, every = (config["classes"][name] for name in ("first", "last", "every"))
    before = santoro.before_the_task(config, partial(task, "train"))
    curriculum = [*before, *(Stage(of("train", n_way), every) for n_way in range(first, last + 1))]
    validation = of("validation", last)
    learner = santoro.learner_of(method, validation, config, seed, context)
    position = santoro.trained(learner, curriculum, validation, config, seed, context)
    if position is None:
        return None
    evaluation = config["evaluation"]

    def tested(n_way: int) -> Tensor:
        test = of("test", n_way)
        return santoro.answers(
            learner, test, evaluation["episodes"], evaluation["batch_size"], santoro.TEST_SEED
        ).by_instance

    by_classes = {n_way: tested(n_way).nanmean(dim=0).nan_to_num().tolist() for n_way in evaluation["classes"]}
    return santoro.outcome(
        learner, position, tested(last), images, config, len(curriculum), validation,
        metrics={f"accuracy_{n_way}_classes_instance_2": round(each[1], 5) for n_way, each in by_classes.items()},
        example={"by_classes": by_classes},
    )  # fmt: skip
