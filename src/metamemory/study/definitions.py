"""The definitions of a package: what a name refers to, and what a definition, in turn, refers to."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from metamemory.errors import UserError
from metamemory.study.canonical import Writer
from metamemory.study.effects import Effects
from metamemory.study.refusing import is_refusal
from metamemory.study.syntax import Module, Target, bound, read

Root = tuple[str, str]  # module, name
COMMENTED = (".c", ".h", ".cu", ".cuh", ".cpp", ".cc", ".hpp", ".json")  # as C has comments


class Written(NamedTuple):
    """A node as text, what the numbers in it refer to, and modules that are imported when it is executed."""

    text: str
    references: list[Target]
    entered: set[str]


class Definitions:
    """Of a package in a folder of the same name. `files`: its sources and data, with time of change and size;
    `but_refusals`: whether what only refuses is left out."""

    def __init__(self, package: Path, files: Mapping[Path, Sequence[int]], but_refusals: bool = False):
        self.package, self.files, self.but_refusals = package, files, but_refusals
        self.inside = re.compile(rf"{package.name}(\.\w+)+")
        # caches of this object, that go with it
        self.file, self.of, self.effects = cache(self._file), cache(self._of), cache(self._effects)
        self.later = cache(self._later)
        self.known: dict[Root, Target | None] = {}
        self.acting = Effects(self)

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
        places = [self.absolute(dotted, star) for star in reversed(module.stars)]
        for place in filter(self.file, places):
            exported = self.module(place).exported
            if exported is None or name in exported:
                found = self.resolve(place, name, seen)
                if found is not None:
                    return found
        others = [place for place in places if not self.file(place)]  # any of them may have it
        return Target("external", f"{'|'.join(others)}.*.{name}") if others and not name.startswith("__") else None

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
                if found is None and self.file(f"{place}.{alias.name}"):
                    found = Target("module", f"{place}.{alias.name}")
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
        if text.startswith(".") and text.strip("."):  # as import_module is told
            within = dotted if self.file(dotted).name == "__init__.py" else dotted.rpartition(".")[0]
            above = len(text) - len(text.lstrip(".")) - 1
            text = f"{within.rsplit('.', above)[0]}.{text.lstrip('.')}"
        if self.inside.fullmatch(text) and self.file(text):
            return Target("module", text)
        beside = self.file(dotted).parent
        if text.isidentifier() and (path := beside / f"{text}.c") in self.files:
            return Target("file", str(path))
        if re.fullmatch(r"[\w./-]+", text) and Path(text).suffix not in ("", ".py"):
            found = [each for each in self.files if each.is_relative_to(beside) and each.match(text)]
            return Target("file", str(min(found))) if found else None
        return None

    # what nodes are made of

    def _of(self, node: Target) -> Written:
        if node.kind == "file":
            path = Path(node.place)
            if path.suffix not in COMMENTED:
                return Written(sha256(path.read_bytes()).hexdigest(), [], set())
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
            return Written(" ".join(names), [*references, *self._given(node.place), *c_source], {node.place})
        writer = Writer(_Names(self, node.place))
        statements = self.effects(node.place) if node.kind == "effects" else module.definitions[node.name]
        text = writer.write(statements, node.name)
        return Written(text, [*writer.references, *c_source], writer.entered)

    def _given(self, dotted: str) -> list[Target]:
        """What a module that is used as an object has besides its definitions: what it imports, and modules in it."""
        module = self.module(dotted)
        found = {name: target for each in module.imports.values() for name, target in self.imported(dotted, each)}
        for place in filter(self.file, (self.absolute(dotted, star) for star in module.stars)):
            found |= {name: Target("definition", place, name) for name in self.module(place).definitions}
        if self.file(dotted).name == "__init__.py":
            beside = [path for path in self.files if path.suffix == ".py" and path.parent == self.file(dotted).parent]
            found |= {path.stem: Target("module", f"{dotted}.{path.stem}") for path in beside if path.stem[:2] != "__"}
        left_out = [each for each in found.values() if self.but_refusals and is_refusal(each)]
        counted = (target for _, target in sorted(found.items()) if target not in left_out)
        return [target for target in counted if target.kind != "external"]

    def refers(self, dotted: str, expression: ast.AST) -> Target | None:
        """What an expression at the top of a module refers to."""
        return Writer(_Names(self, dotted)).target(expression)

    def statements(self, target: Target) -> list[ast.stmt]:
        """Those of a definition."""
        return self.module(target.place).definitions[target.name]

    @cached_property
    def lists_subclasses(self) -> bool:
        """Whether anything in the package asks a class for its subclasses."""
        paths = (path for path in self.files if path.suffix == ".py" and path.parent.name != "study")
        return any("__subclasses__" in path.read_text(encoding="utf-8") for path in paths)

    def _later(self, dotted: str, name: str, line: int) -> int:
        """How many statements at the top of a module bind a name of it anew, or change it, after a line."""
        statements = {each.lineno: each for each in self.module(dotted).definitions.get(name, ())}
        for each in self.effects(dotted):
            if any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(each)):
                statements[each.lineno] = each
        return sum(each > line for each in statements) if len(statements) > 1 else 0

    def _below(self, dotted: str, name: str) -> list[Target]:
        """Definitions of that name in the modules of a package."""
        folder, found = self.file(dotted).parent, []
        for path in (each for each in sorted(self.files) if each.suffix == ".py" and each.is_relative_to(folder)):
            parts = path.relative_to(self.package.parent).with_suffix("").parts
            place = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found += [Target("definition", place, name)] if name in self.module(place).definitions else []
        return found

    def _effects(self, dotted: str) -> list[ast.stmt]:
        """What a module does at its top besides binding names, in order."""
        return [each for each in self.module(dotted).statements if self.acting.acts(dotted, each)]

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

    @property
    def but_refusals(self) -> bool:
        return self.definitions.but_refusals

    def of(self, name: str) -> Target | None:
        return self.definitions.resolve(self.module, name)

    def attribute(self, target: Target, name: str) -> Target | None:
        return self.definitions.attribute(target, name)

    def imported(self, statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Target]]:
        return self.definitions.imported(self.module, statement)

    def named(self, text: str) -> Target | None:
        return self.definitions.named(self.module, text)

    def later(self, name: str, line: int) -> int:
        return self.definitions.later(self.module, name, line)

    def value(self, name: str) -> str | None:
        target = self.of(name)
        if target is None or target.kind != "definition":
            return None
        (statement, *others) = self.definitions.statements(target)
        said = getattr(statement, "value", None)
        return said.value if not others and isinstance(said, ast.Constant) and isinstance(said.value, str) else None


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
