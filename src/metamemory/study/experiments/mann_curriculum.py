"""More and more classes: section 4.2.2 and Figure 4 of Santoro et al. 2016."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from metamemory.study.experiments import Context, Outcome, santoro
from metamemory.tasks.binding import Binding
from metamemory.training.loop import Stage

PER_CLASS = 10  # steps of an episode, for each class


def conduct(config: Mapping[str, Any], method: str, seed: int, context: Context) -> Outcome | None:
    """Train one learner on ever more classes, and test it on many more.

    `config` has `data`, `task` (of `Binding`, without n_way and length), `classes` (`first`: how many at first, and
    `every`: after how many episodes there is one more), `training`, `evaluation` (episodes, batch_size and `classes`, a
    list) and `model`. An episode has ten steps a class. Validation is with as many classes as training ends with.
    """
    images, parts = santoro.drawings(config, context)

    def task(part: str, n_way: int) -> Binding:
        return Binding(parts[part], n_way=n_way, length=PER_CLASS * n_way, **config["task"])

    first, every = config["classes"]["first"], config["classes"]["every"]
    stages = -(-config["training"]["episodes"] // every)
    curriculum = [Stage(task("train", first + more), every) for more in range(stages)]
    validation = task("validation", first + stages)
    learner = santoro.learner_of(method, validation, config, seed, context)
    position = santoro.trained(learner, curriculum, validation, config, seed, context)
    if position is None:
        return None
    evaluation = config["evaluation"]

    def tested(n_way: int) -> Tensor:
        test = task("test", n_way)
        return santoro.answers(
            learner, test, evaluation["episodes"], evaluation["batch_size"], santoro.TEST_SEED
        ).by_instance

    by_classes = {n_way: tested(n_way).nanmean(dim=0).nan_to_num().tolist() for n_way in evaluation["classes"]}
    return santoro.outcome(
        learner, position, tested(first + stages), images, config, stages, validation,
        metrics={f"accuracy_{n_way}_classes_instance_2": round(each[1], 5) for n_way, each in by_classes.items()},
        example={"classes_at_the_end": first + stages, "by_classes": by_classes},
    )  # fmt: skip
