"""What depends on what, what knows the name of what, how long a function may be, and words that are not used."""

import ast
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from metamemory import protocols
from metamemory.models import available, learner_class
from metamemory.study.parameters import Parameters

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "metamemory"
MODULES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}

# What a part of the package may import, beside itself: DESIGN.md, Layout. Of `tasks`, training and analysis know what
# an episode and a task are (`tasks.episode`), and no task. The study sets up a run's memory (`kernels.memory`).
BASE = {"errors", "locking", "refusals", "shapes", "settings", "yaml_files"}
BELOW = {
    "errors": set(),
    "locking": set(),
    "shapes": set(),
    "settings": {"errors"},
    "refusals": {"errors", "settings"},
    "yaml_files": {"errors"},
    "data": BASE,
    "kernels": BASE,
    "nn": BASE | {"kernels"},
    "models": BASE | {"nn", "kernels"},
    "tasks": BASE | {"data"},
    "training": BASE | {"models", "nn", "kernels", "tasks.episode"},
    "analysis": BASE | {"training", "models", "nn", "tasks.episode"},
    "protocols": BASE | {"analysis", "training", "tasks", "models", "nn", "data"},
    "study": BASE | {"protocols", "training", "tasks", "models", "nn", "data", "kernels.memory"},
    "papers": BASE | {"study", "protocols", "analysis", "training", "tasks", "models", "nn", "data"},
}
NAMELESS = ("study", "training", "protocols")  # they know no method and no paper by name
LONGEST_FUNCTION, LONGEST_MODULE_OF_STUDY = 60, 300  # lines
# STYLE.md, Words: names that code has no more, and phrases that prose has no more.
NAMES = {
    "drawings", "presentations", "merit", "as_seen", "as_kept", "placed", "_lot", "graded", "spelt", "apart", "Nothing",
    "waiting.py", "unseen.py", "timeless.py",
}  # fmt: skip
PHRASES = ("the way back", "by lot", "dealt anew", "drawn by chance", "0 comes in")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> set[str]:
    """Modules of the package that a file imports, without its name: "tasks.episode", "errors"."""
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return {name.removeprefix("metamemory.") for name in found if name.startswith("metamemory.")}


def part(name: str) -> str:
    return name.partition("/")[0].removesuffix(".py")


@pytest.mark.parametrize("name", [name for name in MODULES if part(name) in BELOW])
def test_dependencies_point_one_way(name):
    allowed = BELOW[part(name)] | {part(name)}
    for imported in imports(MODULES[name]):
        assert any(f"{imported}.".startswith(f"{each}.") for each in allowed), f"{name} imports {imported}"


def test_every_part_of_the_package_has_its_place():
    assert {part(name) for name in MODULES} - {"__init__", "__main__"} <= set(BELOW)
    assert {"tasks.episode.Task", "models.learner.Learner"} <= imports(MODULES["training/loop.py"])  # they are seen


def words_of(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of each identifier and of each string that is no docstring."""
    module = tree(path)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(module)
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value
        for name in ("id", "attr", "arg", "name", "asname", "module"):
            text = getattr(node, name, None)
            if isinstance(text, str):
                yield getattr(node, "lineno", 0), text


def names_of_methods_and_papers() -> set[str]:
    """Learners, their classes, methods, papers and their first authors."""
    parameters = Parameters(ROOT)
    methods = chain.from_iterable(parameters.methods(each) for each in parameters.experiments)
    classes = {learner_class(name).__name__ for name in available()}
    papers = {each.name for each in (PACKAGE / "papers").iterdir() if (each / "__init__.py").exists()}
    papers -= set(protocols.available())  # learned_rules is the name of a protocol as well
    authors = {re.sub(r"\d+$", "", each) for each in papers if re.search(r"\d$", each)}
    return {each.lower() for each in {*available(), *methods, *classes, *papers, *authors}}


@pytest.mark.parametrize("name", [name for name in MODULES if part(name) in NAMELESS])
def test_no_method_and_no_paper_is_known_by_name(name):
    forbidden = names_of_methods_and_papers()
    found = [
        f"{name}:{line}: {word}"
        for line, text in words_of(MODULES[name])
        for word in re.findall(r"\w+", text)
        if word.lower() in forbidden
    ]
    assert not found


def test_names_are_found_where_they_are():
    assert {"cl_lstm", "babu2021", "babu", "mann_strength", "cllstm"} <= names_of_methods_and_papers()
    texts = {text for _, text in words_of(MODULES["models/recurrent/cl_lstm.py"])}
    assert "CLLSTM" in texts and not any("Babu et al. 2021" in text for text in texts)


@pytest.mark.parametrize("name", MODULES)
def test_a_function_fits_a_screen(name):
    functions = [node for node in ast.walk(tree(MODULES[name])) if isinstance(node, ast.FunctionDef)]
    lengths = {node.name: node.end_lineno - node.lineno + 1 for node in functions}
    assert not {each: length for each, length in lengths.items() if length > LONGEST_FUNCTION}


@pytest.mark.parametrize("name", [name for name in MODULES if part(name) == "study"])
def test_a_module_of_the_engine_can_be_read_in_one_sitting(name):
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE_OF_STUDY


@pytest.mark.parametrize("name", MODULES)
def test_former_names_are_gone(name):
    identifiers = {text for _, text in words_of(MODULES[name]) if re.fullmatch(r"\w+", text)}
    assert not NAMES & {*identifiers, MODULES[name].name}


def prose() -> list[Path]:
    """Everything that a person reads: the package, its tests, notebooks, pages."""
    folders = ("src", "tests", "book", "notebooks", "benchmarks", "params")
    kinds = {".py", ".md", ".ipynb", ".c", ".h", ".yaml"}
    found = chain.from_iterable((ROOT / folder).rglob("*") for folder in folders)
    files = [path for path in found if path.suffix in kinds and not {"_build", "__pycache__"} & set(path.parts)]
    return [ROOT / "README.md", *(path for path in files if path != Path(__file__).resolve())]


@pytest.mark.parametrize("phrase", PHRASES)
def test_stilted_phrases_are_gone(phrase):
    pattern = re.compile(r"\b" + r"\s+".join(map(re.escape, phrase.split())) + r"\b")
    found = [path.relative_to(ROOT).as_posix() for path in prose() if pattern.search(path.read_text(encoding="utf-8"))]
    assert not found
