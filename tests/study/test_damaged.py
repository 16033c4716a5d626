"""Whatever happens to a file that a run reads or leaves: each command goes on rightly or ends with one line."""

import contextlib
import re
import shutil

import pytest

from metamemory.__main__ import main
from metamemory.study import stored
from metamemory.study.parameters import project_root

NAMED = ["online_few_shot", "--method", "lstm", "--scale", "smoke"]
SHORT = ["training.episodes=96", "training.validations=2", "training.validation_episodes=5", "evaluation.episodes=5"]
RUN = ["run", *NAMED, *(word for each in SHORT for word in ("--set", each))]
COMMANDS = {
    "run": RUN,
    "run that goes on": [*RUN, "--seed", "1"],
    "list": ["list", "--scale", "smoke"],
    "stages": ["list", "--scale", "smoke", "--stages"],
    "config": ["config", *NAMED],
    "report": ["report"],
}
READS = {
    "data/glyphs/classes.json": ("run", "run that goes on"),
    "data/glyphs/images.npy": ("run", "run that goes on"),
    ".cache/*.npy": ("run", "run that goes on"),
    ".resume/*.pt": ("run that goes on", "list"),
    ".resume/*.json": ("run that goes on", "list"),
    "results/stale.json": ("report", "list"),
    "notebooks/babu2021/online_few_shot/online_few_shot.ipynb": ("stages", "run"),
    **{f"results/smoke/online_few_shot/lstm/omniglot/seed0.{each}": ("report", "list") for each in stored.ENDINGS},
    **{f"results/smoke/online_few_shot/lstm/omniglot,*/seed0.{each}": ("run", "list") for each in stored.ENDINGS},
    "runs/smoke/online_few_shot/lstm/omniglot,*/seed0/model.safetensors": ("run", "list"),
}
CHANGED = ("data", ".cache", ".resume", "results", "runs", "notebooks")
DAMAGES = {
    "emptied": lambda content: b"",
    "cut short": lambda content: content[: len(content) // 2],
    "a bit flipped at its beginning": lambda content: content[:3] + bytes([content[3] ^ 8]) + content[4:],
    "a bit flipped in it": lambda content: (
        content[: len(content) // 3] + bytes([content[len(content) // 3] ^ 4]) + content[len(content) // 3 + 1 :]
    ),
    "a list": lambda content: b"[1, 2]\n",
    "a number": lambda content: b"3\n",
    "null": lambda content: b"null\n",
    "a mapping": lambda content: b'{"run": 3, "again": [], "x": {"y": null}}\n',
    "not UTF-8": lambda content: b"\xff\xfe" + content,
    "deep": lambda content: b"[" * 100_000,
}


@pytest.fixture(scope="module")
def top(tmp_path_factory, drawings):
    """A project with a finished run, one that has begun, and one plain result."""
    root = tmp_path_factory.mktemp("damaged") / "project"
    root.mkdir()
    shutil.copy(project_root() / "params.yaml", root)
    for part in ("params", "notebooks"):
        shutil.copytree(project_root() / part, root / part)
    drawings(root / "data" / "glyphs")
    with contextlib.chdir(root):
        assert main(RUN) == 0
        assert main([*RUN, "--seed", "1", "--minutes", "0"]) == 0
        assert main([*RUN, "--seed", "1", "--minutes", "0"]) == 0
        assert main(["run", *NAMED]) == 0
        (root / "results" / "stale.json").write_text('{"smoke/a/b/c/seed0": "why"}\n', encoding="utf-8")
    shutil.copytree(root, root.parent / "whole", symlinks=True)
    return root


@pytest.fixture
def project(top, monkeypatch):
    """As it was, at its own place: parameters are found valid only once."""
    for part in CHANGED:
        shutil.rmtree(top / part)
        shutil.copytree(top.parent / "whole" / part, top / part, symlinks=True)
    monkeypatch.chdir(top)
    monkeypatch.setattr("metamemory.papers.babu2021.cost.counted_table", lambda: "")  # which reads no result
    return top


def cases():
    for place, commands in READS.items():
        for damage in (*DAMAGES, "a folder", "gone"):
            for command in commands:
                fast = ("emptied", "a bit flipped in it", "a folder", "null")
                slow = () if damage in fast and command not in ("report", "list") else (pytest.mark.slow,)
                yield pytest.param(place, damage, command, marks=slow, id=f"{place}-{damage}-{command}")


@pytest.mark.parametrize(("place", "damage", "command"), list(cases()))
def test_a_damaged_file_is_no_traceback(project, capfd, place, damage, command):
    (path,) = project.glob(place)
    content = path.read_bytes()
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage in DAMAGES:
        path.write_bytes(DAMAGES[damage](content))
    code = main(COMMANDS[command])
    said = capfd.readouterr()
    lines = [line for line in said.err.splitlines() if line]
    if code == 1:
        assert len(lines) == 1 and re.match(r"error: \S", lines[0]), said.err
        assert path.name in lines[0] or path.parent.name in lines[0], said.err
    else:
        assert code == 0 and len(lines) <= 1, said.err
