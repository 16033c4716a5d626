"""Which sections the configuration of a run has, and what settings are in each.

They are declared where they are used: those of the task by the constructors of `Protocol.tasks`, those of the training
by `Training`, a learner's own by its constructor; what else a protocol reads, by `SETTINGS` beside its class.
"""

import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from metamemory.models import learner_class
from metamemory.protocols import protocol_class
from metamemory.settings import NEEDED, Count, Declared, declared
from metamemory.training import update

_protocol_class = functools.cache(protocol_class)  # which looks through the folder of protocols at every call
OF_ITS_TASK = ("input_shape", "n_way", "delay")  # what a learner is told of it
OF_ITS_DATA = ("images", "other", "device", "episodes", "normalisation", "normalisations")  # what a task is given
OF_PRETRAINING = ("images", "device", "rotations", "augment", "labels")  # what support sets are given


@dataclass(frozen=True)
class DataSettings:
    """The data set.

    Attributes:
        name: one of `data.images.TITLES`, or of one's own.
        split: of its classes.
        size: of the images, in pixels.
        folder: of a data set of one's own, where the `data` command finds its class folders (`data.folders`).
        other: a second data set, at the same size, where a protocol has one.
    """

    name: str
    split: str
    size: Count
    folder: str | None = None
    other: str | None = None


@dataclass(frozen=True)
class SplitOrNot:
    """The data set, as in `DataSettings`, whose classes need not be split: then `split` is None."""

    name: str
    size: Count
    split: str | None = None
    folder: str | None = None


@dataclass(frozen=True)
class EvaluationSettings:
    """The test: how many episodes, and how many at a time."""

    episodes: Count
    batch_size: Count


@dataclass(frozen=True)
class Sections:
    """What a protocol reads of a configuration.

    Attributes:
        data: settings of the data set; None where the task draws its own inputs.
        task: settings of the task; those of the protocol's `tasks` where None.
        given: settings of the task that the protocol itself gives it.
        evaluation: settings of the test.
        own: sections that no other protocol has.
        curriculum: whether there must be one.
    """

    data: type | None = DataSettings
    task: Mapping[str, Declared] | None = None
    given: tuple[str, ...] = ()
    evaluation: type = EvaluationSettings
    own: Mapping[str, Declared] = field(default_factory=dict)
    curriculum: bool = False


def sections_of(protocol: str) -> Sections:
    """What is declared for a protocol.

    Raises:
        UserError: there is none of that name.
    """
    module = sys.modules[_protocol_class(protocol).__module__]
    return getattr(module, "SETTINGS", Sections())


def task_settings(protocol: str) -> Mapping[str, Declared]:
    """Settings that the task of a protocol can have, and a stage of its curriculum can change."""
    found = sections_of(protocol).task
    if found is not None:
        return found
    return {
        name: each for task in _protocol_class(protocol).tasks for name, each in declared(task, OF_ITS_DATA).items()
    }


def stage_settings(protocol: str) -> Mapping[str, Declared]:
    """Settings of a stage of the curriculum."""
    pretraining = _protocol_class(protocol).pretraining
    pretrain = {"pretrain": Declared(declared(pretraining, OF_PRETRAINING))} if pretraining is not None else {}
    return {"episodes": Declared(Count), **pretrain, **task_settings(protocol)}


def model_settings(learner: str) -> Mapping[str, Declared]:
    """A learner's own settings."""
    cls = learner_class(learner)
    return declared(cls, (*OF_ITS_TASK, *cls.told))


def known_sections(config: Mapping[str, Any]) -> dict[str, Declared]:
    """The sections that the configuration of a run can have: by its protocol and its learner."""
    protocol, sections = _protocol_class(config["protocol"]), sections_of(config["protocol"])
    trained = protocol.trains and learner_class(config["learner"]).trained_by != "nothing"
    optional = {} if trained else {"default": None}
    model = model_settings(config["learner"])
    needs_model = any(each.default is NEEDED for each in model.values())
    data = {} if sections.data is None else {"data": Declared(sections.data)}
    return {
        "learner": Declared(str),
        "protocol": Declared(str),
        **data,
        "task": Declared(dict),
        "curriculum": Declared(list, **({} if sections.curriculum else {"default": ()})),
        "training": Declared(update.SETTINGS, **optional),
        "evaluation": Declared(sections.evaluation),
        "model": Declared(model, **({} if needs_model else {"default": {}})),
        **sections.own,
    }
