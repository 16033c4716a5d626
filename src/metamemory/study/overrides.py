"""What is given by hand: read from the command line, and named in the place of a run."""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from metamemory.errors import UserError
from metamemory.study.layers import merge
from metamemory.yaml_files import parse_yaml


def parse_overrides(assignments: Iterable[str]) -> dict[str, Any]:
    """["training.episodes=100", …] -> {"training": {"episodes": 100}}; values are YAML."""
    overrides: dict[str, Any] = {}
    given: list[list[str]] = []
    for assignment in assignments:
        keys, equals, value = assignment.partition("=")
        if not equals or not all(keys.split(".")):
            raise UserError(f"--set {assignment}: write it as section.key=value, as in training.episodes=1000")
        path = keys.split(".")
        for other in given:
            if path[: len(other)] == other or other[: len(path)] == path:
                raise UserError(f"--set {assignment}: {'.'.join(min(path, other, key=len))} is set twice")
        given.append(path)
        try:
            nested: Any = parse_yaml(value)
        except yaml.YAMLError as error:
            problem = getattr(error, "problem", None)
            told = f" ({problem})" if isinstance(error, yaml.constructor.ConstructorError) and problem else ""
            raise UserError(f"--set {assignment}: {value} is not YAML as it is read here{told}") from None
        for key in reversed(path):
            nested = {key: nested}
        merge(overrides, nested)
    return overrides


def label_overrides(overrides: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The opposite of `parse_overrides`, in order of name."""
    labels = []
    for key, value in sorted(overrides.items()):
        if isinstance(value, Mapping):
            labels += label_overrides(value, f"{prefix}{key}.")
        else:
            labels.append(f"{prefix}{key}={value}".replace("/", "_").replace(" ", ""))
    return labels
