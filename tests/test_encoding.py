"""Files are UTF-8, and results the same, whatever the locale; what is printed fits it."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from metamemory.study.parameters import project_root

ROOT = project_root()
FOLDERS = ("src", "tests", "benchmarks", "migrations")
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))
OTHERS = ("TextIOWrapper", "FileHandler", "savetxt", "loadtxt", "genfromtxt")
PYTHON = re.compile(r"```\{?(?:python|code-cell)[^\n]*\n(.*?)```", re.DOTALL)


def cells(path):
    """The Python in a notebook."""
    code = [
        "".join(cell["source"]) for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"
    ]
    return "\n".join(line if line[:1] not in "%!" else "" for each in code for line in each.splitlines())


def of_the_locale(code):
    """Lines of calls that read or write text as the locale says."""
    for call in (each for each in ast.walk(ast.parse(code)) if isinstance(each, ast.Call)):
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        said = {each.arg: each.value for each in call.keywords}
        given = [*call.args, *(said[each] for each in ("mode",) if each in said)]
        values = [each.value for each in given if isinstance(each, ast.Constant)]
        binary = any("b" in each for each in values if isinstance(each, str))
        mode = any(re.fullmatch("[rwxa+t]+", each) for each in values if isinstance(each, str))
        if name in ("read_text", "write_text"):  # the encoding may be at its place
            text = len(call.args) <= (name == "write_text")
        elif isinstance(call.func, ast.Name) and name == "open" or name == "fdopen":
            text = not binary
        elif name == "open":  # of a path, if its argument is a mode; archives and modules are given what to open
            text = mode or not given
        elif name == "NamedTemporaryFile":
            text = mode
        else:
            told = (each for each in ("text", "universal_newlines") if each in said)
            text = name in OTHERS or any(ast.unparse(said[each]) == "True" for each in told)
        if text and "encoding" not in said:
            yield call.lineno


@pytest.mark.parametrize(
    "code",
    [
        *("path.read_text()", "path.write_text(text)", "open(path)", "open(path, 'w')", "open(path, mode='a')"),
        *("path.open()", "path.open('w')", "path.open(mode='r')", "io.TextIOWrapper(raw)", "np.savetxt(path, x)"),
        *("NamedTemporaryFile('w')", "NamedTemporaryFile(mode='w')", "run(words, text=True)"),
    ],
)  # fmt: skip
def test_what_depends_on_the_locale_is_found(code):
    assert [*of_the_locale(code)] == [1]


@pytest.mark.parametrize(
    "code",
    [
        *("path.read_text(encoding='utf-8')", "path.read_text('utf-8')", "path.write_text(text, 'utf-8')"),
        *("open(path, 'rb')", "open(path, mode='wb')", "path.open('rb')", "archive.open(name)", "Image.open(file)"),
        *("run(words, text=True, encoding='utf-8')", "run(words)", "NamedTemporaryFile()", "os.open(path, 0)"),
    ],
)  # fmt: skip
def test_what_does_not_is_left_alone(code):
    assert not [*of_the_locale(code)]


def test_every_text_is_read_and_written_as_utf_8():
    assert len(SOURCES) > 200 and len(NOTEBOOKS) > 10
    texts = {path: path.read_text(encoding="utf-8") for path in SOURCES} | {path: cells(path) for path in NOTEBOOKS}
    texts |= {
        path: re.sub("(?m)^:.*", "", "\n".join(PYTHON.findall(path.read_text(encoding="utf-8"))))
        for path in (ROOT / "book").rglob("*.md")
        if "extend" not in path.name and "_build" not in path.parts
    }
    found = [f"{path.relative_to(ROOT)}:{line}" for path, text in texts.items() for line in of_the_locale(text)]
    assert not found, 'say encoding="utf-8" in ' + ", ".join(found)


OTHER_LOCALES = [pytest.param(each, marks=pytest.mark.slow) for each in ("ja_JP.EUC-JP", "de_DE.ISO-8859-1")]


@pytest.fixture(scope="module", params=["C", "zh_CN.GBK", *OTHER_LOCALES])
def locale(request, tmp_path_factory):
    """An environment whose locale is not UTF-8."""
    name, _, charmap = request.param.partition(".")
    environment = {**os.environ, "LC_ALL": request.param, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment.pop("PYTHONIOENCODING", None)
    if charmap:
        folder = tmp_path_factory.mktemp("locales")
        if shutil.which("localedef") is None:
            pytest.skip("no localedef to make a locale with")
        made = subprocess.run(
            ["localedef", "-i", name, "-f", charmap, folder / request.param], capture_output=True, check=False
        )
        if made.returncode:
            pytest.skip(f"localedef makes no {request.param}: {made.stderr.decode(errors='replace')}")
        environment["LOCPATH"] = str(folder)
    return environment


CODE = """
import io, sys
from pathlib import Path
from metamemory.__main__ import main
from metamemory.study.parameters import Parameters
from metamemory.study.pipeline import _package_digest
from metamemory.study.runs import roots, sha256
from metamemory.study.source import digest
parameters = Parameters()
configs = [parameters.configuration(*run, {}) for name in ("inspection", "mann_memory")
           for run in [next(iter(parameters.combinations(name)))]]
found = [_package_digest(), *(digest(roots(config)) for config in configs), *map(sha256, configs)]
for words in (["list"], ["report"], ["config", "online_few_shot", "--method", "cl_lstm"],
              ["config", "supervised_learning", "--method", "cl_vgg11_050"]):
    found.append(main(words))
sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="ascii")
print("\\nfound", found)
"""


def digests_and_outputs(environment):
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "backslashreplace")
    return done.stdout.rpartition(b"found ")[2]


@pytest.fixture(scope="module")
def expected():
    return digests_and_outputs({**os.environ, "PYTHONUTF8": "1"})


def test_digests_are_the_same_and_all_is_printed(locale, expected):
    assert digests_and_outputs(locale) == expected
    assert expected.strip().endswith(b", 0, 0, 0, 0]")
