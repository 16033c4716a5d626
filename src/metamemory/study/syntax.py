"""A Python module as `source` sees it: what it imports, what it defines, and what it does besides."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
NESTED = (*FUNCTIONS, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Target(NamedTuple):
    """What a name refers to: a "definition" (module, name), a "module" or a "file" of the package, or something
    "external". `place` is a module's dotted name, a path, or the dotted name in another package."""

    kind: str
    place: str
    name: str = ""


@dataclass
class Module:
    """What stands at the top of a file, read once.

    Attributes:
        imports: name -> statement, of imports that are not under a condition, of names that nothing else binds.
        stars: modules of which all names are imported: statements.
        definitions: name -> the statements that bind it, in order; a compound statement counts as one.
        statements: all that are executed but imports, in order.
        importing: every import of the module, wherever it stands.
        exported: `__all__`; None where there is none, or it is not written out.
    """

    imports: dict[str, ast.Import | ast.ImportFrom] = field(default_factory=dict)
    stars: list[ast.ImportFrom] = field(default_factory=list)
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    statements: list[ast.stmt] = field(default_factory=list)
    importing: list[ast.Import | ast.ImportFrom] = field(default_factory=list)
    exported: list[str] | None = None


def read(path: Path) -> Module:
    """Parse a file.

    Raises:
        SyntaxError: it is not Python.
    """
    found = Module()
    for statement in without_docstring(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)).body):
        _sort(statement, found)
    for name in found.imports.keys() & found.definitions.keys():  # imported, and then bound anew
        statements = [found.imports.pop(name), *found.definitions[name]]
        found.definitions[name] = sorted(statements, key=lambda each: each.lineno)
    if "__all__" in found.definitions:
        told = [each for each in found.statements if any(getattr(n, "id", "") == "__all__" for n in ast.walk(each))]
        found.exported = _exported(told)
    return found


def _sort(statement: ast.stmt, found: Module) -> None:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        found.importing.append(statement)
        if statement.names[0].name == "*":
            found.stars.append(statement)
        else:
            found.imports.update({bound(alias, statement): statement for alias in statement.names})
        return
    if _only_when_run(statement):
        return
    inside = [each for each in executed(statement) if isinstance(each, ast.Import | ast.ImportFrom)]
    found.importing += inside
    found.stars += [each for each in inside if each.names[0].name == "*"]
    for name in dict.fromkeys(bindings([statement])):
        found.definitions.setdefault(name, []).append(statement)
    found.statements.append(statement)


def _exported(statements: list[ast.stmt]) -> list[str] | None:
    """What they say that is exported; None if they do not write it out."""
    names: list[str] = []
    for each in statements:
        value = each.value if isinstance(each, ast.Assign | ast.AugAssign | ast.AnnAssign) else None
        if not isinstance(value, ast.List | ast.Tuple) or len(_strings(value)) != len(value.elts):
            return None
        names += _strings(value)
    return names


def _only_when_run(statement: ast.stmt) -> bool:
    """if __name__ == "__main__"."""
    if not isinstance(statement, ast.If) or statement.orelse or not isinstance(statement.test, ast.Compare):
        return False
    return isinstance(statement.test.ops[0], ast.Eq) and "__main__" in _strings(statement.test)


def _strings(node: ast.AST) -> list[str]:
    return [each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def executed(statement: ast.stmt) -> Iterator[ast.stmt]:
    """The statement and those inside it that are executed with it: not the bodies of functions and classes."""
    yield statement
    if not isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        for child in ast.iter_child_nodes(statement):
            if isinstance(child, ast.stmt):
                yield from executed(child)
            elif isinstance(child, ast.ExceptHandler | ast.match_case):
                for inner in child.body:
                    yield from executed(inner)


def bound(alias: ast.alias, statement: ast.Import | ast.ImportFrom) -> str:
    """The name that an import binds: `import a.b` binds a."""
    return alias.asname or (alias.name.split(".")[0] if isinstance(statement, ast.Import) else alias.name)


def without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    """A body without the text that opens it, and without other texts that nothing reads."""

    def says_nothing(each: ast.stmt) -> bool:
        return isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str)

    return [each for each in body if not says_nothing(each)] or [ast.Pass()]


def bindings(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Names that are bound in the scope of these nodes, but not in the scopes nested in it."""
    for node in nodes:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            yield node.name
            yield from bindings([*node.decorator_list, *getattr(node, "bases", ())])
        elif isinstance(node, ast.Lambda):
            continue
        elif isinstance(node, NESTED):  # a comprehension: an assignment expression in it binds outside
            yield from (each.target.id for each in ast.walk(node) if isinstance(each, ast.NamedExpr))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (bound(alias, node) for alias in node.names if alias.name != "*")
        else:
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                yield node.id
            elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
                yield node.name
            elif isinstance(node, ast.MatchMapping) and node.rest:
                yield node.rest
            yield from bindings(ast.iter_child_nodes(node))
