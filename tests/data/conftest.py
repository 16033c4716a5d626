"""A small data set in the layouts of the mirror and of Omniglot's original host, served from this machine."""

import hashlib
import io
import json
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metamemory.data import glyphs, omniglot, store

NAMES = {
    "background": ("Abc/character01", "Abc/character02", "Xyz/character01"),
    "evaluation": ("Mno/character01",),
}
DRAWINGS = 12  # > 9, so that the order of the ids "_10" and "_2" matters
SIDE = 13  # not a multiple of 8, so that packed rows end within a byte


class Origin:
    """The small data set and the two places that serve it, as folders that a test may damage."""

    def __init__(self, folder: Path):
        generator = np.random.default_rng(0)
        self.images = {
            name: np.where(generator.random((DRAWINGS, SIDE, SIDE)) < 0.2, 0, 255).astype(np.uint8)
            for names in NAMES.values()
            for name in names
        }
        self.mirror, self.host = folder / "mirror", folder / "host"
        self.mirror.mkdir()
        self.host.mkdir()
        self.pack = self.mirror / "omniglot.zip"
        self.write_pack()
        for part, names in NAMES.items():
            self._write_archive(part, names)
        lines = (f"{name} {store.array_sha256(images)}\n" for name, images in self.images.items())
        self.digest = hashlib.sha256("".join(lines).encode()).hexdigest()

    def write_pack(self) -> None:
        with zipfile.ZipFile(self.pack, "w") as archive:
            entries = []
            for part, names in NAMES.items():
                for name in names:
                    member, columns = f"{part}/{name}.webp", 5
                    archive.writestr(member, _mosaic(self.images[name], columns))
                    sha256 = store.array_sha256(self.images[name])
                    entries.append(
                        {"split": part, "name": name, "member": member, "count": DRAWINGS, "columns": columns,
                         "sha256": sha256, "ids": []}
                    )  # fmt: skip
            manifest = {"format": "mosaic-pack/1", "image_shape": [SIDE, SIDE], "classes": entries}
            archive.writestr("manifest.json", json.dumps(manifest))
        self.write_sums()

    def write_sums(self) -> None:
        (self.mirror / "SHA256SUMS").write_text(f"{store.file_sha256(self.pack)}  omniglot.zip\n")

    def _write_archive(self, part: str, names: tuple[str, ...]) -> None:
        members = [(name, drawing) for name in names for drawing in range(DRAWINGS)]
        random.Random(0).shuffle(members)
        with zipfile.ZipFile(self.host / f"images_{part}.zip", "w") as archive:
            for name, drawing in members:
                file = io.BytesIO()
                Image.fromarray(self.images[name][drawing]).convert("1").save(file, "png")
                archive.writestr(f"images_{part}/{name}/0001_{drawing + 1}.png", file.getvalue())


def _mosaic(images: np.ndarray, columns: int) -> bytes:
    rows = -(-len(images) // columns)
    tiles = np.zeros((rows * columns, SIDE, SIDE), np.uint8)
    tiles[: len(images)] = images
    grey = tiles.reshape(rows, columns, SIDE, SIDE).swapaxes(1, 2).reshape(rows * SIDE, columns * SIDE)
    file = io.BytesIO()
    Image.fromarray(grey).convert("RGB").save(file, "webp", lossless=True)
    return file.getvalue()


@pytest.fixture
def origin(tmp_path, monkeypatch) -> Origin:
    """The small data set in place of Omniglot, at the mirror `origin.mirror` and at Omniglot's host."""
    (tmp_path / "origin").mkdir()
    origin = Origin(tmp_path / "origin")
    monkeypatch.delenv("METAMEMORY_MIRROR", raising=False)
    monkeypatch.setattr(omniglot, "HOST", f"{origin.host.as_uri()}/")
    md5s = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in sorted(origin.host.iterdir())}
    monkeypatch.setattr(omniglot, "ARCHIVES", md5s)
    monkeypatch.setattr(omniglot, "DIGEST", origin.digest)
    monkeypatch.setattr(omniglot, "splits", lambda classes: {"lake": {"train": [0, 1], "test": [2, 3]}})
    return origin


@pytest.fixture
def few_glyphs(monkeypatch) -> None:
    """A stand-in of three classes instead of 1,623."""
    draw_classes = glyphs.draw_classes
    monkeypatch.setattr(glyphs, "draw_classes", lambda: draw_classes(3))


@pytest.fixture
def root(tmp_path) -> Path:
    """Where to prepare data; what is unfinished or cached goes beside it, to `.cache`."""
    return tmp_path / "project" / "data"


@pytest.fixture
def assert_partition():
    """Check that the parts of a split are disjoint, are all of the 1,623 classes, and have these sizes."""

    def check(parts: dict[str, list[int]], sizes: dict[str, int]) -> None:
        assert {part: len(indices) for part, indices in parts.items()} == sizes
        assert sorted(index for indices in parts.values() for index in indices) == list(range(1623))

    return check
