"""Which code a run executes, and a digest of it.

The imports of a module are read from its text, those of the modules it imports likewise, as far as they
belong to this package: that closure is what a run depends on. A module that has C beside it depends on that as well.
The digest leaves out comments, docstrings and blank lines of Python, so that mending a comment retrains nothing.
"""

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def closure(modules: Iterable[str]) -> list[Path]:
    """Files of the package that `modules` ("metamemory.models.recurrent.lstm", …) import, directly or not, with their own.

    A module also executes the `__init__` of every package above it.
    """
    found: set[Path] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = _file_of(module)
        if path is None or path in found:
            continue
        found.add(path)
        if (c_source := path.with_suffix(".c")).exists():
            found.update([c_source, *path.parent.glob("*.h")])
        if "." in module:
            waiting.append(module.rpartition(".")[0])
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                waiting += [name.name for name in node.names]
            elif isinstance(node, ast.ImportFrom):
                waiting += [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
    return sorted(found)


def digest(files: Iterable[Path]) -> str:
    """SHA-256 of what the files do."""
    total = hashlib.sha256()
    for path in files:
        text = path.read_text()
        total.update(f"{path.relative_to(PACKAGE)}\n{essence(text) if path.suffix == '.py' else text}\n".encode())
    return total.hexdigest()


def essence(code: str) -> str:
    """Python without comments, docstrings, blank lines and trailing space."""
    lines = code.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            text = node.body[0]
            lines[text.lineno - 1 : text.end_lineno] = [""] * (text.end_lineno - text.lineno + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _file_of(module: str) -> Path | None:
    package, *rest = module.split(".")
    if package != PACKAGE.name:
        return None
    path = PACKAGE.joinpath(*rest)
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)
