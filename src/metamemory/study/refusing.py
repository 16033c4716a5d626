"""Code that only refuses: with or without it, a run that comes to its end gives the same numbers.

It counts to the digest of a run as all code does. But where results are carried over a change (`lineage`), what it adds
or takes away can be left out, so that a check can be added to every learner without doing every run again:

    if batch < 1:                                a guard: nothing but a test, and an error that is for the user
        raise UserError(f"batch is {batch}")
    check_arguments(cls, given, named)           what `refusals` of the package defines, called as a statement, …
    class Supervised(Checked):                   … or as a base or a decorator

That `refusals` does nothing else is for its reader to see; its definitions are few. A test of a guard may look only:
where it binds a name, or calls anything but built-in functions and methods that are known to change nothing (FUNCTIONS,
METHODS), it counts. The error must be one that no run catches (ERRORS).
"""

import ast
import builtins
from collections.abc import Callable

from metamemory.study.syntax import Target

REFUSALS = "refusals"  # the module at the top of the package whose definitions do nothing but refuse
ERRORS = (("errors", "UserError"), ("settings", "SettingError"))
FUNCTIONS = {"callable", "getattr", "hasattr", "isinstance", "issubclass", "len", "type"}
METHODS = {
    *("all", "any", "dim", "endswith", "is_contiguous", "is_floating_point", "isfinite", "isidentifier", "items"),
    *("keys", "numel", "size", "startswith", "values"),
}
BINDS = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
TargetOf = Callable[[ast.AST], Target | None]  # what an expression refers to, outside of where it stands


def only_refuses(statement: ast.stmt, target_of: TargetOf) -> bool:
    """Whether a statement is a guard, or calls something of `refusals`, under a condition or not."""
    if isinstance(statement, ast.If):
        otherwise = statement.orelse
        alone = not otherwise or (len(otherwise) == 1 and only_refuses(otherwise[0], target_of))
        return alone and _looks(statement.test, target_of) and _ends(statement.body, target_of)
    called = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(called, ast.Call) or not refuses(called, target_of):
        return False
    return all(_looks(each, target_of) for each in (*called.args, *(each.value for each in called.keywords)))


def refuses(expression: ast.expr, target_of: TargetOf) -> bool:
    """Whether an expression refers to something of `refusals`, or calls that."""
    target = target_of(expression.func if isinstance(expression, ast.Call) else expression)
    return target is not None and is_refusal(target)


def is_refusal(target: Target) -> bool:
    """Whether it is a definition of `refusals`."""
    return target.kind == "definition" and target.place.split(".")[1:] == [REFUSALS]


def _ends(body: list[ast.stmt], target_of: TargetOf) -> bool:
    """Whether all that is done is to put a message together and raise it, or to call what refuses."""
    *before, last = body
    bound = [one for each in before for one in getattr(each, "targets", [None])]
    told = all(isinstance(each, ast.Assign) for each in before) and all(isinstance(one, ast.Name) for one in bound)
    return (told and _raises(last, target_of)) or all(only_refuses(each, target_of) for each in body)


def _raises(statement: ast.stmt, target_of: TargetOf) -> bool:
    if not isinstance(statement, ast.Raise) or statement.exc is None:
        return False
    target = target_of(statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc)
    if target is None or target.kind != "definition":
        return False
    return any(target.place.split(".")[1:] == [place] and target.name == name for place, name in ERRORS)


def _looks(expression: ast.expr, target_of: TargetOf) -> bool:
    """Whether an expression does nothing but look."""
    for each in ast.walk(expression):
        if isinstance(each, BINDS):
            return False
        if isinstance(each, ast.Call):
            if each.keywords:
                return False
            if isinstance(each.func, ast.Name):
                known = each.func.id in FUNCTIONS and hasattr(builtins, each.func.id)
                if not known or target_of(each.func) is not None:
                    return False
            elif not isinstance(each.func, ast.Attribute) or each.func.attr not in METHODS:
                return False
    return True
