"""Curricula in which a learner is pre-trained on support sets (`SupportQuery`) before its task."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from metamemory.errors import UserError
from metamemory.models.learner import Learner
from metamemory.tasks import Task
from metamemory.tasks.support_query import SupportQuery
from metamemory.training.loop import Stage


def stage(
    kind: Callable[..., Task],
    images: Tensor,
    task: Mapping[str, Any],
    episodes: int | None = None,
    pretrain: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Stage:
    """A stage of a curriculum: the task with its changes, or support sets where it says `pretrain`."""
    if pretrain is not None:
        varied = {key: task[key] for key in ("rotations", "augment") if key in task}
        return Stage(SupportQuery(images, **varied, **pretrain), episodes)
    return Stage(kind(images, **{**task, **changes}), episodes)


def require_pretrainable(learner: Learner, method: str, curriculum: Sequence[Stage], n_way: int | None = None) -> None:
    """Refuse `pretrain` for a learner that cannot be, or for more than the `n_way` labels that it knows."""
    for task in (each.task for each in curriculum if isinstance(each.task, SupportQuery)):
        if not learner.adapts:
            raise UserError(
                f"params.yaml: curriculum: pretrain is for learners that adapt to a support set; {method} does not"
            )
        if n_way is not None and task.n_way > n_way:
            raise UserError(
                f"params.yaml: curriculum: pretrain.n_way is {task.n_way}, but the learner knows {n_way} labels"
            )
