"""A run's configuration as YAML, each line with the place in the parameters that it comes from."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from metamemory.study.layers import Layer, lay

WIDTH = 72  # of a line, before its origin
INDENT = "  "


def explain(layers: Iterable[Layer]) -> str:
    """What `Parameters.layers` make together, one setting a line, and beside it where it is written."""
    values, origins = lay(layers)
    lines = list(_lines(values, origins, ""))
    width = max((len(line) for line, origin in lines if origin and len(line) <= WIDTH), default=0)
    return "".join(f"{line:{width}}  # {origin}\n" if origin else f"{line}\n" for line, origin in lines)


def _lines(values: Mapping[str, Any], origins: Mapping[str, Any], indent: str) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{key}:", ""
            yield from _lines(value, origins[key], indent + INDENT)
        elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
            yield f"{indent}{key}:", origins[key]
            yield from ((f"{indent}{INDENT}- {_flow(each)}", "") for each in value)
        else:
            yield f"{indent}{key}: {_flow(value)}", _origin(origins[key])


def _origin(origin: Any) -> str:
    return origin if isinstance(origin, str) else ""  # an empty section is written in no one place


def _flow(value: Any) -> str:
    """On one line, as YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=float("inf"), allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()
