"""The examples of README.md, and of the page on the library, do what they say."""

import re
import warnings

import numpy as np
import pytest
import torch

from metamemory.data import store
from metamemory.study.parameters import project_root

ROOT = project_root()
EXAMPLES, LIBRARY = (
    re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    for page in ("README.md", "book/library.md")
)


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
        pixels = np.random.default_rng(0).integers(0, 2, (310, 9, 28, 28)).astype(np.uint8) * 255
        classes = ((f"letters/{number}", images) for number, images in enumerate(pixels))
        parts = {"train": list(range(8)), "validation": [8], "test": list(range(9, 310))}
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


def test_the_page_on_the_library_runs_from_its_first_line_to_its_last(at_the_top, capsys):
    exec(compile("".join(LIBRARY), "library.md", "exec"), names := {})  # noqa: S102
    named, shapes, one_shot = capsys.readouterr().out.strip().splitlines()
    assert named == "[0, 1, 2, 3, 4]" or not at_the_top
    assert shapes.startswith("torch.Size([45, 16, 1, 28, 28]) tensor([-1")
    assert re.fullmatch(r"1-shot: [\d.]+% \([\d.]+% to [\d.]+%\)", one_shot)
    assert names["logits"].shape == (5, 1, 60)


def test_the_page_on_the_library_names_all_pretrained_weights():
    page = (ROOT / "book/library.md").read_text(encoding="utf-8")
    named = re.findall(r"^\|.*$", page, re.MULTILINE)
    named = {tuple(each) for line in named for each in re.findall(r'pretrained\("(\w+)", "(\w+)"\)', line)}
    kept = {path.parts[-2:] for path in (ROOT / "pretrained").rglob("*.safetensors")}
    assert named == {(method, name.removesuffix(".safetensors")) for method, name in kept}
