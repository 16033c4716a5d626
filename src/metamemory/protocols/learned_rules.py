"""Learning rules that are trained: on networks that learn a data set, and tested on networks that learn others (Sandler
et al. 2021, section 4.2; Kirsch and Schmidhuber 2021, section 3).

An episode of training is the life of a network of the size that the learner's settings say; the loss is that of its
answers to other images at its end. The best rule of the validations, on held-out images, is kept. Then for each of
`tests` a fixed set of new networks lives longer, and their accuracy on test images is measured after some steps. A test
may have another data set, other images, or larger networks; the rule is the same.

Where a learner has settings to choose from (`LearnedRule.candidates`), those are taken for each test that make the mean
of the learning curve on held-out images highest: the best that could be done, rather than that of one data set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from metamemory.data.images import ImageSet
from metamemory.errors import UserError
from metamemory.models import build
from metamemory.models.learner import Learner, TaskDescription
from metamemory.models.self_modifying.learned_rule import LearnedRule
from metamemory.protocols.protocol import Findings, Protocol, Row
from metamemory.protocols.records import DECIMALS, encoded
from metamemory.protocols.sections import OF_ITS_DATA, Sections
from metamemory.settings import Count, Declared, Index, Items, Named, Share, Width, declared
from metamemory.tasks.data_set import DataSet, Group, cropped, split_of_each_class
from metamemory.tasks.supervised import ImageSplits, Normalisation
from metamemory.training.rollout import Rollout
from metamemory.training.statistics import bootstrap

SCORES_PLOT = {"title": "Accuracy by step", "x": "step", "y": "accuracy"}
SHOWN = 12  # queries whose answers are kept, of the first network of each test


@dataclass(frozen=True)
class RuleData:
    """The data set whose images are learned, their size in pixels, and a second one where a test has it."""

    name: str
    size: Count
    other: str | None = None


@dataclass(frozen=True)
class TestSettings:
    """What is different in a test.

    Attributes:
        other: whether the images are those of the second data set.
        crop, size: of the images, see `cropped`.
        hidden: sizes of the networks' layers between inputs and answers.
        groups, permuted, projected: of the task, see `DataSet`.
    """

    __test__ = False  # no test of pytest's
    other: bool = False
    crop: Count | None = None
    size: Count | None = None
    hidden: Annotated[Sequence[Width], Items()] | None = None
    groups: Annotated[Sequence[Group], Items(least=1)] | None = None
    permuted: Share = 0.0
    projected: Share = 0.0


@dataclass(frozen=True)
class RuleEvaluation:
    """The tests.

    Attributes:
        networks: of each test.
        at: numbers of steps after which they are asked; the largest is the length of their lives.
        n_query: test images that each is asked.
    """

    networks: Count
    at: Annotated[Sequence[Index], Items(least=1, distinct=True)]
    n_query: Count


class Curve(NamedTuple):
    """What a set of networks did: accuracy on queries [step, network], and on the minibatches since the step before,
    each answered before it was learned; answers to some queries of the first network, [step][query]."""

    accuracy: np.ndarray
    online: np.ndarray
    answers: list[list[int]]


class LearnedRulesProtocol(Protocol):
    """Networks that learn a data set by a rule.

    `task` has the settings of `DataSet`, and `crop` and `size` of its images. `scores` has a row for each test and each
    number of steps in `evaluation.at`: the place of the test in `tests`, steps, examples seen, the accuracy on test
    images with its interval over networks, that on the minibatches since the row before, each before it was learned,
    and the candidate that was chosen. Metrics are `accuracy_<test>`, at the last step, and `curve_<test>`, the mean
    over rows.
    """

    tasks = (DataSet,)
    answers = ("rule",)
    validation_batch = 8

    def task(self, split: str, **changes: Any) -> DataSet:
        settings = {**self.config["task"], **changes}
        crop, size = settings.pop("crop"), settings.pop("size")
        return self._task(self.images, split, crop, size, settings)

    @property
    def description(self) -> TaskDescription:
        return self._description(self.config["task"]["size"])

    def validation_score(self, found: Rollout) -> tuple[float, Row]:
        """Accuracy."""
        wanted = self.validation.wanted
        right = [(logits.argmax(dim=-1) == wanted(episode)).double().mean(dim=0) for episode, logits in found]
        accuracy = torch.cat(right).mean().item()
        return accuracy, {"accuracy": accuracy}

    def require_fitting(self, curriculum: list) -> None:
        super().require_fitting(curriculum)
        for name in self.tests:  # what is wrong with its images is told before training
            self._of_test(name, "test")

    @cached_property
    def tests(self) -> dict[str, TestSettings]:
        """By name."""
        return {name: TestSettings(**(each or {})) for name, each in self.config["tests"].items()}

    def evaluate(self, learner: Learner) -> Findings:
        scores, metrics, examples = [], {}, {}
        at = sorted(self.config["evaluation"]["at"])
        minibatch = self.config["task"]["minibatch"]
        for place, name in enumerate(self.tests):
            rule, task = self._rule(learner, name), self._of_test(name, "test")
            chosen = self._chosen(rule, name, at)
            curve = self._curve(rule, task, at, self.test_seed)
            for number, step in enumerate(at):
                interval = bootstrap(curve.accuracy[number], over="networks")
                ends = {"accuracy": interval.mean, "low": interval.low, "high": interval.high}
                online = curve.online[number].mean()
                row = {"test": place, "step": step, "examples": step * minibatch, **ends, "online": online}
                scores.append({**row, "candidate": chosen})
            last = len(at) - 1
            metrics[f"accuracy_{name}"] = round(float(curve.accuracy[last].mean()), DECIMALS)
            metrics[f"curve_{name}"] = round(float(curve.accuracy.mean()), DECIMALS)
            examples[name] = self._example(task, curve, at)
        return Findings(metrics, scores, {"tests": examples})

    def facts_of_data(self) -> dict[str, Any]:
        found, other = super().facts_of_data(), self.images.other
        if other is not None:
            found["data"]["title"] += f" and {other.title}"
        return found

    def facts_of_test(self) -> dict[str, Any]:
        networks = self.config["evaluation"]["networks"]
        return {"test_episodes": networks, "test_seed": self.test_seed, "interval": "95 % bootstrap over networks"}

    def _description(self, size: int) -> TaskDescription:
        return TaskDescription((self.images.images.shape[2], size, size), self.config["task"]["n_way"])

    def _task(self, images: ImageSet, split: str, crop: int, size: int, settings: Mapping[str, Any]) -> DataSet:
        """On images to learn from, with queries of a split."""
        splits, normalisation = self._prepared(images, crop, size)
        return DataSet(splits.train, getattr(splits, split), normalisation, **settings)

    def _prepared(self, images: ImageSet, crop: int, size: int) -> tuple[ImageSplits, Normalisation]:
        """Images of each split on the device, of the size asked for, and the normalisation of those to learn from."""
        kept = self.__dict__.setdefault("_kept", {})
        if (images.name, crop, size) not in kept:
            splits = split_of_each_class(cropped(images.images, crop, size))
            splits = ImageSplits(*(each.to(self.context.device) for each in splits))
            kept[images.name, crop, size] = splits, Normalisation.of(splits.train)
        return kept[images.name, crop, size]

    def _of_test(self, name: str, split: str) -> DataSet:
        """The task of a test, with queries of a split.

        Raises:
            UserError: it has images of another data set, of which there is none.
        """
        test, evaluation = self.tests[name], self.config["evaluation"]
        images = self.images.other if test.other else self.images
        if images is None:
            raise UserError(f"tests.{name}: other is true, but there is no data.other; name a second data set there")
        task = {key: value for key, value in self.config["task"].items() if key not in ("crop", "size", "groups")}
        changes = {
            "steps": max(evaluation["at"]) or 1,
            "n_query": evaluation["n_query"],
            "groups": test.groups,
            "permuted": test.permuted,
            "projected": test.projected,
        }
        return self._task(images, split, *self._size(test), {**task, **changes})

    def _size(self, test: TestSettings) -> tuple[int, int]:
        size = test.size or self.config["task"]["size"]
        return test.crop or (size if test.size else self.config["task"]["crop"]), size

    def _rule(self, learner: Learner, name: str) -> LearnedRule:
        """The rule for networks of a test."""
        test = self.tests[name]
        changes = {} if test.hidden is None else {"hidden": test.hidden}
        settings = {**self.config.get("model", {}), **changes, "minibatch": self.config["task"]["minibatch"]}
        rule = build(self.config["learner"], self._description(self._size(test)[1]), settings)
        rule.load_state_dict(learner.state_dict())
        return rule.to(self.context.device).eval()

    def _chosen(self, rule: LearnedRule, name: str, at: Sequence[int]) -> int:
        """The best candidate for a test, by its learning curve on held-out images; the rule takes it."""
        means = []
        for candidate in range(rule.candidates):
            rule.choose(candidate)
            if rule.candidates > 1:
                task = self._of_test(name, "validation")
                means.append(self._curve(rule, task, at, self.validation_seed).accuracy.mean())
        best = int(np.nanargmax(means)) if means else 0
        rule.choose(best)
        return best

    @torch.no_grad()
    def _curve(self, rule: LearnedRule, task: DataSet, at: Sequence[int], seed: int) -> Curve:
        generator = Generator(task.device).manual_seed(seed)
        networks = self.config["evaluation"]["networks"]
        lives = task.lives(networks, generator)
        x, y = lives.samples(task.n_query, queries=True)
        network = rule.start(networks)
        accuracy, online, answers, since = [], [], [], []
        for step in range(max(at) + 1):
            if step in at:
                found = rule.answer(x, network).argmax(dim=-1)
                accuracy.append(_share(found, y))
                online.append(np.mean(since, axis=0) if since else np.full(networks, 1 / task.n_way))
                answers.append(found[:SHOWN, 0].tolist())
                since = []
            if step < max(at):
                seen_x, seen_y = lives.samples(task.minibatch)
                logits, network = rule.learn(seen_x, seen_y, network)
                since.append(_share(logits.argmax(dim=-1), seen_y))
        return Curve(np.stack(accuracy), np.stack(online), answers)

    def _example(self, task: DataSet, curve: Curve, at: Sequence[int]) -> dict[str, Any]:
        """Queries of the first network of a test, and what it answered to them after some steps.

        `x` is base64 of uint8 [query, channel, height, width] with shape `x_shape`, as the network sees them;
        `answers` is [step][query].
        """
        generator = Generator(task.device).manual_seed(self.test_seed)
        x, y = task.lives(self.config["evaluation"]["networks"], generator).samples(task.n_query, queries=True)
        mean, deviation = task.normalisation
        x = ((x[:SHOWN, 0] * deviation + mean) * 255).round().clamp(0, 255).to(torch.uint8).cpu()
        kept = {"x": encoded(x), "x_shape": list(x.shape), "y": y[:SHOWN, 0].tolist()}
        return {"steps": list(at), **kept, "answers": curve.answers}


def _share(answers: Tensor, y: Tensor) -> np.ndarray:
    """Of right ones for each network, [B]."""
    return (answers == y).double().mean(dim=0).cpu().numpy()


OF_TASK = {
    **declared(DataSet, (*OF_ITS_DATA, "queries")),
    "groups": Declared(Annotated[Sequence[Group], Items(least=1)] | None, None),
    "crop": Declared(Count),
    "size": Declared(Count),
}
SETTINGS = Sections(
    data=RuleData,
    task=OF_TASK,
    evaluation=RuleEvaluation,
    own={"tests": Declared(Named(declared(TestSettings)))},
)
