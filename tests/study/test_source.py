"""The digest of a run is that of the definitions it executes: wherever they stand, and nothing else."""

import ast
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from metamemory.errors import UserError
from metamemory.study import runs
from metamemory.study.parameters import Parameters, project_root
from metamemory.study.runs import Run, roots
from metamemory.study.source import PACKAGE, digest, reached

EDITS = 60  # of numbers in a run's code
ROOTS = [("pkg.run", "conduct")]
# A run of a small package, with one of everything that can refer to something.
FILES = {
    "__init__.py": '"""Small."""\n',
    "run.py": (
        '"""The run."""\n\nimport math\nfrom importlib import import_module\n\n'
        "from pkg import shapes\nfrom pkg.nn import layer as built, told\nfrom pkg.nn.aux import *\n"
        "from .nn.aux import SCALE\n\nUNUSED = 1\nFIRST, SECOND = 2, 3\nGROWN = [4]\nGROWN += [5]\n"
        "try:\n    import nothing\nexcept ImportError:\n    nothing = 6\n"
        "if math.pi > 3:\n    from pkg.late import chosen\nelse:\n    chosen = None\n\n\n"
        "def unused():\n    return 7\n\n\n"
        "def marked(function):\n    return function, 8\n\n\n"
        "class Base:\n    size = 9\n\n    def grow(self):\n        return 10\n\n\n"
        "class Run(Base, metaclass=shapes.Meta):\n    kept = SECOND\n\n    def go(self, times=FIRST):\n"
        '        """Go."""\n        return super().grow() * times\n\n\n'
        "@marked\ndef conduct(x, unused_too=1):\n"
        '    """Conduct."""\n'
        "    from pkg.inner import deep\n\n"
        "    UNUSED = SCALE * x\n"
        "    sizes = [shapes.AREA for shapes_of in range(3)]\n"
        "    wide = lambda width=shapes.area(2): width + STARRED  # noqa: E731\n"
        '    gpu = import_module("pkg.gpu").kernel\n    other = import_module(f"{__name__}_other")\n'
        '    native = "fast"\n'
        "    made = Run().go(), built(UNUSED), told.LEVEL, deep()\n"
        "    return made, chosen, nothing, GROWN, gpu, sizes, wide, other, native\n"
    ),
    "run_other.py": "OTHER = 1\n",
    "shapes.py": "AREA = 3\nDEPTH = 4\n\n\nclass Meta(type):\n    level = 1\n\n\ndef area(x):\n    return x * AREA\n",
    "late.py": "def chosen():\n    return late_of(1)\n\n\ndef late_of(n):\n    return chosen if n else 2\n",
    "inner.py": (
        "from pkg import effects\n\nCOUNT = 0\n\n\n"
        "def deep(n=0):\n    global COUNT\n    COUNT = n\n    return COUNT + 11\n"
    ),
    "effects.py": "import math\n\nSETTINGS = {}\nSETTINGS['rate'] = 12\nREADY = 1\nmath.sqrt(13)\n",
    "gpu.py": "BLOCK = 64\n\n\ndef kernel():\n    return BLOCK\n",
    "nn/__init__.py": "from pkg.nn.layers import Layer as layer\n\n__all__ = ['layer']\n",
    "nn/layers.py": (
        "from pkg.nn.aux import depth\n\n\nclass Layer:\n    def __init__(self, n):\n        self.n = depth(n) + 14\n"
    ),
    "nn/aux.py": "SCALE = 1\nSTARRED = 2\n\n\ndef depth(n):\n    return n and depth(n - 15)\n",
    "nn/told.py": "def __getattr__(name):\n    return 16\n",
    "fast.c": '#include "fast.h"\n/* why */\nint fast(void) { return 17; } // how\n',
    "fast.h": "#define WIDTH 18\n",
    "idle.h": "#define WIDTH 19\n",
    "idle.py": "IDLE = 20\n",
}


@pytest.fixture
def package(tmp_path):
    """The small package, written out."""
    return write(tmp_path / "pkg", FILES)


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def edit(package, name, old, new):
    text = (package / name).read_text(encoding="utf-8")
    assert old in text, f"{old!r} is not in {name}"
    (package / name).write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("run.py", "UNUSED = 1", "UNUSED = 2"),  # a local name hides it
        ("run.py", "return 7", "return 8"),
        ("run.py", '"""The run."""', '"""A run, said otherwise; π."""'),
        ("run.py", '        """Go."""\n', ""),
        ("run.py", "# noqa: E731", "# why"),
        ("run.py", "def go(self, times=FIRST):", "def go(self: 'Run', times: int = FIRST) -> int:"),
        ("run.py", "    UNUSED = SCALE * x\n", "    UNUSED: int = SCALE * x\n"),
        ("run.py", "def unused():", "def fresh():\n    return 1\n\n\ndef unused():"),
        ("run.py", "def marked(", "def renamed("),
        ("run.py", "import math\n", "import json\nimport math as mathematics\n"),
        ("run.py", "pkg.nn import layer as built", "pkg.nn.layers import Layer as built\nfrom pkg.nn import layer"),
        ("run.py", "from pkg import shapes\n", "import pkg.shapes as shapes\n"),
        ("shapes.py", "DEPTH = 4", "DEPTH = 5"),
        ("shapes.py", "AREA = 3\nDEPTH = 4\n", "DEPTH = 4\nAREA = 3\n"),
        ("effects.py", "READY = 1", "READY = 2"),
        ("fast.c", "/* why */", "/* why\n not */"),
        ("fast.c", "// how", ""),
        ("idle.h", "19", "20"),
        ("idle.py", "20", "21"),
    ],
)  # fmt: skip
def test_what_is_not_executed_changes_nothing(package, name, old, new):
    before = digest(ROOTS, package)
    edit(package, name, old, new)
    if "renamed" in new:
        edit(package, name, "@marked", "@renamed")
    if "mathematics" in new:
        edit(package, name, "math.pi", "mathematics.pi")
    assert digest(ROOTS, package) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("nn/aux.py", "SCALE = 1", "SCALE = -1"),  # imported relatively
        ("nn/aux.py", "STARRED = 2", "STARRED = 3"),  # imported by a star
        ("nn/aux.py", "n - 15", "n - 16"),  # in a function that calls itself
        ("nn/layers.py", "14", "15"),  # imported by way of another module, under another name
        ("nn/told.py", "16", "17"),  # made by __getattr__
        ("run.py", "told.LEVEL", "told.OTHER"),
        ("run.py", "FIRST, SECOND = 2, 3", "FIRST, SECOND = 9, 3"),
        ("run.py", "FIRST, SECOND = 2, 3", "SECOND, FIRST = 2, 3"),
        ("run.py", "GROWN += [5]", "GROWN += [6]"),
        ("run.py", "nothing = 6", "nothing = 7"),
        ("run.py", "math.pi > 3", "math.pi > 4"),
        ("run.py", "return function, 8", "return function, 9"),  # a decorator
        ("run.py", "size = 9", "size = 10"),  # of a base class
        ("run.py", "return 10", "return 11"),
        ("run.py", "kept = SECOND", "kept = FIRST"),
        ("run.py", "times=FIRST", "times=SECOND"),
        ("run.py", "range(3)", "range(4)"),
        ("run.py", "shapes.area(2)", "shapes.area(3)"),  # a default of a lambda
        ("shapes.py", "AREA = 3", "AREA = 4"),
        ("shapes.py", "level = 1", "level = 2"),  # of a metaclass
        ("late.py", "else 2", "else 3"),  # two that call each other
        ("late.py", "late_of(1)", "late_of(0)"),
        ("inner.py", "11", "12"),  # imported inside a function
        ("inner.py", "COUNT = 0", "COUNT = 1"),
        ("inner.py", "from pkg import effects\n", ""),
        ("effects.py", "= 12", "= 13"),  # done when it is imported
        ("effects.py", "sqrt(13)", "sqrt(14)"),
        ("gpu.py", "BLOCK = 64", "BLOCK = 128"),  # imported by name
        ("run_other.py", "OTHER = 1", "OTHER = 2"),
        ("fast.c", "17", "18"),  # named by a string
        ("fast.h", "18", "19"),
    ],
)
def test_whatever_is_executed_changes_the_digest(package, name, old, new):
    before = digest(ROOTS, package)
    text = (package / name).read_text(encoding="utf-8")
    edit(package, name, old, new)
    assert digest(ROOTS, package) != before
    (package / name).write_text(text, encoding="utf-8")
    assert digest(ROOTS, package) == before


def test_a_module_may_move(package):
    before = digest(ROOTS, package)
    (package / "deep").mkdir()
    (package / "deep/__init__.py").write_text("", encoding="utf-8")
    (package / "nn/aux.py").rename(package / "deep/extra.py")
    (package / "shapes.py").rename(package / "deep/forms.py")
    (package / "gpu.py").rename(package / "deep/device.py")
    edit(package, "run.py", "pkg.nn.aux", "pkg.deep.extra")
    edit(package, "run.py", ".nn.aux", ".deep.extra")
    edit(package, "run.py", "from pkg import shapes", "from pkg.deep import forms as shapes")
    edit(package, "run.py", '"pkg.gpu"', '"pkg.deep.device"')
    edit(package, "nn/layers.py", "pkg.nn.aux", "pkg.deep.extra")
    assert digest(ROOTS, package) == before
    edit(package, "deep/extra.py", "SCALE = 1", "SCALE = -1")
    assert digest(ROOTS, package) != before


def test_a_definition_may_move_from_one_module_to_another(package):
    before = digest(ROOTS, package)
    edit(package, "nn/aux.py", "\n\ndef depth(n):\n    return n and depth(n - 15)\n", "")
    edit(package, "shapes.py", "DEPTH = 4\n", "DEPTH = 4\n\n\ndef depth(n):\n    return n and depth(n - 15)\n")
    edit(package, "nn/layers.py", "from pkg.nn.aux import depth", "from pkg.shapes import depth")
    assert digest(ROOTS, package) == before


def test_what_registers_what_it_decorates_counts(package):
    """No name refers to it, but the decorator may have put it where it is found."""
    edit(package, "effects.py", "READY = 1\n", "READY = 1\n\n\n@print\ndef told():\n    return 1\n")
    before = digest(ROOTS, package)
    edit(package, "effects.py", "return 1", "return 2")
    assert digest(ROOTS, package) == before  # `print` is built in, like property
    edit(package, "effects.py", "@print", "@math.register")
    before = digest(ROOTS, package)
    edit(package, "effects.py", "return 2", "return 1")
    assert digest(ROOTS, package) != before


def test_the_order_of_roots_does_not_matter(package):
    roots = [*ROOTS, ("pkg.gpu", "kernel"), ("pkg.shapes", "area")]
    assert digest(roots, package) == digest(reversed(roots), package) != digest(ROOTS, package)


def test_definitions_in_a_circle_are_told_apart(tmp_path):
    """Two circles of the same definitions, joined up in another order."""
    text = "def a():\n    return {0}, 1\n\n\ndef b():\n    return {1}, 1\n\n\ndef c():\n    return {2}, 2\n"
    one = write(tmp_path / "one/pkg", {"__init__.py": "", "m.py": text.format("b", "c", "a")})
    other = write(tmp_path / "other/pkg", {"__init__.py": "", "m.py": text.format("c", "a", "b")})
    roots = [[("pkg.m", name)] for name in "abc"]
    digests = {digest(root, one) for root in roots}
    assert len(digests) == 3
    assert digest(roots[0], one) == digest(roots[1], other) and digest(roots[2], one) == digest(roots[2], other)
    assert digest(roots[0], one) != digest(roots[0], other)


def test_a_root_that_is_not_there_is_named(package):
    with pytest.raises(UserError, match="pkg.run has no nothing_of_it, of which a digest is asked"):
        digest([("pkg.run", "nothing_of_it")], package)
    with pytest.raises(UserError, match="pkg.gone has no conduct"):
        digest([("pkg.gone", "conduct")], package)
    (package / "shapes.py").write_text("AREA = = 3\n", encoding="utf-8")
    with pytest.raises(UserError, match="shapes.py is not Python"):
        digest(ROOTS, package)


@pytest.mark.parametrize("python", ["python3.11", "python3.12", "python3.13"])
def test_every_python_and_locale_gives_the_same_digest(package, python):
    """The parser of each writes some trees in its own way; what a file says must not depend on the locale."""
    edit(package, "run.py", "UNUSED = SCALE * x", "UNUSED = f'{SCALE * x!r:>{x}} … π {x=}' f'{x:}'")
    code = f"from metamemory.study.source import *; print(digest({ROOTS}, Path({str(package)!r})))"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", ""),
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONPATH": str(PACKAGE.parent),
        "PYTHONHASHSEED": "1",
        "PYENV_VERSION": python.removeprefix("python"),
    }
    here = python == f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = subprocess.run(
        [sys.executable if here else python, "-c", code], env=environment, capture_output=True, text=True,
        encoding="utf-8",
    ) if here or shutil.which(python) else None  # fmt: skip
    if found is None or (not here and found.returncode == 127):
        pytest.skip(f"no {python} on this machine")
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == digest(ROOTS, package)


# the package itself


def roots_of(experiment, method):
    parameters = Parameters(project_root())
    return roots(parameters.configuration("smoke", experiment, method, parameters.settings(experiment)[0], {}))


def test_a_run_reaches_its_own_learner_only_and_what_is_imported_by_name():
    found = reached(roots_of("online_few_shot", "cl_lstm"))
    definitions = {each.removeprefix("metamemory.") for each in found.definitions}
    assert {
        "models.recurrent.cl_lstm:CLLSTM",
        "nn.conv_lstm:ConvLSTM",
        "kernels.conv_lstm:_run",  # by way of operators, which are found by name
        "kernels.conv_lstm:_run_back",
        "kernels.batch_norm:_run_back",
        "kernels.operators:define",
        "kernels.native:call",
        "kernels.gates:forward",
        "data.images:load",
        "training.graph:CapturedUpdate",  # on a GPU only
        "kernels.gates_triton:forward",
    } <= definitions
    files = {str(path.relative_to(PACKAGE)) for path in found.files}
    assert {
        "kernels/gates.c",
        "kernels/batch_norm.c",
        "kernels/product.h",
        "training/loop.py",
        "data/store.py",
    } <= files
    assert not {"models/recurrent/lstm.py", "models/metric/nearest_neighbour.py", "study/runs.py"} & files
    other = reached(roots_of("online_few_shot", "lstm"))
    assert "metamemory.models.recurrent.lstm:LSTM" in other.definitions
    assert not any("conv_lstm" in str(path) for path in other.files)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The package in another place, to be broken."""
    folder = tmp_path_factory.mktemp("source") / "metamemory"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_a_copy_has_the_same_digests(copy):
    for method in ("cl_lstm", "snail"):
        roots = roots_of("online_few_shot", method)
        assert digest(roots) == digest(roots, copy)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("kernels/gates.c", "tanh", "sinh"),
        ("kernels/batch_norm.c", "partial[thread", "partial[0 * thread"),
        ("kernels/conv_lstm.py", ".flip(-2, -1)", ".flip(-2)"),
        ("kernels/gates_triton.py", "tl.exp", "tl.log"),
        ("training/graph.py", "EAGER = 3", "EAGER = 4"),
    ],
)
def test_code_that_only_some_machines_execute_counts(copy, name, old, new):
    roots = roots_of("online_few_shot", "cl_lstm")
    text = (copy / name).read_text(encoding="utf-8")
    edit(copy, name, old, new)
    assert digest(roots, copy) != digest(roots)
    (copy / name).write_text(text, encoding="utf-8")
    assert digest(roots, copy) == digest(roots)


def test_a_module_of_the_package_may_be_renamed(copy):
    roots = roots_of("online_few_shot", "cl_lstm")
    (copy / "nn/precision.py").rename(copy / "nn/number_type.py")
    for path in copy.rglob("*.py"):
        path.write_text(path.read_text(encoding="utf-8").replace("nn.precision", "nn.number_type"), encoding="utf-8")
    assert digest(roots, copy) == digest(roots)
    (copy / "nn/number_type.py").rename(copy / "nn/precision.py")
    for path in copy.rglob("*.py"):
        path.write_text(path.read_text(encoding="utf-8").replace("nn.number_type", "nn.precision"), encoding="utf-8")


@pytest.mark.parametrize(("experiment", "method"), [("online_few_shot", "cl_lstm"), ("mann_classification", "mann")])
def test_every_number_that_a_run_executes_counts(copy, tmp_path, drawings, monkeypatch, experiment, method):
    """A run is watched, and numbers in lines that it came by are changed, one at a time, at random."""
    drawings(tmp_path / "data" / "glyphs")
    for name in ("params.yaml", "params"):
        path = project_root() / name
        if path.is_dir():
            shutil.copytree(path, tmp_path / name)
        elif path.exists():
            shutil.copy(path, tmp_path / name)
    setting = "omniglot" if experiment == "online_few_shot" else "five"
    few = {"training": {"episodes": 16, "validations": 1, "validation_episodes": 4}, "evaluation": {"episodes": 4}}
    run = Run("smoke", experiment, method, setting, overrides=few, root=tmp_path)
    executed: dict[str, set[int]] = {}
    for place, name in ((runs, "conduct"), (runs.data, "load")):  # what the engine does before is no part of the run
        monkeypatch.setattr(place, name, watched(getattr(place, name), executed))
    monkeypatch.setattr(runs, "require_recordable", lambda *_: None)  # nor is what it asks for just before training
    runs.execute(run)
    numbers = [each for path, lines in sorted(executed.items()) for each in numbers_in(path, lines)]
    assert len(numbers) > EDITS
    before = digest(roots_of(experiment, method), copy)
    escaped = []
    for path, node in random.Random(0).sample(numbers, EDITS // 2):
        text = (PACKAGE / path).read_text(encoding="utf-8")
        lines = text.splitlines(keepends=True)
        row, column, end = node.lineno - 1, node.col_offset, node.end_col_offset
        line = lines[row].encode()
        lines[row] = (line[:column] + repr(node.value + 1).encode() + line[end:]).decode()
        (copy / path).write_text("".join(lines), encoding="utf-8")
        if digest(roots_of(experiment, method), copy) == before:
            escaped.append(f"{path}:{node.lineno}: {node.value}")
        (copy / path).write_text(text, encoding="utf-8")
    assert not escaped
    assert digest(roots_of(experiment, method), copy) == before


def watched(function, found):
    """The function, whose calls leave in `found` which lines of the package they execute, by file."""

    def trace(frame, event, _):
        path = Path(frame.f_code.co_filename)
        if not path.is_relative_to(PACKAGE) or path.parent.name == "study":
            return None
        if event == "line":
            found.setdefault(str(path.relative_to(PACKAGE)), set()).add(frame.f_lineno)
        return trace

    def call(*arguments, **named):
        sys.settrace(trace)
        try:
            return function(*arguments, **named)
        finally:
            sys.settrace(None)

    return call


def numbers_in(path, lines):
    tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.lineno in lines:
            yield path, node
