"""Which code a run executes, and a digest of it: `source/2`, of definitions, wherever they stand.

    digest([("metamemory.protocols.conduct", "conduct"), ("metamemory.models.recurrent.cl_lstm", "CLLSTM")])

Names are followed from the roots of a run: through imports, aliases, re-exports and attributes of modules to functions,
classes and constants of the package, and from these to what they use. Each counts by its syntax tree (`canonical`), in
which a reference stands for the digest of what it refers to. So a module can be moved, renamed, split or merged, a
comment or docstring mended, an annotation added, an unrelated definition changed, and no digest changes; a change of
anything that is executed changes it. Besides count

- a module that is named in a string (`import_module("metamemory.training.graph")`), or used as an object: all of it;
- C sources that a string names, or that stand beside a module of which something is used, with what they include; and
  files of any other kind in the package that a string names;
- statements at the top of a module that do more than bind names (`effects`), in every module that is imported on the
  way; and for a name that is bound or changed more than once, how far that was when it is read at the top.

What is looked up by a name that is computed (the learner of a method) is not found: it has to be among the roots.
Annotations and docstrings are taken for harmless: no number of this study depends on them. So is the order in which
modules are imported. What a run reads from a file is not source; its data have a digest of their own. What only refuses
(`refusing`) counts, but where results are carried over a change it can be left out (`lineage`).
"""

import hashlib
import os
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from metamemory.study.definitions import Definitions, Root
from metamemory.study.syntax import Target

PACKAGE = Path(__file__).resolve().parent.parent
VERSION = "source/2"
COMPILED = (".pyc", ".pyo", ".so")  # no sources


@dataclass(frozen=True)
class Reached:
    """What a run executes: definitions as "module:name", and the files in which they stand, C sources included."""

    definitions: list[str]
    files: list[Path]


def digest(roots: Iterable[Root], package: Path = PACKAGE, but_refusals: bool = False) -> str:
    """The digest of what the roots, pairs of module and name, reach in the package: "source/2:" and 64 digits; with
    `but_refusals` that of the rest, when what only refuses is left out.

    Raises:
        UserError: a root is not there, or a file on the way is not Python.
    """
    graph = _graph(package, but_refusals)
    nodes = [graph.definitions.root(*root) for root in roots]
    parts = {graph.digest(node) for node in (*nodes, *graph.effects(nodes))}
    return f"{VERSION}:{_sha256(*sorted(parts))}"


def reached(roots: Iterable[Root], package: Path = PACKAGE) -> Reached:
    """What `digest` is a digest of."""
    graph = _graph(package)
    nodes = [graph.definitions.root(*root) for root in roots]
    found = graph.reached([*nodes, *graph.effects(nodes)])
    definitions = sorted(f"{node.place}:{node.name}" for node in found if node.kind == "definition")
    files = {Path(node.place) if node.kind == "file" else graph.definitions.file(node.place) for node in found}
    return Reached(definitions, sorted(files))


def paths(package: Path) -> Iterator[str]:
    """Of the sources and data of a package: all its files but what was compiled."""
    for folder, _, names in os.walk(package):
        yield from (f"{folder}/{name}" for name in names if not name.endswith(COMPILED))


def _graph(package: Path, but_refusals: bool = False) -> "Graph":
    """Of the package as it is on disk now; kept until a file of it changes."""
    package, files = package.resolve(), []
    for path in paths(package):
        status = os.stat(path)
        files.append((path, status.st_mtime_ns, status.st_size))
    return _of_files(package, tuple(sorted(files)), but_refusals)


@lru_cache(maxsize=4)
def _of_files(package: Path, files: tuple[tuple[str, int, int], ...], but_refusals: bool) -> "Graph":
    return Graph(Definitions(package, {Path(path): stamp for path, *stamp in files}, but_refusals))


class Graph:
    """Definitions and what each refers to, with digests that are worked out once."""

    def __init__(self, definitions: Definitions):
        self.definitions = definitions
        self.digests: dict[Target, str] = {}

    def reached(self, nodes: Iterable[Target]) -> set[Target]:
        """The nodes, and all that they refer to, directly or not."""
        found: set[Target] = set()
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting += self.definitions.of(node).references
        return found

    def effects(self, nodes: Iterable[Target]) -> set[Target]:
        """What is done at the top of the modules that are imported where these nodes are executed."""
        done: set[Target] = set()
        entered: set[str] = set()
        found: set[Target] = set()
        waiting = set(nodes)
        while waiting:
            new = self.reached(waiting) - done
            done |= new
            modules = {node.place for node in new if node.kind != "file"}
            modules |= {module for node in new for module in self.definitions.of(node).entered}
            waiting = set()
            for module in self.definitions.imported_with(modules, entered):
                if self.definitions.effects(module):
                    waiting.add(Target("effects", module))
            found |= waiting
        return found

    def digest(self, root: Target) -> str:
        """Of a node and all that it refers to. Nodes that refer to each other in circles are digested together."""
        if root not in self.digests:
            for circle in _circles(root, lambda node: self.definitions.of(node).references, self.digests):
                self._digest(circle)
        return self.digests[root]

    def _digest(self, circle: Sequence[Target]) -> None:
        """Each begins with its own text and what lies outside of the circle; what is inside is added step by step, as
        often as it takes to go round."""
        inside = dict.fromkeys(circle, "")
        for _ in range(len(circle) + 1):
            inside = {node: self._step(node, inside) for node in circle}
        self.digests.update(inside)

    def _step(self, node: Target, inside: dict[Target, str]) -> str:
        written = self.definitions.of(node)
        parts = (inside[each] if each in inside else self.digests[each] for each in written.references)
        return _sha256(node.kind, written.text, *parts)


def _circles(
    root: Target, next_of: Callable[[Target], Iterable[Target]], done: Container[Target]
) -> Iterator[list[Target]]:
    """Strongly connected components of what the root reaches, each after those that it refers to (Tarjan 1972)."""
    index: dict[Target, int] = {}
    low: dict[Target, int] = {}
    stack: dict[Target, None] = {}
    path: list[tuple[Target, Iterator[Target]]] = []

    def enter(node: Target) -> None:
        index[node] = low[node] = len(index)
        stack[node] = None
        path.append((node, iter(next_of(node))))

    enter(root)
    while path:
        node, waiting = path[-1]
        for each in waiting:
            if each in done:
                continue
            if each not in index:
                enter(each)
                break
            if each in stack:
                low[node] = min(low[node], index[each])
        else:
            path.pop()
            if path:
                low[path[-1][0]] = min(low[path[-1][0]], low[node])
            if low[node] == index[node]:
                circle: list[Target] = []
                while node not in circle:
                    circle.append(stack.popitem()[0])
                yield circle


def _sha256(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
