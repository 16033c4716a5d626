"""README.md's own examples do what they say."""

import re
import warnings

import numpy as np
import pytest
import torch

from metamemory.data import store
from metamemory.study.parameters import project_root

ROOT = project_root()
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def at_the_top(tmp_path, monkeypatch):
    """A folder with Omniglot, or where there is none with other drawings under the name of its stand-in."""
    monkeypatch.chdir(tmp_path)
    original = store.exists(ROOT / "data" / "omniglot")
    if original:
        (tmp_path / "data").symlink_to(ROOT / "data")
    else:
        folder = tmp_path / "data" / "glyphs"
        folder.mkdir(parents=True)
        pixels = np.random.default_rng(0).integers(0, 2, (300, 2, 28, 28)).astype(np.uint8) * 255
        classes = ((f"letters/{number}", images) for number, images in enumerate(pixels))
        parts = {"train": [0], "validation": [1], "test": list(range(2, 300))}
        store.write(folder, "glyphs", classes, lambda names: {"vinyals": parts}, packed=True)
    return original


def test_the_first_example_recognises_a_character_it_was_shown_once(at_the_top, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(EXAMPLES[0], "README.md", "exec"), names := {})  # noqa: S102
    printed = re.findall(r"\d\.\d+(?:e-\d+)?", capsys.readouterr().out)
    chances = torch.tensor([float(each) for each in printed])
    assert len(chances) == 5 and abs(chances.sum() - 1) < 1e-3
    if at_the_top:
        assert chances.argmax() == 2 and round(chances[2].item(), 2) == 0.98
    assert names["x"].shape == (6, 1, 1, 14, 14)
    assert len(EXAMPLES[0].strip().split("\n\n")[-1].splitlines()) == 5


@pytest.mark.parametrize("text", EXAMPLES[1:])
def test_every_other_example_runs(text):
    exec(compile(text, "README.md", "exec"), names := {})  # noqa: S102
    assert names["logits"].shape == (1, 5)
