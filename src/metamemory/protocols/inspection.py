"""What a trained learner does with its memory, beyond what Babu et al. 2021 show: on test episodes, without training.

Calibration of every learner by shot; and where the state is layered, what accuracy is with the state of one layer reset
before every step or frozen after two appearances of each class, and how far labels move the state of each layer.
"""

from functools import partial
from typing import Any

import numpy as np
import torch

from metamemory.analysis import state as inspection
from metamemory.models.learner import Learner
from metamemory.protocols.online_few_shot import AS_THEY_ARE, OnlineFewShotProtocol
from metamemory.protocols.protocol import Findings
from metamemory.protocols.records import DECIMALS, rounded, score_rows
from metamemory.protocols.sections import Sections
from metamemory.settings import Declared
from metamemory.tasks.episode import Episode
from metamemory.tasks.online_few_shot import OnlineFewShot
from metamemory.training.rollout import Rollout, accuracies

MOVED = 4  # batches in which it is measured how far labels move the state


class InspectionProtocol(OnlineFewShotProtocol):
    """The test of online few-shot learning, with the weights of the file in the context (`trained`)."""

    trains = False

    def evaluate(self, learner: Learner) -> Findings:
        test = self.task("test", **AS_THEY_ARE)
        found = list(self.tested(learner, test))
        scores = score_rows(accuracies(found, test.right, test.samples_per_class))
        shown = _calibration(found, test)
        if learner.layered_state:
            shown |= _layers(learner, [episode for episode, _ in found], test)
        errors = shown["calibration_error"]
        metrics = {f"calibration_error_{k}_shot": round(each, DECIMALS) for k, each in enumerate(errors)}
        return Findings(metrics, scores, rounded(shown))


def _calibration(found: Rollout, task: OnlineFewShot) -> dict[str, list[float]]:
    """How sure the learner was, and by how much that was wrong, by shot."""
    told = [inspection.told_apart(logits, episode) for episode, logits in found]
    together = {name: torch.cat([each[name] for each in told], dim=1) for name in told[0]}
    shot = torch.cat([episode.shot for episode, _ in found], dim=1)
    by_shot = partial(inspection.by_shot, together, shot, task.samples_per_class)
    return {
        "calibration_error": by_shot(inspection.calibration_error),
        "confidence": by_shot(lambda confidence, right: confidence.mean().item()),
    }


def _layers(learner: Learner, episodes: list[Episode], task: OnlineFewShot) -> dict[str, Any]:
    """Accuracy by shot with each part of the state reset or frozen; how far labels move each part."""
    after = 2 * task.n_way
    altered: dict[str, dict[str, list[float]]] = {"reset": {}, "frozen": {}}
    for part in inspection.parts(learner):
        for kind, alter in (
            ("reset", partial(inspection.reset, learner, part)),
            ("frozen", partial(inspection.frozen, part, after)),
        ):
            found = [(each, inspection.answers(learner, each, alter())) for each in episodes]
            accuracy = accuracies(found, task.right, task.samples_per_class)
            altered[kind][part] = np.nanmean(accuracy.numpy(), axis=0).tolist()
    return {**altered, "frozen_after": after, "moved": _moved(learner, episodes[:MOVED])}


def _moved(learner: Learner, episodes: list[Episode]) -> dict[str, list[float]]:
    """Part -> how far the label of each step moves it, mean over all episodes: the last batch may be a short one."""
    moved = [inspection.moved_by_labels(learner, each) for each in episodes]
    shares = [each.x.shape[1] / episodes[0].x.shape[1] for each in episodes]
    return {part: np.average([each[part] for each in moved], axis=0, weights=shares).tolist() for part in moved[0]}


SETTINGS = Sections(own={"trained": Declared(str)})
