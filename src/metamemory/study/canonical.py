"""A definition as text: its syntax tree, without what says nothing of what it does.

The text does not depend on where the definition stands or on the version of Python; docstrings and the annotations of
functions and variables are not in it. A name that refers to something outside of the definition is written as a
reference: `@0`, `@1`, … are definitions, modules and files of the package in the order of their first use, and
`~torch.nn.functional.pad` is of another package. What only refuses (`refusing`) is left out on demand.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from metamemory.study.refusing import only_refuses, refuses
from metamemory.study.syntax import Target, bindings, executed, without_docstring


class Names(Protocol):
    """What a writer has to know of the module it writes from, and of the package around it."""

    def of(self, name: str) -> Target | None:
        """What a name of the module refers to; None for a built-in one."""

    def attribute(self, target: Target, name: str) -> Target | None:
        """What `target.name` refers to, where target is a module or external."""

    def imported(self, statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Target]]:
        """The names that an import binds, and to what."""

    def named(self, text: str) -> Target | None:
        """The module or file of the package that a string names."""

    def later(self, name: str, line: int) -> int:
        """How many statements at the top of the module bind or change a name after a line."""

    def value(self, name: str) -> str | None:
        """The string that a name of the module always stands for; None if it is no string."""

    @property
    def module(self) -> str:
        """The module's own dotted name."""

    @property
    def but_refusals(self) -> bool:
        """Whether what only refuses is left out."""


@dataclass
class Scope:
    """A function, class or comprehension being written."""

    names: set[str]
    imports: dict[str, Target] = field(default_factory=dict)
    outer: set[str] = field(default_factory=set)  # declared global
    of_class: bool = False
    later: bool = False  # executed when it is called


BY_NAME = ("globals", "eval", "exec")  # which find names of the module in strings


class Writer:
    """Writes definitions of one module as text, and collects what they refer to.

    Attributes:
        references: of the package, in the order of their numbers in the text.
        entered: modules of the package that are imported when the definition is executed.
    """

    def __init__(self, names: Names):
        self.names = names
        self.references: dict[Target, int] = {}
        self.entered: set[str] = set()
        self.scopes: list[Scope] = []
        self.own = ""
        self.line = 0

    def write(self, statements: Iterable[ast.stmt], own: str = "") -> str:
        """The text of the statements that bind the name `own`, which is not part of it unless it is a class's."""
        self.own = own
        texts = []
        for each in statements:
            self.line = each.lineno
            texts.append(self.text(each))
        return "\n".join(texts)

    def text(self, node: object) -> str:
        """Of any part of a syntax tree."""
        if isinstance(node, ast.AST):
            special = getattr(self, f"_{type(node).__name__}", None)
            return special(node) if special else self._plain(node)
        if isinstance(node, list):
            return f"[{','.join(map(self.text, self._counted(node)))}]"
        return ascii(node)

    def _counted(self, parts: list[object]) -> list[object]:
        """Statements and other parts that count."""
        if not self.names.but_refusals:
            return parts
        kept = [each for each in parts if not (isinstance(each, ast.stmt) and only_refuses(each, self.target))]
        return kept if kept or not parts else [ast.Pass()]

    def _plain(self, node: ast.AST) -> str:
        """The fields of a node by name, but empty ones, which some versions of Python have and others not."""
        fields = []
        for name in node._fields:
            value = getattr(node, name, None)
            if value is not None and value != [] and name not in ("ctx", "kind", "type_comment"):
                fields.append(f"{name}={self.text(value)}")
        return f"{type(node).__name__}({','.join(fields)})"

    def _refer(self, target: Target) -> str:
        if target.kind == "external":
            return f"~{target.place}"
        return f"@{self.references.setdefault(target, len(self.references))}"

    # names

    def target(self, node: ast.AST) -> Target | None:
        """What an expression `a` or `a.b.c` refers to, outside of the definition."""
        if isinstance(node, ast.Name):
            for depth, scope in enumerate(reversed(self.scopes)):
                if scope.of_class and (depth or self.names.of(node.id)):
                    continue
                if node.id in scope.outer:
                    break
                if node.id in scope.names:
                    return scope.imports.get(node.id)
            return self.names.of(node.id)
        if isinstance(node, ast.Attribute):
            before = self.target(node.value)
            if before is not None and before.kind in ("module", "external"):
                return self.names.attribute(before, node.attr)
        return None

    def _Name(self, node: ast.Name) -> str:
        if isinstance(node.ctx, ast.Load) or (self.scopes and node.id in self.scopes[-1].outer):
            target = self.target(node)
            if target is None and node.id in BY_NAME:
                return f"Name({node.id},{self._refer(Target('module', self.names.module))})"
            return f"{self._refer(target)}{self._not_yet(node.id)}" if target else f"Name({node.id})"
        return "Name(own)" if not self.scopes and node.id == self.own else f"Name({node.id})"

    def _not_yet(self, name: str) -> str:
        """What will still be done to a name of the module after it is read here, where it is read at once."""
        here = not any(scope.later for scope in self.scopes)
        later = self.names.later(name, self.line) if here else 0
        return f"-{later}" if later else ""

    def _Attribute(self, node: ast.Attribute) -> str:
        target = self.target(node)
        if target is not None and target.place == "sys.modules":
            return f"~sys.modules{self._refer(Target('module', self.names.module))}"
        return self._refer(target) if target else f"Attribute({self.text(node.value)},{node.attr})"

    def _Constant(self, node: ast.Constant) -> str:
        target = self.names.named(node.value) if isinstance(node.value, str) else None
        return f"Module({self._refer(target)})" if target else f"{type(node.value).__name__}({node.value!a})"

    def _Import(self, node: ast.Import | ast.ImportFrom) -> str:
        """A module that a function imports is entered; what is used of it is said where it is used."""
        texts = []
        if isinstance(node, ast.Import):
            named = [self.names.named(alias.name) for alias in node.names]
            self.entered |= {target.place for target in named if target}
        for _, target in self.names.imported(node):
            entered = self.scopes and target.kind == "module"
            self.entered |= {target.place} if entered else set()
            texts.append("module" if entered else self._refer(target))
        return f"Import({','.join(texts)})"

    _ImportFrom = _Import

    # scopes

    def _inside(self, names: Iterable[str], body: Iterable[ast.AST], parts: Iterable[object], **more: bool) -> str:
        """The text of `parts`, in a scope that binds names, and what `body` binds."""
        scope = Scope({*names, *bindings(body)}, **more)
        for each in body:
            for inner in executed(each) if isinstance(each, ast.stmt) else ():
                if isinstance(inner, ast.Global):
                    scope.outer.update(inner.names)
                elif isinstance(inner, ast.Import | ast.ImportFrom):
                    scope.imports.update(self.names.imported(inner))
        self.scopes.append(scope)
        text = ",".join(map(self.text, parts))
        self.scopes.pop()
        return text

    def _around(self, expressions: list[ast.expr]) -> str:
        """Decorators or bases that count."""
        left_out = self.names.but_refusals
        return self.text([each for each in expressions if not (left_out and refuses(each, self.target))])

    def _FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
        name = "" if not self.scopes and node.name == self.own else node.name
        body = without_docstring(node.body)
        inside = self._inside(_arguments(node.args), body, [body], later=True)
        around = f"{self._around(node.decorator_list)}{self.text(node.args)}"
        if any(isinstance(each, ast.Attribute) and each.attr == "register" for each in node.decorator_list):
            around += ",".join(ast.unparse(each.annotation) for each in ast.walk(node.args) if _annotated(each))
        return f"{type(node).__name__}({name},{around},{inside})"

    _AsyncFunctionDef = _FunctionDef

    def _Lambda(self, node: ast.Lambda) -> str:
        inside = self._inside(_arguments(node.args), [node.body], [node.body], later=True)
        return f"Lambda({self.text(node.args)},{inside})"

    def _ClassDef(self, node: ast.ClassDef) -> str:
        body = without_docstring(node.body)
        around = ",".join([*map(self._around, (node.decorator_list, node.bases)), self.text(node.keywords)])
        return f"ClassDef({node.name},{around},{self._inside((), body, [body], of_class=True)})"

    def _comprehension_of(self, node: ast.AST) -> str:
        first, *others = node.generators  # the first is gone through outside
        parts = [getattr(node, each) for each in node._fields if each != "generators"]
        parts += [first.target, first.ifs, first.is_async, others]
        inside = self._inside(bindings(each.target for each in node.generators), (), parts)
        return f"{type(node).__name__}({self.text(first.iter)},{inside})"

    _ListComp = _SetComp = _DictComp = _GeneratorExp = _comprehension_of

    # what says nothing, or is said in several ways

    def _arg(self, node: ast.arg) -> str:
        return f"arg({node.arg})"

    def _AnnAssign(self, node: ast.AnnAssign) -> str:
        if self.scopes and self.scopes[-1].of_class:  # perhaps a field of a dataclass, or declared not to be one
            value = self.text(node.value)
            return f"AnnAssign({self.text(node.target)},{ast.unparse(node.annotation)},{value})"
        return f"Assign({self.text([node.target])},{self.text(node.value)})"

    def _Assign(self, node: ast.Assign) -> str:
        return f"Assign({self.text(node.targets)},{self.text(node.value)})"

    def _JoinedStr(self, node: ast.JoinedStr) -> str:
        if target := self._joined(node):
            return f"Module({self._refer(target)})"
        parts = [each for each in node.values if not (isinstance(each, ast.Constant) and each.value == "")]
        return f"JoinedStr({self.text(parts)})"

    def _BinOp(self, node: ast.BinOp) -> str:
        target = self._joined(node)
        return f"Module({self._refer(target)})" if target else self._plain(node)

    def _joined(self, node: ast.expr) -> Target | None:
        """The module or file that a string names which is put together from known ones."""
        said = self._said(node)
        return self.names.named(said) if said else None

    def _said(self, node: ast.AST) -> str | None:
        """The string that an expression always is; None if that is not known."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.FormattedValue):
            return self._said(node.value) if node.format_spec is None and node.conversion == -1 else None
        if isinstance(node, ast.Name):
            own = {"__name__": self.names.module, "__package__": self.names.module.rpartition(".")[0]}
            return own.get(node.id) or (self.names.value(node.id) if self.target(node) else None)
        if isinstance(node, ast.JoinedStr):
            parts = [self._said(each) for each in node.values]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            parts = [self._said(node.left), self._said(node.right)]
        else:
            return None
        return None if None in parts else "".join(parts)


def _arguments(arguments: ast.arguments) -> list[str]:
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return [each.arg for each in every if each is not None]


def _annotated(node: ast.AST) -> bool:
    return isinstance(node, ast.arg) and node.annotation is not None
