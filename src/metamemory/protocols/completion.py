"""Completion of images from some of their pixels (Garnelo et al. 2018, section 4.2).

Measured, of all pixels of test images, known or not: the mean squared error and the log-likelihood, by how many pixels
are known and whether these are chosen at random or come row by row; and the error where the next pixel is each time the
one whose value the learner is least sure of, beside pixels chosen at random.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import torch
from torch import Generator, Tensor, nn

from metamemory.errors import UserError
from metamemory.models.learner import Learner, TaskDescription
from metamemory.nn.labels import Values
from metamemory.protocols import facts
from metamemory.protocols.context_functions import ContextFunctionsProtocol, by_episode, score_row
from metamemory.protocols.protocol import Findings
from metamemory.protocols.records import DECIMALS, encoded_shares, rounded
from metamemory.protocols.sections import EvaluationSettings, Sections, SplitOrNot
from metamemory.settings import Count, Index, Items
from metamemory.tasks.completion import Completion
from metamemory.tasks.context_target import squared_errors
from metamemory.tasks.supervised import split_images

PICTURES = 2  # images shown
ORDERS = {"random": False, "ordered": True}
SCORES_PLOT = {"title": "Log-likelihood by pixels known", "x": "context", "y": "log_likelihood"}


class CompletionProtocol(ContextFunctionsProtocol):
    """`task` (of `Completion`) is that of training and validation. `evaluation` has `context`, a list of how many
    pixels are known in tests, and `chosen`, how many are chosen one after the other, each the least certain, in
    `chosen_images` images."""

    tasks = (Completion,)
    validation_batch = 20

    @cached_property
    def splits(self) -> dict[str, Tensor]:
        """As in `Protocol`; without a split of the classes, the images of each are split."""
        if self.config["data"].get("split") is not None:
            return super().splits
        images = self.images.images
        parts = split_images(images, len(images))._asdict()
        return {name: each.to(self.context.device) for name, each in parts.items()}

    def task(self, split: str, **changes: Any) -> Completion:
        return Completion(self.splits[split], **{**self.config["task"], **changes})

    @property
    def description(self) -> TaskDescription:
        return TaskDescription((2,), Values(self.images.images.shape[2]))

    def require_fitting(self, curriculum: list) -> None:
        """As in `Protocol`; and that no context of a test is larger than the image."""
        super().require_fitting(curriculum)
        pixels, evaluation = len(self.validation.places), self.config["evaluation"]
        for name in {"context", "chosen"} & evaluation.keys():
            asked = evaluation[name]
            if max(asked if isinstance(asked, list) else [asked]) > pixels:
                raise UserError(f"evaluation.{name} is {asked}; no context is larger than the image ({pixels} pixels)")

    def evaluate(self, learner: Learner) -> Findings:
        metrics, scores = {}, []
        for name, ordered in ORDERS.items():
            for known in self.config["evaluation"]["context"]:
                test = self.test(known, ordered)
                row = score_row(*by_episode(self.tested(learner, test)))
                scores.append({"context": known, "ordered": int(ordered), **row})
                metrics |= {f"{each}_{known}_{name}": round(row[each], DECIMALS) for each in ("mse", "log_likelihood")}
        shown = pictures(learner, self.test(0, False), self.config["evaluation"]["context"], self.test_seed)
        if learner.trained_by != "nothing":
            shown |= self._chosen(learner)
        return Findings(metrics, scores, shown)

    def test(self, known: int, ordered: bool) -> Completion:
        """All pixels are asked for, so many of them known."""
        return self.task("test", points=None, least_context=known, most_context=known, ordered=ordered)

    def _chosen(self, learner: Learner) -> dict[str, list[float]]:
        """Mean squared error after each pixel, from none on: `least_certain` and `at_random`."""
        evaluation = self.config["evaluation"]
        task, chosen = self.test(0, False), evaluation["chosen"]
        found = {}
        for name, choose in (("least_certain", least_certain), ("at_random", None)):
            generator = Generator(task.device).manual_seed(self.test_seed)
            errors = one_by_one(learner, task, evaluation["chosen_images"], chosen, generator, choose)
            found[name] = rounded(errors, DECIMALS)
        return found

    def facts_of_data(self) -> dict[str, Any]:
        return facts.of_data(self.images, self.config["data"]["size"])


def least_certain(answers: Tensor) -> Tensor:
    """The pixel of each image with the largest variance over its channels: [pixel, image, 2 V] -> [image]."""
    return answers.chunk(2, dim=-1)[1].exp().sum(dim=-1).argmax(dim=0)


@torch.no_grad()
def one_by_one(
    learner: nn.Module,
    task: Completion,
    images: int,
    chosen: int,
    generator: Generator,
    choose: Callable[[Tensor], Tensor] | None = None,
) -> list[float]:
    """Mean squared error of all pixels with none of them known, and after each that comes to be known.

    Args:
        learner: in evaluation mode.
        task: of which as many `images` are drawn.
        chosen: pixels that come to be known.
        choose: which is next, from the answers to all that are not known yet (others have a variance of 0); None for
            one at random.
    """
    x, y = task.drawn(images, generator)  # pixels in random order, that of those chosen at random
    of_each, known, found = torch.arange(images, device=x.device), [], []
    for step in range(chosen + 1):
        at = torch.stack(known) if known else torch.empty(0, images, dtype=torch.int64, device=x.device)
        answers = learner.answer_queries(x[at, of_each], y[at, of_each], x)
        found.append(squared_errors(answers, y).mean().item())
        if step == chosen:
            break
        if choose is None:
            known.append(torch.full((images,), step, device=x.device))
        else:
            sure = torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
            sure[at, of_each] = True
            mean, log_variance = answers.chunk(2, dim=-1)
            known.append(choose(torch.cat([mean, log_variance.masked_fill(sure[..., None], -torch.inf)], dim=-1)))
    return found


@torch.no_grad()
def pictures(learner: Learner, task: Completion, context: Sequence[int], seed: int) -> dict[str, Any]:
    """What a learner, in evaluation mode, expects of a few test images, the same for every learner.

    `image` is base64 of uint8 with `shape` [image, channel, height, width]; `known`, `mean` and `deviation` are lists
    of such, one a number of known pixels in `context`, `known` of one channel, 255 where a pixel is known. A deviation
    of 0.5 or more is 255.
    """
    generator = Generator(task.device).manual_seed(seed)
    x, y = task.drawn(PICTURES, generator)
    pixel = task.pixels(x)  # [pixel, image]
    size = (task.height, task.width)

    def drawn(values: Tensor) -> str:
        """[pixel, image, channel], from 0 to 1."""
        images = torch.empty_like(values).scatter_(0, pixel[..., None].expand_as(values), values)
        return encoded_shares(images.permute(1, 2, 0).unflatten(-1, size).clamp(0, 1))

    found = {"image": drawn(y), "shape": [PICTURES, task.size, *size], "context": list(context)}
    found |= {"known": [], "mean": [], "deviation": []}
    for count in context:
        mean, log_variance = learner.answer_queries(x[:count], y[:count], x).chunk(2, dim=-1)
        known = (torch.arange(len(x), device=x.device) < count).float()
        found["known"].append(drawn(known[:, None, None].expand(-1, PICTURES, 1)))
        found["mean"].append(drawn(mean))
        found["deviation"].append(drawn(2 * log_variance.div(2).exp()))
    return found


@dataclass(frozen=True)
class CompletionEvaluation(EvaluationSettings):
    """The tests: episodes and batch_size of each, how many pixels are known in each, and of what is chosen one after
    the other, how many pixels in how many images."""

    context: Annotated[list[Index], Items(1, distinct=True)]
    chosen: Index = 100
    chosen_images: Count = 20


SETTINGS = Sections(data=SplitOrNot, evaluation=CompletionEvaluation)
