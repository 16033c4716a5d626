"""The definitions of a package: what a name refers to, and what a definition, in turn, refers to."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from metamemory.errors import UserError
from metamemory.study.canonical import Target, Writer
from metamemory.study.syntax import Module, bound, read

Root = tuple[str, str]  # module, name

# decorators of other packages that do nothing else than to change what they decorate
HARMLESS = re.compile(
    r"(abc|contextlib|dataclasses|enum|functools|typing)\.\w+"
    r"|torch\.(no_grad|enable_grad|inference_mode|compile|autograd\.function\.once_differentiable)"
    r"|triton\.(jit|autotune|heuristics)"
)


class Written(NamedTuple):
    """A node as text, what the numbers in it refer to, and modules that are imported when it is executed."""

    text: str
    references: list[Target]
    entered: set[str]


class Definitions:
    """Of a package in a folder of the same name. `files`: its Python and C files, with time of change and size."""

    def __init__(self, package: Path, files: Mapping[Path, Sequence[int]]):
        self.package, self.files = package, files
        self.inside = re.compile(rf"{package.name}(\.\w+)+")
        # caches of this object, that go with it
        self.file, self.of, self.effects = cache(self._file), cache(self._of), cache(self._effects)
        self.known: dict[Root, Target | None] = {}

    # what names refer to

    def _file(self, dotted: str) -> Path | None:
        """Where a module of the package stands."""
        top, *rest = dotted.split(".")
        if top != self.package.name:
            return None
        path = self.package.joinpath(*rest)
        return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each in self.files), None)

    def module(self, dotted: str) -> Module:
        """What stands in a module of the package."""
        path = self.file(dotted)
        return _read(path, *self.files[path])

    def root(self, module: str, name: str) -> Target:
        """A definition that is asked for by name.

        Raises:
            UserError: there is none.
        """
        found = self.resolve(module, name) if self.file(module) else None
        if found is None or found.kind == "external":
            raise UserError(f"{module} has no {name}, of which a digest is asked; it is looked for in {self.package}")
        return found

    def resolve(self, dotted: str, name: str, seen: frozenset[Root] = frozenset()) -> Target | None:
        """What a name of a module refers to; None where the module has no such name."""
        if (dotted, name) in seen:
            return None
        if (dotted, name) not in self.known or seen:
            found = self._resolve(dotted, name, seen | {(dotted, name)})
            if seen:
                return found
            self.known[dotted, name] = found
        return self.known[dotted, name]

    def _resolve(self, dotted: str, name: str, seen: frozenset[Root]) -> Target | None:
        module = self.module(dotted)
        if name in module.definitions:
            return Target("definition", dotted, name)
        if name in module.imports:
            return dict(self.imported(dotted, module.imports[name], seen))[name]
        if self.file(dotted).name == "__init__.py" and self.file(f"{dotted}.{name}"):
            return Target("module", f"{dotted}.{name}")
        for place in (self.absolute(dotted, star) for star in module.stars):
            exported = self.module(place).exported if self.file(place) else ()
            if (name in exported) if exported is not None else not name.startswith("_"):
                found = self.resolve(place, name, seen)
                if found is not None:
                    return found
        return None

    def attribute(self, target: Target, name: str, seen: frozenset[Root] = frozenset()) -> Target | None:
        """What an attribute of a module, of the package or not, refers to."""
        if target.kind == "external":
            return Target("external", f"{target.place}.{name}")
        found = self.resolve(target.place, name, seen)
        if found is None and "__getattr__" in self.module(target.place).definitions:
            return Target("attribute", target.place, name)
        return found

    def imported(
        self, dotted: str, statement: ast.Import | ast.ImportFrom, seen: frozenset[Root] = frozenset()
    ) -> Iterator[tuple[str, Target]]:
        """The names that an import in a module binds, and to what."""
        for alias in statement.names:
            name = bound(alias, statement)
            if isinstance(statement, ast.Import):
                place = alias.name if alias.asname else name
                yield name, Target("module" if self.file(place) else "external", place)
            else:
                place = self.absolute(dotted, statement)
                kind = "module" if self.file(place) else "external"
                found = self.attribute(Target(kind, place), alias.name, seen)
                yield name, found or Target("external", f"{self.package.name}?{alias.name}")

    def absolute(self, dotted: str, statement: ast.ImportFrom) -> str:
        """The module that `from … import` names, in a module of the package."""
        if not statement.level:
            return statement.module
        parts = dotted.split(".")
        parts = parts[: len(parts) - statement.level + (self.file(dotted).name == "__init__.py")]
        return ".".join([*parts, *([statement.module] if statement.module else [])])

    def named(self, dotted: str, text: str) -> Target | None:
        """The module of the package, or the C source beside the module `dotted`, that a string in it names."""
        if text.startswith("."):
            text = f"{dotted.rpartition('.')[0]}{text}"
        if self.inside.fullmatch(text) and self.file(text):
            return Target("module", text)
        if text.isidentifier() and (path := self.file(dotted).parent / f"{text}.c") in self.files:
            return Target("file", str(path))
        return None

    # what nodes are made of

    def _of(self, node: Target) -> Written:
        if node.kind == "file":
            path = Path(node.place)
            text = _without_comments(path.read_text(encoding="utf-8"))
            included = (path.parent / name for name in re.findall(r'#\s*include\s*"([^"]+)"', text))
            return Written(text, [Target("file", str(each)) for each in included if each in self.files], set())
        if node.kind == "attribute":  # that the module's __getattr__ gives: something of this name below it, likely
            made_by = Target("definition", node.place, "__getattr__")
            return Written(node.name, [made_by, *self._below(node.place, node.name)], set())
        module = self.module(node.place)
        beside = self.file(node.place).with_suffix(".c")
        c_source = [Target("file", str(beside))] if beside in self.files else []
        if node.kind == "module":
            names = sorted(module.definitions)
            references = [Target("definition", node.place, name) for name in names]
            return Written(" ".join(names), [*references, *c_source], {node.place})
        writer = Writer(_Names(self, node.place))
        statements = self.effects(node.place) if node.kind == "effects" else module.definitions[node.name]
        text = writer.write(statements, node.name)
        return Written(text, [*writer.references, *c_source], writer.entered)

    def _below(self, dotted: str, name: str) -> list[Target]:
        """Definitions of that name in the modules of a package."""
        folder, found = self.file(dotted).parent, []
        for path in (each for each in sorted(self.files) if each.suffix == ".py" and each.is_relative_to(folder)):
            parts = path.relative_to(self.package.parent).with_suffix("").parts
            place = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found += [Target("definition", place, name)] if name in self.module(place).definitions else []
        return found

    def _effects(self, dotted: str) -> list[ast.stmt]:
        """What a module does at its top besides binding names, in order: decorators may, such as those that register
        what they decorate."""
        module = self.module(dotted)
        writer = Writer(_Names(self, dotted))
        found = list(module.effects)
        for definition in (each for statements in module.definitions.values() for each in statements):
            for decorator in getattr(definition, "decorator_list", ()):
                target = writer.target(decorator.func if isinstance(decorator, ast.Call) else decorator)
                if target and not (target.kind == "external" and HARMLESS.fullmatch(target.place)):
                    found.append(definition)
                    break
        return sorted(found, key=lambda statement: statement.lineno)

    def imported_with(self, modules: Iterable[str], entered: set[str]) -> list[str]:
        """Modules of the package that are executed when these are imported, but those entered before; now they are."""
        new, waiting = [], list(modules)
        while waiting:
            dotted = waiting.pop()
            if dotted in entered or self.file(dotted) is None:
                continue
            entered.add(dotted)
            new.append(dotted)
            waiting.append(dotted.rpartition(".")[0])
            for statement in self.module(dotted).importing:
                if isinstance(statement, ast.Import):
                    waiting += [alias.name for alias in statement.names]
                else:
                    place = self.absolute(dotted, statement)
                    waiting += [place, *(f"{place}.{alias.name}" for alias in statement.names)]
        return new


class _Names(NamedTuple):
    """The names of one module, for the writer."""

    definitions: Definitions
    module: str

    def of(self, name: str) -> Target | None:
        return self.definitions.resolve(self.module, name)

    def attribute(self, target: Target, name: str) -> Target | None:
        return self.definitions.attribute(target, name)

    def imported(self, statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Target]]:
        return self.definitions.imported(self.module, statement)

    def named(self, text: str) -> Target | None:
        return self.definitions.named(self.module, text)


@lru_cache(maxsize=2048)
def _read(path: Path, mtime: int, size: int) -> Module:
    try:
        return read(path)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not Python: {error}") from None


def _without_comments(code: str) -> str:
    """C without comments, empty lines and space at the ends of lines."""
    token = r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""
    code = re.sub(token, lambda found: " " if found[0][0] == "/" else found[0], code, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in code.splitlines() if line.strip())
