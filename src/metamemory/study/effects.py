"""What a module does at its top besides binding names: whether a statement changes something else.

A call may change what it is given or belongs to; what it does not return is seen nowhere. So a statement acts

- that is an expression, or binds an attribute or an item of something;
- in which something is called that by its name changes something (`registry.pop(…)`, `torch.set_num_threads(4)`), or a
  function of the package that writes to what is not its own;
- with a decorator that may register what it decorates;
- that makes a class whose base or metaclass registers it.

This holds for the body of a class too, and for defaults of arguments: they are executed with the statement.
"""

import ast
import builtins
import re
from collections.abc import Iterator
from functools import cache, partial
from typing import Protocol

from metamemory.study.refusing import refuses
from metamemory.study.syntax import FUNCTIONS, Target, bindings, executed

# decorators of other packages that do nothing else than to change what they decorate
HARMLESS = re.compile(
    r"(abc|contextlib|dataclasses|enum|functools|typing)\.\w+"
    r"|torch\.(no_grad|enable_grad|inference_mode|compile|autograd\.function\.once_differentiable)"
    r"|triton\.(jit|autotune|heuristics)"
)
# names of functions and methods that change what is not their own
CHANGES = re.compile(
    r"(add|use|register|enable|disable|install|load|append|insert|update|remove|manual|seed|put)(_\w+)?|set_\w+"
    r"|append\w*|extend|setdefault|pop\w*|clear|discard|sort|reverse|setattr|delattr|exec|eval|simplefilter"
    r"|filterwarnings|__set\w+__|__del\w+__"
)
BINDING = (ast.Import, ast.ImportFrom, ast.Pass, ast.Global, ast.Nonlocal, *FUNCTIONS, ast.ClassDef)


class Package(Protocol):
    """What has to be known of the package."""

    def refers(self, dotted: str, expression: ast.AST) -> Target | None:
        """What an expression at the top of a module refers to."""

    def statements(self, target: Target) -> list[ast.stmt]:
        """Those of a definition."""

    @property
    def lists_subclasses(self) -> bool:
        """Whether anything asks a class for its subclasses."""

    @property
    def but_refusals(self) -> bool:
        """Whether what only refuses is left out."""


class Effects:
    """Of the statements of a package."""

    def __init__(self, package: Package):
        self.package = package
        self.writes, self.registers = cache(self._writes), cache(self._registers)

    def acts(self, dotted: str, statement: ast.stmt, of_class: frozenset[str] = frozenset()) -> bool:
        """Whether a statement at the top of a module does more than to bind names; `of_class`: those that the body of a
        class binds, in which it stands."""
        for each in executed(statement):
            if _changes(each, of_class) or any(self._calls(dotted, call) for call in _calls_of(each)):
                return True
            if any(self._decorates(dotted, one, of_class) for one in getattr(each, "decorator_list", ())):
                return True
            if isinstance(each, ast.ClassDef):
                own = frozenset(bindings(each.body))
                if self._is_registered(dotted, each) or any(self.acts(dotted, inner, own) for inner in each.body):
                    return True
        return False

    def _calls(self, dotted: str, call: ast.Call) -> bool:
        target = self.package.refers(dotted, call.func)
        if target is not None and target.kind == "definition":
            return self.writes(target)
        return CHANGES.fullmatch(_last(call.func)) is not None

    def _decorates(self, dotted: str, decorator: ast.expr, of_class: frozenset[str]) -> bool:
        if self.package.but_refusals and refuses(decorator, partial(self.package.refers, dotted)):
            return False
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        target = self.package.refers(dotted, called)
        if target is not None:
            return not (target.kind == "external" and HARMLESS.fullmatch(target.place))
        root = _root(called)
        return not (root in of_class or (isinstance(called, ast.Name) and hasattr(builtins, called.id)))

    def _is_registered(self, dotted: str, made: ast.ClassDef) -> bool:
        around = (*made.bases, *(each.value for each in made.keywords))
        target_of = partial(self.package.refers, dotted)
        left_out = self.package.but_refusals
        found = [target_of(each) for each in around if not (left_out and refuses(each, target_of))]
        inside = [each for each in found if each is not None and each.kind == "definition"]
        return any(map(self.registers, inside)) or bool(inside and self.package.lists_subclasses)

    def _registers(self, target: Target) -> bool:
        """Whether a class, as a base or a metaclass, does something where another is derived from it."""
        made = [each for each in self.package.statements(target) if isinstance(each, ast.ClassDef)]
        hooks = ("__init_subclass__", "__new__", "__init__", "__prepare__", "__set_name__")
        for each in made:
            functions = [one for one in each.body if isinstance(one, FUNCTIONS) and one.name in hooks]
            if any(self._writes_in(target.place, one, of_class=True) for one in functions):
                return True
            if self._is_registered(target.place, each):
                return True
        return False

    def _writes(self, target: Target, seen: frozenset[Target] = frozenset()) -> bool:
        """Whether a function, or the making of an object of a class, changes what is not its own."""
        if target in seen:
            return False
        functions = []
        for each in self.package.statements(target):
            functions += [(each, False)] if isinstance(each, FUNCTIONS) else []
            functions += [(each.value, False)] if isinstance(getattr(each, "value", None), ast.Lambda) else []
            if isinstance(each, ast.ClassDef):
                functions += [(one, True) for one in each.body if isinstance(one, FUNCTIONS)]
        return any(self._writes_in(target.place, one, of_class, seen | {target}) for one, of_class in functions)

    def _writes_in(self, dotted: str, function: ast.AST, of_class: bool, seen: frozenset[Target] = frozenset()) -> bool:
        arguments = function.args
        given = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        body = function.body if isinstance(function.body, list) else [function.body]
        own = {*bindings(body), *(given[:1] if of_class else ())} - {*given[1 if of_class else 0 :]}
        for node in (inner for each in body for inner in ast.walk(each)):
            if isinstance(node, ast.Global):
                return True
            stored = isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load)
            if stored and _root(node) not in own:
                return True
            if isinstance(node, ast.Call):
                target = None if _root(node.func) in own | {*given} else self.package.refers(dotted, node.func)
                if target is not None and target.kind == "definition":
                    if self._writes(target, seen):
                        return True
                elif not {_root(node.func), _changed(node)} & own and CHANGES.fullmatch(_last(node.func)):
                    return True
        return False


def _changes(statement: ast.stmt, of_class: frozenset[str]) -> bool:
    """Whether a statement itself does more than to bind names; a compound one does what is in it."""
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        parts = (each for target in targets for each in ast.walk(target))
        return any(isinstance(each, ast.Attribute | ast.Subscript) and _root(each) not in of_class for each in parts)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return False
    return not isinstance(statement, BINDING) and not hasattr(statement, "body")


def _calls_of(statement: ast.stmt) -> Iterator[ast.Call]:
    """Calls that are made when a statement is executed, but for those of statements inside it."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call):
            yield node
        if isinstance(node, (*FUNCTIONS, ast.Lambda)):  # its body comes later
            waiting += [*getattr(node, "decorator_list", ()), *node.args.defaults, *filter(None, node.args.kw_defaults)]
        else:
            waiting += [each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.stmt)]


def _changed(call: ast.Call) -> str:
    """The name of what `setattr(x, …)` and the like change; "" for other calls."""
    return _root(call.args[0]) if call.args and _last(call.func).strip("_") in ("setattr", "delattr") else ""


def _root(expression: ast.AST) -> str:
    """The name that `a.b[c]` begins with; "" where it is none."""
    while isinstance(expression, ast.Attribute | ast.Subscript | ast.Call):
        expression = expression.func if isinstance(expression, ast.Call) else expression.value
    return expression.id if isinstance(expression, ast.Name) else ""


def _last(expression: ast.AST) -> str:
    """The name that `a.b.c` ends with; "" where it is none."""
    return getattr(expression, "attr", getattr(expression, "id", ""))
