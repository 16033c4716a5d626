"""What a protocol finds, as plain values: rows of scores, examples."""

import base64
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metamemory.shapes import Float
from metamemory.tasks.episode import Episode
from metamemory.tasks.sampling import denormalise
from metamemory.training.statistics import bootstrap

DECIMALS = 5  # of a metric
SHORT = 4  # decimals of a number in an example


def score_rows(accuracy: Float[Tensor, "episode shot"]) -> list[dict[str, int | float]]:
    """A row a shot from accuracy [episode, shot] float64: its mean and the ends of its interval over episodes; shots
    that no episode has are left out."""
    rows = []
    for shot, column in enumerate(accuracy.T.numpy()):
        if not np.isnan(column).all():
            mean, low, high, _ = bootstrap(column, over="episodes")
            rows.append({"shot": shot, "accuracy": mean, "low": low, "high": high})
    return rows


def metrics_by_shot(rows: list[dict[str, int | float]]) -> dict[str, int | float]:
    """`accuracy_<k>_shot` of each row."""
    return {f"accuracy_{row['shot']}_shot": round(row["accuracy"], DECIMALS) for row in rows}


def stream_example(episode: Episode, logits: Tensor) -> dict[str, Any]:
    """The first episode of a batch and the probabilities that the learner gave.

    `x` is base64 of uint8 [time, channel, height, width] with shape `x_shape`; `probability` is [time][way] or, where
    labels are strings, [time][character][choice].
    """
    x = denormalise(episode.x[:, 0]).cpu()
    return {
        "x": encoded(x),
        "x_shape": list(x.shape),
        **{name: getattr(episode, name)[:, 0].tolist() for name in ("y_seen", "y", "shot")},
        "probability": rounded(logits[:, 0].softmax(dim=-1).tolist()),
    }


def encoded(values: Tensor | np.ndarray) -> str:
    """The bytes of an array on the CPU, in base64."""
    return base64.b64encode(np.asarray(values).tobytes()).decode()


def encoded_shares(shares: Tensor) -> str:
    """Numbers from 0 to 1 as uint8 from 0 to 255, in base64."""
    return encoded((shares * 255).round().to(torch.uint8).cpu())


def rounded(value: Any, decimals: int = SHORT) -> Any:
    """Plain values with all their numbers rounded."""
    if isinstance(value, dict):
        return {key: rounded(each, decimals) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each, decimals) for each in value]
    return round(value, decimals)
