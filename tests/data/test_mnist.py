"""Both sources of MNIST give the same; `digits` stands in for it."""

import os
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from metamemory.data import digits, load, mnist, store
from metamemory.data.preparation import prepare
from metamemory.errors import UserError


@pytest.fixture
def small(tmp_path, monkeypatch, pack) -> Path:
    """A small MNIST in `mirror` and in `host`, digits in no order and not equally often; 4 and 2 of each are used."""
    random = np.random.default_rng(0)
    arrays, entries = {}, []
    for part, count in (("train", 90), ("test", 60)):
        y = np.concatenate([np.repeat(np.arange(10), 4), random.integers(0, 10, count - 40)])
        y = random.permutation(y).astype(np.uint8)
        x = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays |= {f"x_{part}": x, f"y_{part}": y}
        entries += [(part, str(digit), x[y == digit]) for digit in range(10)]
    for place in ("mirror", "host"):
        (tmp_path / place).mkdir()
    pack(tmp_path / "mirror" / "mnist.zip", entries)
    np.savez_compressed(tmp_path / "host" / "mnist.npz", **arrays)
    monkeypatch.delenv("METAMEMORY_MIRROR", raising=False)
    monkeypatch.setattr(mnist, "HOST", f"{(tmp_path / 'host').as_uri()}/")
    monkeypatch.setattr(mnist, "ARCHIVES", {"mnist.npz": None})
    monkeypatch.setattr(mnist, "COUNTS", {"train": 4, "test": 2})
    monkeypatch.setattr(mnist, "DIGEST", None)
    return tmp_path


def test_both_sources_give_the_same_bytes(small):
    prepare(["mnist"], small / "a" / "data", small / "mirror")
    prepare(["mnist"], small / "b" / "data")
    first, second = (store.read_record(small / each / "data" / "mnist") for each in "ab")
    assert first == second and first.shape == (10, 6, 28, 28) and first.splits == {}


def test_images_for_training_come_first_and_in_order(small):
    with np.load(small / "host" / "mnist.npz") as arrays:
        threes = {part: arrays[f"x_{part}"][arrays[f"y_{part}"] == 3] for part in ("train", "test")}
    found = dict(mnist.read_archive(small / "host" / "mnist.npz"))["3"]
    assert np.array_equal(found, np.concatenate([threes["train"][:4], threes["test"][:2]]))


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda arrays: arrays.pop("y_test"), "y_test.npy"),
        (
            lambda arrays: arrays.update(x_train=arrays["x_train"][:-1]),
            r"x_train is uint8 \[89, 28, 28\], with 90 labels",
        ),
        (lambda arrays: arrays.update(x_test=np.array([partial], dtype=object)), "allow_pickle"),
    ],
)
def test_what_is_wrong_in_the_archive_is_named(small, damage, match):
    path = small / "host" / "mnist.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    damage(arrays)
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=f"mnist.npz is not the archive of MNIST .*{match}.*fetch it again") as error:
        list(mnist.read_archive(path))
    assert "\n" not in str(error.value)


def test_a_truncated_archive_is_refused(small):
    path = small / "host" / "mnist.npz"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match="is not the archive of MNIST"):
        list(mnist.read_archive(path))
    assert not zipfile.is_zipfile(path)


def test_digits_stand_in(small, monkeypatch):
    monkeypatch.setattr(mnist, "HOST", "http://127.0.0.1:9/")
    draw_classes = digits.draw_classes
    monkeypatch.setattr(digits, "draw_classes", lambda: draw_classes(12))
    prepare(["mnist"], small / "data")
    images = load("mnist", 28, small / "data")
    assert images.title == "digits (stand-in for MNIST)" and images.images.shape == (10, 12, 1, 28, 28)
    assert images.classes == tuple("0123456789")


def test_digits_differ_and_are_recognisable():
    drawn = np.stack([images for _, images in digits.draw_classes(60)])
    assert drawn.shape == (10, 60, 28, 28) and drawn.dtype == np.uint8
    assert 0.02 < (drawn > 127).mean() < 0.2  # ink on black
    assert len(np.unique(drawn.reshape(600, -1), axis=0)) == 600
    small = drawn.reshape(10, 60, 7, 4, 7, 4).mean(axis=(3, 5)).reshape(10, 60, 49)
    means, asked = small[:, :30].mean(axis=1), small[:, 30:]
    nearest = ((asked[:, :, None] - means) ** 2).sum(axis=-1).argmin(axis=-1)
    assert 0.6 < (nearest == np.arange(10)[:, None]).mean() < 1


def test_two_data_sets_are_loaded_together_and_have_a_digest_of_both(small, few_glyphs):
    root = small / "data"
    prepare(["mnist", "glyphs"], root, small / "mirror")
    both, first, second = load("glyphs", 14, root, other="mnist"), load("glyphs", 14, root), load("mnist", 14, root)
    assert both.images.equal(first.images) and both.other.images.equal(second.images)
    assert first.other is None and both.title == "glyphs" and both.other.title == "MNIST"
    assert len({both.digest, first.digest, second.digest}) == 3
    assert load("mnist", 14, root, other="glyphs").digest != both.digest


@pytest.mark.skipif("METAMEMORY_MIRROR" not in os.environ, reason="METAMEMORY_MIRROR is not set")
def test_mnist_of_the_mirror(root):
    prepare(["mnist"], root)
    images = load("mnist", 28, root)
    assert images.digest == mnist.DIGEST and images.title == "MNIST"
    assert images.images.shape == (10, 5352, 1, 28, 28)
    assert images.images.float().mean().item() == pytest.approx(33.3, abs=1.5)  # 13 % ink
