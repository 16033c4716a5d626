"""What came of a shortened run (`shortened.perform`) in two trees, compared bit by bit."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from safetensors.torch import load_file

from metamemory.study.stale import different

PARTS = ("metrics", "scores", "history", "example", "facts")
SECONDS = ("seconds", "training_seconds")  # which no two runs share


def differences(one: Mapping[str, Any], other: Mapping[str, Any], renamed: Callable[[str, Any], Any]) -> list[str]:
    """Places at which the outcome before a change differs from that after it, but for seconds.

    Each has the PARTS of an outcome and `weights`, a file; or `failed`, the error with which the run ended. `renamed`
    gives a part of the one with the names of the other.
    """
    for tree, each in (("before", one), ("after", other)):
        if "failed" in each:
            return [f"{tree} the change it fails: {each['failed']}"]
    found = weights_differ(load_file(one["weights"]), load_file(other["weights"]))
    for part in PARTS:
        found += different(_without_seconds(renamed(part, one[part])), _without_seconds(other[part]), part)
    return found


def weights_differ(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> list[str]:
    """Names of weights that are not the same, bit for bit, or only in one of the two."""
    found = [f"weights {name} (only {'before' if name in one else 'after'})" for name in one.keys() ^ other.keys()]
    for name in one.keys() & other.keys():
        left, right = one[name], other[name]
        same = left.dtype == right.dtype and left.shape == right.shape
        if not same or not torch.equal(left.flatten().view(torch.uint8), right.flatten().view(torch.uint8)):
            found.append(f"weights {name}")
    return sorted(found)


def _without_seconds(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_seconds(each) for each in value]
    if isinstance(value, Mapping):
        return {name: _without_seconds(each) for name, each in value.items() if name not in SECONDS}
    return value
