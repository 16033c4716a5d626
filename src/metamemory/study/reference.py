"""The reference of the book, from docstrings: what the package's classes and functions are called with, and do."""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from metamemory.settings import parameters_of

SECTIONS = ("Args", "Attributes", "Returns", "Raises", "Example")


def reference(*names: str, below: bool = True) -> str:
    """Markdown of all public classes and functions of modules, or of packages: links to each, then the entries.

    Args:
        names: without that of the package: "models", "training.rollout".
        below: with all that is below a package, not only with what it defines itself.
    """
    every = [each for name in names for module in modules_of(f"metamemory.{name}", below) for each in public(module)]
    links = [f'<a href="#{_anchor(each)}"><code>{each.__name__}</code></a>' for each in every]
    return "\n\n---\n\n".join([" · ".join(links), *map(_entry, every)])


def modules_of(name: str, below: bool = True) -> Iterator[ModuleType]:
    """A module, and all below it, in order of the alphabet; without `below` it alone."""
    module = importlib.import_module(name)
    yield module
    inside = pkgutil.iter_modules(getattr(module, "__path__", []) if below else [])
    for each in sorted(inside, key=lambda each: each.name):
        yield from modules_of(f"{name}.{each.name}")


def public(module: ModuleType) -> list[Any]:
    """The documented classes and functions that a module itself defines, in the order in which they are written."""
    defined = [node.name for node in ast.parse(inspect.getsource(module)).body if isinstance(node, DEFINITIONS)]
    found = [getattr(module, name) for name in dict.fromkeys(defined) if not name.startswith("_")]
    return [each for each in found if _documented(each)]


DEFINITIONS = (ast.ClassDef, ast.FunctionDef)


def _documented(thing: Any) -> str:
    """Its own docstring, of a class not that of its base nor one that Python made."""
    text = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
    return "" if not text or text.startswith(f"{thing.__name__}(") else inspect.cleandoc(text)


def _entry(thing: Any) -> str:
    """Name, where it is, call, docstring and, of a class, its public methods."""
    call = f"```python\n{thing.__name__}{_signature(thing)}\n```"
    name = f'<a id="{_anchor(thing)}"></a>**{thing.__name__}** &ensp; `{thing.__module__}`'
    parts = [name, call, docstring(_documented(thing))]
    if inspect.isclass(thing):
        parts += _methods(thing)
    return "\n\n".join(parts)


def _anchor(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__name__}"


def _methods(cls: type) -> list[str]:
    """A line for each method that the class itself documents."""
    lines = []
    for name, each in vars(cls).items():
        each = inspect.unwrap(each) if inspect.isfunction(each) else each
        if inspect.isfunction(each) and not name.startswith("_") and each.__doc__:
            first = " ".join(inspect.cleandoc(each.__doc__).partition("\n\n")[0].split())
            names = ", ".join(list(inspect.signature(each).parameters)[1:])
            lines.append(f"- `{name}({names})`: {_plain(first)}")
    return ["Methods:", "\n".join(lines)] if lines else []


def _signature(thing: Any) -> str:
    """What it is called with, without annotations, broken into lines where it is long."""
    try:
        parameters = parameters_of(thing)
    except (TypeError, ValueError):
        return ""
    told = [str(each.replace(annotation=inspect.Parameter.empty)) for each in parameters]
    told = [re.sub(r"<(?:class|function) '?(?:[\w]+\.)*(\w+)[^>]*>", r"\1", each) for each in told]
    line = f"({', '.join(told)})"
    if len(line) < 80:
        return line
    return f"(\n{textwrap.indent(textwrap.fill(', '.join(told), 92), '    ')}\n)"


def docstring(text: str) -> str:
    """Markdown of a docstring: its paragraphs, indented drawings and code as they are, its sections as lists."""
    parts = re.split(rf"^({'|'.join(SECTIONS)}):[ \t]*\n", text, flags=re.MULTILINE)
    blocks = [_paragraphs(parts[0])]
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        inside, after = _indented(body)
        blocks.append(f"{name}:" if name != "Example" else "Example:")
        blocks.append(f"```python\n{inside}\n```" if name == "Example" else _items(inside))
        blocks.append(_paragraphs(after))
    return "\n\n".join(filter(None, blocks))


def _indented(text: str) -> tuple[str, str]:
    """The indented lines at the beginning, without their indent, and what follows."""
    lines = text.split("\n")
    end = next((n for n, line in enumerate(lines) if line.strip() and not line.startswith(" ")), len(lines))
    return textwrap.dedent("\n".join(lines[:end])).strip("\n"), "\n".join(lines[end:])


def _items(text: str) -> str:
    """A list: an item begins where a line is not indented and ends its name with a colon."""
    items = [re.sub(r"\s+", " ", each.strip()) for each in re.split(r"\n(?=\S)", text) if each.strip()]
    named = [re.match(r"([\w*, .]+): (.*)", each) for each in items]
    lines = (f"- `{n[1]}`: {_plain(n[2])}" if n else f"- {_plain(item)}" for n, item in zip(named, items, strict=True))
    return "\n".join(lines)


def _paragraphs(text: str) -> str:
    """Paragraphs; those that are indented are code or drawings."""
    found = []
    for each in re.split(r"\n\s*\n", text.strip("\n")):
        indented = each.startswith("    ")
        found.append(f"```text\n{textwrap.dedent(each)}\n```" if indented else _plain(" ".join(each.split())))
    return "\n\n".join(filter(None, found))


def _plain(text: str) -> str:
    """Text in which only code, between backquotes, has a meaning to Markdown."""
    pieces = text.split("`")
    pieces[::2] = [re.sub(r"([\\*_$<>|{}\[\]#~^%])", r"\\\1", piece) for piece in pieces[::2]]
    return "`".join(pieces)
