"""YAML as parameters and descriptions of data sets are written in: UTF-8, scalars as YAML 1.2 reads them, and what is
easily misread refused.

DVC reads the same files by YAML 1.2, PyYAML by 1.1. So the loader here takes 1e-3 for a number, `yes` for text and a
date for text, as DVC does; it refuses numbers that begin with 0, keys that come twice or are no names, anchors,
aliases, merges and tags.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from metamemory.errors import UserError

NOT_PLAIN = "anchors, aliases, merges and tags are not read here: write it out"
PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "seq", "map")}
SCALARS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9][0-9_]*\.[0-9_]*)([eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
}
MOST_DIGITS = 300  # of a number; Python itself reads no more than 4,300


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """PyYAML's safe loader, with the scalars of YAML 1.2 and without keys that come twice."""

    yaml_implicit_resolvers: dict[str, list] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As PyYAML's.

        Raises:
            yaml.constructor.ConstructorError: a key comes twice, or cannot be one.
        """
        keys = set()
        for key_node, _ in node.value:
            if key_node.value == "<<":
                raise _refused(NOT_PLAIN, key_node)
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise _refused(f"{key!r} is no name", key_node)
            if key in keys:
                raise _refused(f"{key} is there twice", key_node)
            keys.add(key)
        return super().construct_mapping(node, deep=deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A whole number, as written.

        Raises:
            yaml.constructor.ConstructorError: it could be read as octal, or is endless.
        """
        text = node.value.replace("_", "")
        if re.fullmatch(r"[-+]?0[0-9]+", text):
            raise _refused(f"{node.value}: write a number without 0 before it, or text in quotation marks", node)
        if len(text) > MOST_DIGITS:
            raise _refused(f"a number of more than {MOST_DIGITS} digits", node)
        return int(text, 0)


def _refused(problem: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


for _kind, (_pattern, _first) in SCALARS.items():
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_pattern})\\Z"), _first)
Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_yaml_int)


def parse_yaml(text: str) -> Any:
    """The values that `text` writes.

    Raises:
        yaml.YAMLError: it is not YAML, a key comes twice, or it is written as is refused here.
    """
    try:
        if any(mark in text for mark in "&*!"):
            for event in yaml.parse(text, Loader):  # an alias may stand for more than there is room for
                tag = getattr(event, "tag", None)
                if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or (tag and tag not in PLAIN):
                    raise _refused(NOT_PLAIN, event)
        return yaml.load(text, Loader)  # noqa: S506  (a safe loader)
    except RecursionError:
        raise yaml.YAMLError("too many brackets, one in another") from None
    except ValueError as error:  # an explicit tag of what is written otherwise
        raise yaml.YAMLError(str(error)) from None


def read_yaml(path: Path, name: str | None = None) -> Any:
    """The values in a file; `name` is what errors call it.

    Raises:
        UserError: it is missing or no YAML, or a key comes twice in it.
    """
    name = name or str(path)
    try:
        return parse_yaml(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UserError(f"{name} is not here: run from the top of the project") from None
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not YAML: it is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        if isinstance(error, yaml.constructor.ConstructorError) and mark is not None:
            raise UserError(f"{name}, line {mark.line + 1}: {error.problem}") from None
        raise UserError(f"{name} is not YAML: {' '.join(str(error).split())}") from None


def set_entry(text: str, name: str, line: str) -> str:
    """YAML with the entry `name` at its top, in whatever style, replaced by a line; the rest stays as it is, and
    comments that were within the entry stand above the line."""
    if text.startswith("\ufeff"):
        return "\ufeff" + set_entry(text[1:], name, line)
    key, node = next(entry for entry in yaml.compose(text, Loader).value if entry[0].value == name)
    in_block = isinstance(node, yaml.SequenceNode) and not node.flow_style  # it ends where the next entry begins
    begin, end = key.start_mark.index, (node.value[-1] if in_block else node).end_mark.index
    removed = text[begin:end]
    ending = removed[len(removed.rstrip()) :] if removed.rstrip() != removed else ""
    newline = "\r\n" if "\r\n" in text else "\n"
    comments = [each.strip() + newline for each in re.findall(r"(?<=\s)#.*", removed)]
    if "\t" in text[end : end + 1]:  # which may not follow a plain text
        end, ending = end + 1, " "
    return "".join([text[:begin], *comments, line, ending, text[end:]])


def writes(text: str, values: Any) -> bool:
    """Whether YAML is of these values."""
    try:
        return parse_yaml(text.removeprefix("\ufeff")) == values
    except yaml.YAMLError:
        return False
