"""A project with one small experiment, whose runs take a second."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from metamemory.__main__ import main

FRONT = """
scale: smoke
seeds: [0]
headline: {few_shot: {methods: [lstm], settings: [one]}}
papers: [little]
priority:
  - {why: a claim, runs: [few_shot/lstm/two]}
  - {why: more seeds, runs: [few_shot/lstm], seeds: [1], scales: [smoke]}
"""

PAPER = """
methods:
  lstm_large: {learner: lstm, title: Large, model: {hidden: 8}}
experiments:
  few_shot:
    protocol: online_few_shot
    methods:
      counting: {}
      lstm: {model: {hidden: 4}}
      lstm_large: {}
    settings:
      one: {}
      two: {task: {n_way: 3}}
    scales:
      smoke:
        data: {name: omniglot, split: vinyals, size: 8}
        task: {n_way: 2, samples_per_class: 3, delay: 1, rotations: false}
        training: {episodes: 64, batch_size: 8, validations: 2, validation_episodes: 8}
        evaluation: {episodes: 20, batch_size: 20}
      laptop: {extends: smoke}
      paper: {extends: smoke}
  looking:
    protocol: inspection
    methods: {lstm: {model: {hidden: 4}}}
    settings: {one: {}}
    scales:
      smoke:
        data: {name: omniglot, split: vinyals, size: 8}
        task: {n_way: 2, samples_per_class: 3, delay: 1, rotations: false}
        evaluation: {episodes: 20, batch_size: 5}
        trained: "runs/smoke/few_shot/{method}/one/seed{seed}/model.safetensors"
      laptop: {extends: smoke}
      paper: {extends: smoke}
"""


class Little:
    """The project, and commands in it."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
        self.root, self.capsys, self.monkeypatch = root, capsys, monkeypatch

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text(encoding="utf-8")
        assert old in text
        (self.root / path).write_text(text.replace(old, new), encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        source = Path(sys.modules["metamemory"].__file__).parents[1]
        return {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}

    def start(self, *words: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "metamemory", *words],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    def run(self, *words: str, code: int = 0) -> str:
        """What a command says in this process, which has torch loaded already; its runs have processes of their own."""
        with self.monkeypatch.context() as patch:
            patch.chdir(self.root)
            patch.setenv("OMP_NUM_THREADS", "1")
            self.capsys.readouterr()
            found = main(list(words))
        said = self.capsys.readouterr()
        assert found == code, said.out + said.err
        return said.out + said.err

    def weights(self) -> dict[str, bytes]:
        """Of all finished runs, by place."""
        folder = self.root / "runs"
        return {str(path.parent.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.safetensors")}


@pytest.fixture
def make_little(tmp_path, drawings, capsys, monkeypatch):
    """Makes such a project under a name."""

    def make(name: str) -> Little:
        root = tmp_path / name
        (root / "params").mkdir(parents=True)
        (root / "params.yaml").write_text(FRONT, encoding="utf-8")
        (root / "params" / "little.yaml").write_text(PAPER, encoding="utf-8")
        drawings(root / "data" / "glyphs")
        data = "outs:\n- {md5: abc.dir, size: 1, nfiles: 2, hash: md5, path: data}\n"
        (root / "data.dvc").write_text(data, encoding="utf-8")
        for experiment in ("few_shot", "looking"):
            folder = root / "notebooks" / "little" / experiment
            folder.mkdir(parents=True)
            notebook = {"cells": [{"cell_type": "markdown", "source": ["# Few shots"]}]}
            (folder / f"{experiment}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        return Little(root, capsys, monkeypatch)

    return make


@pytest.fixture
def little(make_little):
    return make_little("little")
