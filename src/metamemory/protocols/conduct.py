"""The one way in which a run is done: build, train, validate, evaluate, record."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from safetensors.torch import load_file

from metamemory.errors import UserError
from metamemory.models import build
from metamemory.models.learner import Learner
from metamemory.protocols import facts, protocol_class
from metamemory.protocols.protocol import Context, Outcome, Protocol, Row
from metamemory.tasks.reconstruction import Reconstruction
from metamemory.training.checkpoint import Checkpoint, seed_generators
from metamemory.training.files import reading
from metamemory.training.flops import flops_per_step
from metamemory.training.loop import Position, Stage, train

REHEARSED = 10  # episodes of the validation before training, of which only is asked whether it gives a number


def conduct(config: Mapping[str, Any], seed: int, context: Context) -> Outcome | None:
    """Train one learner by a protocol, unless there is nothing to train, and measure it.

    Args:
        config: of the run: `protocol` and `learner`, the names of their files, and the sections that the protocol reads
            (see `Protocol`).
        seed: of the weights and of the training episodes; the test episodes are the same for every seed.
        context: where, on what and for how long.

    Returns:
        What was found, or None if the minutes ran out first: the same call goes on.

    Raises:
        UserError: the configuration cannot be done, or training failed.
    """
    protocol = protocol_class(config["protocol"])(config, seed, context)
    curriculum = _curriculum(protocol)
    learner = _build(protocol)
    if context.before_training is not None:
        context.before_training(learner)
    position = _train(learner, protocol, curriculum)
    if position is None:
        return None
    learner.eval()
    found = protocol.evaluate(learner)
    task = protocol.description
    step = flops_per_step(learner, task.input_shape, task.labels)
    of_training = {**facts.of_learner(learner, step), **facts.of_training(position, step, len(curriculum))}
    return Outcome(
        learner=learner,
        metrics=found.metrics,
        scores=found.scores,
        history=position.history,
        example=found.example,
        facts={
            **protocol.facts_of_data(),
            **(of_training if protocol.trains else {}),
            **protocol.facts_of_test(),
            **found.facts,
        },
    )


def _curriculum(protocol: Protocol) -> list[Stage]:
    """What to train on. A learner that is trained by reconstruction is trained on the inputs of the last stage's
    episodes, without their labels."""
    stages = protocol.curriculum() if protocol.trains else []
    protocol.require_fitting(stages)
    if stages and protocol.learner_class.trained_by == "reconstruction":
        return [Stage(Reconstruction(stages[-1].task))]
    return stages


def _build(protocol: Protocol) -> Learner:
    """The learner, with its weights drawn with the run's seed or read from a file."""
    told = {name: getattr(protocol.validation, name) for name in protocol.learner_class.told}
    seed_generators(protocol.seed)
    settings = {**protocol.config.get("model", {}), **told}
    learner = build(protocol.config["learner"], protocol.description, settings).to(protocol.context.device)
    path = protocol.context.trained
    if path is not None:
        with reading(path, "do the run that trains it"):
            learner.load_state_dict(load_file(path, device=str(protocol.context.device)))
    return learner


def _train(learner: Learner, protocol: Protocol, curriculum: list[Stage]) -> Position | None:
    """Train it, unless there is nothing to train; None if the minutes ran out."""
    if not curriculum or not any(parameter.requires_grad for parameter in learner.parameters()):
        return Position()
    context, settings = protocol.context, protocol.settings

    def validate(learner: Learner, episodes: int = settings.validation_episodes) -> tuple[float, Row]:
        """In the same episodes each time."""
        batch_size, seed = protocol.validation_batch, protocol.validation_seed + protocol.seed
        found = protocol.rollout(learner, protocol.validation, episodes, batch_size, seed)
        return protocol.validation_score(found)

    if not Checkpoint(context.checkpoint).exists():
        _require_judged(learner, validate, settings.validation_episodes)
    return train(learner, curriculum, validate, settings, protocol.seed, context.checkpoint, context.minutes)


def _require_judged(learner: Learner, validate: Callable[..., tuple[float, Row]], episodes: int) -> None:
    """Refuse a training that no validation could judge: a few episodes tell, or else all of them."""
    on_gpu = [each.device for each in learner.parameters() if each.device.type == "cuda"][:1]
    for few in dict.fromkeys((min(REHEARSED, episodes), episodes)):
        with torch.random.fork_rng(devices=on_gpu):
            score, row = validate(learner, few)
        if not math.isnan(score):
            return
    lost = ", ".join(name for name, value in row.items() if math.isnan(value)) or "its score"
    raise UserError(
        f"validation: {lost} cannot be worked out, for none of its {episodes} episodes has such a step: training could "
        "not be judged; change the task, or raise training.validation_episodes"
    )
