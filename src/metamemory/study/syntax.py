"""A Python module as `source` sees it: what it imports, what it defines, and what it does besides."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
NESTED = (*FUNCTIONS, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
BINDING = (ast.Import, ast.ImportFrom, ast.Pass, ast.Global, ast.Nonlocal, *FUNCTIONS, ast.ClassDef)


@dataclass
class Module:
    """What stands at the top of a file, read once.

    Attributes:
        imports: name -> (statement, alias), of imports that are not under a condition.
        stars: modules of which all names are imported: statements.
        definitions: name -> the statements that bind it, in order; a compound statement counts as one.
        effects: statements that do something else, in order.
        importing: every import of the module, wherever it stands.
        exported: `__all__`, or None.
    """

    imports: dict[str, ast.Import | ast.ImportFrom] = field(default_factory=dict)
    stars: list[ast.ImportFrom] = field(default_factory=list)
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    effects: list[ast.stmt] = field(default_factory=list)
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
    found.importing += [each for each in executed(statement) if isinstance(each, ast.Import | ast.ImportFrom)]
    names = list(dict.fromkeys(bindings([statement])))
    if names == ["__all__"]:
        found.exported = [*(found.exported or ()), *_strings(statement)]
        return
    for name in names:
        found.definitions.setdefault(name, []).append(statement)
    if any(_acts(each) for each in executed(statement)):
        found.effects.append(statement)


def _only_when_run(statement: ast.stmt) -> bool:
    """if __name__ == "__main__"."""
    test = getattr(statement, "test", None)
    return isinstance(statement, ast.If) and isinstance(test, ast.Compare) and "__main__" in _strings(test)


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


def _acts(statement: ast.stmt) -> bool:
    """Whether a statement does more than to bind names; a compound one does what is in it."""
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return any(isinstance(each, ast.Attribute | ast.Subscript) for target in targets for each in ast.walk(target))
    return not isinstance(statement, BINDING) and not hasattr(statement, "body")


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
            yield from (bound(alias, node) for alias in node.names)
        else:
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                yield node.id
            elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
                yield node.name
            elif isinstance(node, ast.MatchMapping) and node.rest:
                yield node.rest
            yield from bindings(ast.iter_child_nodes(node))
