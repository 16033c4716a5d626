"""From the prepared folder to a tensor, through the cache."""

import json
from pathlib import Path

import pytest
import torch

from metamemory.data import load, store
from metamemory.data.images import area_average
from metamemory.data.preparation import prepare
from metamemory.errors import UserError


@pytest.fixture
def prepared(few_glyphs, root) -> Path:
    prepare(["glyphs"], root)
    return root


def cached(root: Path) -> Path:
    [path] = (root.parent / ".cache").glob("glyphs-*-14.npy")
    return path


def test_shapes_types_and_ink(prepared):
    images = load("glyphs", 14, prepared)
    assert images.images.shape == (3, 20, 1, 14, 14)
    assert images.images.dtype == torch.uint8
    assert len(images.classes) == 3
    assert images.images.float().mean() < 64  # most of it is paper, 0
    assert images.splits["vinyals"]["train"].dtype == torch.int64
    assert images.title == "glyphs"


def test_reduces_the_full_resolution(prepared):
    full, small = load("glyphs", 105, prepared), load("glyphs", 14, prepared)
    assert full.images.unique().tolist() == [0, 255]
    assert area_average(full.images, 14).equal(small.images)
    assert full.digest == small.digest


def test_second_load_reads_the_cache_and_may_be_written_to(prepared, monkeypatch):
    first = load("glyphs", 14, prepared).images.clone()
    monkeypatch.setattr(store, "read_classes", None)
    second = load("glyphs", 14, prepared).images
    assert second.equal(first)
    second.zero_()
    assert load("glyphs", 14, prepared).images.equal(first)


@pytest.mark.parametrize("damage", [lambda data: data[:-10], lambda data: data[:-1] + b"\7", lambda data: b""])
def test_rebuilds_a_damaged_cache(prepared, damage):
    first = load("glyphs", 14, prepared).images.clone()
    whole = cached(prepared).read_bytes()
    cached(prepared).write_bytes(damage(whole))
    assert load("glyphs", 14, prepared).images.equal(first)
    assert cached(prepared).read_bytes() == whole


def test_works_where_the_cache_cannot_be_written(prepared):
    cache = prepared.parent / ".cache"
    cache.rmdir()
    cache.write_text("a file where the folder should be", encoding="utf-8")
    assert load("glyphs", 14, prepared).images.shape == (3, 20, 1, 14, 14)


def test_says_what_to_do_where_nothing_is_prepared(root):
    with pytest.raises(UserError, match="omniglot is not in .*make data"):
        load("omniglot", 28, root)


def test_refuses_a_size_whose_images_fill_the_memory(prepared):
    with pytest.raises(UserError, match=r"its 60 images take 56 GiB at size 31623, and may take 16: choose a smaller"):
        load("glyphs", 31_623, prepared)


def test_refuses_an_unknown_name(root):
    with pytest.raises(UserError, match="'mnits'"):
        load("mnits", 28, root)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def alter_images(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def alter_splits(path: Path) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    record["splits"]["vinyals"]["train"].reverse()
    path.write_text(json.dumps(record), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("images.npy", truncate),
        ("images.npy", alter_images),
        ("images.npy", Path.unlink),
        ("classes.json", truncate),
        ("classes.json", alter_splits),
        ("classes.json", Path.unlink),
    ],
)
def test_refuses_damaged_data(prepared, file, damage):
    damage(prepared / "glyphs" / file)
    with pytest.raises(UserError, match=f"{file} is missing, .* altered: delete .*make data") as error:
        load("glyphs", 14, prepared)
    assert "\n" not in str(error.value)
