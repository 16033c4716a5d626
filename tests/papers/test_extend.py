"""What the page on extending the study shows works: a learner, a variant and a paper, added to a copy."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from metamemory.study.parameters import project_root

ROOT = project_root()
BLOCKS = re.findall(r"```(python|yaml)\n# (\S+)\n(.*?)```", (ROOT / "book/extend.md").read_text(encoding="utf-8"), re.S)
FILES = {path: text for language, path, text in BLOCKS if language == "python"}
PAPER = "src/metamemory/papers/doe2027"


@pytest.fixture
def copy(tmp_path):
    """The package, the parameters and some results; what a command in it prints."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "params", tmp_path / "params")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "results").symlink_to(ROOT / "results")

    def run(*words):
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env=environment,
            text=True,
            capture_output=True,
            check=False,
            encoding="utf-8",
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.root = tmp_path
    return run


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path.name} has {old!r} {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")


SECTIONS = """
from pathlib import Path
from metamemory import papers
print(papers.available())
for title, table in papers.sections("doe2027"):
    print(title, table(Path(".")))
"""


def test_a_paper_is_one_folder(copy):
    written = [path for path in FILES if path.startswith(PAPER)]
    assert {path.rpartition("/")[2] for path in written} == {"__init__.py", "reported.py", "tables.py", "report.py"}
    (copy.root / PAPER).mkdir()
    for path in written:
        (copy.root / path).write_text(FILES[path], encoding="utf-8")
    made = copy("-c", SECTIONS)  # what `report` prints
    assert "'doe2027'" in made and "Doe 2027, Table 1 | method" in made
    (ours,) = [line for line in made.splitlines() if "CL+LSTM" in line and "paper scale" in line]
    assert "92.3" in ours and "**93.0**\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}1.0" in made
    (claim,) = [line for line in made.splitlines() if "memory in every layer" in line]
    assert "+12.0, +7.0" in claim and claim.rstrip(" |").endswith("reproduced")


LAST_LABEL = """
import torch
from metamemory.models import LastLabel
from metamemory.study.methods import title
print(title("last_label"))
learner = LastLabel((1, 2, 2), 3)
print(learner(torch.zeros(2, 1, 1, 2, 2), torch.tensor([[-1], [2]])).argmax(-1).tolist())
"""


def test_a_learner_is_one_file_and_one_line(copy):
    """That `dvc repro` then does its run, and the report shows it, is in tests/study/test_pipeline.py."""
    path = "src/metamemory/models/reference/last_label.py"
    (copy.root / path).write_text(FILES[path], encoding="utf-8")
    before = "      nearest_neighbour: {}\n"
    edit(copy.root / "params/babu2021.yaml", before, f"{before}      last_label: {{}}\n")
    runs = copy("-m", "metamemory", "list", "--scale", "smoke")
    assert "smoke/online_few_shot/last_label/omniglot/seed0" in runs
    assert copy("-c", LAST_LABEL).splitlines() == ["The last label", "[[0], [2]]"]


COSINE = """
import torch
from metamemory.models import CosineMeans
from metamemory.papers.survey import families
print("cosine_means" in families.members(families.METRIC))
torch.manual_seed(0)
learner = CosineMeans((1, 8, 8), 3, filters=4)
x = torch.rand(3, 2, 1, 8, 8)
logits = learner.answer_queries(x, torch.arange(3)[:, None].expand(3, 2), x)
print(logits.argmax(-1).T.tolist(), round(logits.max().item(), 3))
"""


def appended(path, section):
    """Below what a file of parameters has."""
    path.write_text(f"{path.read_text(encoding='utf-8').rstrip()}\n\n{section}", encoding="utf-8")


def shown(name):
    (text,) = [text for language, _, text in BLOCKS if language == "yaml" and name in text]
    return text


def test_a_metric_learner_is_one_file_and_one_line(copy):
    path = "src/metamemory/models/metric/cosine_means.py"
    (copy.root / path).write_text(FILES[path], encoding="utf-8")
    *_, line = shown("cosine_means").splitlines()
    before = "      matching_euclidean: {extends: protonet}\n"
    edit(copy.root / "params/survey.yaml", before, f"{before}{line}\n")
    runs = copy("-m", "metamemory", "list", "--scale", "smoke")
    assert "smoke/support_query/cosine_means/omniglot_5_way_1_shot/seed0" in runs
    assert copy("-c", COSINE).splitlines() == ["True", "[[0, 1, 2], [0, 1, 2]] 10.0"]


def test_an_experiment_is_a_section_and_a_notebook(copy):
    appended(copy.root / "params/survey.yaml", shown("many_ways").removeprefix("experiments:\n"))
    runs = copy("-m", "metamemory", "list", "--scale", "smoke")
    assert "smoke/many_ways/ridge/fifty_way/seed0" in runs
    told = copy("-m", "metamemory", "config", "many_ways", "--method", "ridge", "--setting", "ten_way")
    assert "n_way: 10" in told and "experiments.many_ways.settings.ten_way" in told


VARIANT = """
from metamemory.study.methods import title
from metamemory.study.parameters import Parameters
print(title("lstm_wide"))
print(Parameters().configuration("laptop", "online_few_shot", "lstm_wide", "omniglot", {})["model"])
"""


def test_a_variant_is_a_line(copy):
    (shown,) = [text for language, path, text in BLOCKS if language == "yaml" and "lstm_wide" in text]
    declared, run = (line for line in shown.splitlines() if "lstm_wide" in line)
    parameters = copy.root / "params/babu2021.yaml"
    before = "  vgg11: {learner: vgg, title: VGG-11}\n"
    edit(parameters, before, f"{before}{declared}\n")
    before = "      nearest_neighbour: {}\n"
    edit(parameters, before, f"{before}{run}\n")
    assert "smoke/online_few_shot/lstm_wide/omniglot/seed0" in copy("-m", "metamemory", "list", "--scale", "smoke")
    assert copy("-c", VARIANT).splitlines() == ["LSTM, 400 units", "{'hidden': 400}"]
