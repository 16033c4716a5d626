"""YAML as the parameters are written in: read as UTF-8, a key only once in a mapping, and 1e-3 a number."""

import re
from pathlib import Path
from typing import Any

import yaml

from metamemory.errors import UserError


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """PyYAML's safe loader, with numbers as YAML 1.2 writes them and without keys that come twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As PyYAML's.

        Raises:
            yaml.constructor.ConstructorError: a key comes twice, or cannot be one.
        """
        keys = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is no name", key_node.start_mark)
            if key in keys:
                raise yaml.constructor.ConstructorError(None, None, f"{key} is there twice", key_node.start_mark)
            keys.add(key)
        return super().construct_mapping(node, deep=deep)


Loader.add_implicit_resolver(  # PyYAML itself takes 1e-3 for text, since YAML 1.1 wants a dot and a sign
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+"), list("-+0123456789")
)


def parse_yaml(text: str) -> Any:
    """The values that `text` writes.

    Raises:
        yaml.YAMLError: it is not YAML, or a key comes twice.
    """
    return yaml.load(text, Loader)  # noqa: S506  (a safe loader)


def read_yaml(path: Path, name: str | None = None) -> Any:
    """The values in a file; `name` is what errors call it.

    Raises:
        UserError: it is missing or no YAML, or a key comes twice in it.
    """
    name = name or str(path)
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{name} is not here: run from the top of the project") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        if isinstance(error, yaml.constructor.ConstructorError) and mark is not None:
            raise UserError(f"{name}, line {mark.line + 1}: {error.problem}") from None
        raise UserError(f"{name} is not YAML: {' '.join(str(error).split())}") from None
