"""What the manifests of several protocols say in the same words."""

from typing import Any

from metamemory.data.images import ImageSet
from metamemory.models.learner import Learner
from metamemory.training.loop import Position


def of_data(images: ImageSet, size: int) -> dict[str, Any]:
    """What was learned from, as loaded at `size` pixels."""
    return {"data": {"name": images.name, "title": images.title, "digest": images.digest, "size": size}}


def of_learner(learner: Learner, flops_per_step: int) -> dict[str, Any]:
    """How large it is, and what a step costs."""
    return {"parameters": sum(each.numel() for each in learner.parameters()), "flops_per_step": flops_per_step}


def of_training(trained: Position, flops_per_step: int, stages: int) -> dict[str, Any]:
    """What the training took; `stages` are those of the curriculum, the task itself being the last."""
    return {
        # a backward pass costs about twice the forward one (Babu et al. 2021, section 4.3)
        "training_flops": 3 * flops_per_step * trained.steps,
        "training_episodes": trained.episodes,
        "training_seconds": round(trained.seconds, 1),
        "stages_reached": f"{trained.stage + 1} of {stages}",
    }


def of_test(episodes: int, seed: int) -> dict[str, Any]:
    """What was measured, and what its intervals say."""
    return {"test_episodes": episodes, "test_seed": seed, "interval": "95 % bootstrap over test episodes"}
