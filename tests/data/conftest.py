"""Small data sets in the layouts of a mirror and of the original hosts, served from this machine."""

import hashlib
import io
import json
import pickle
import random
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from metamemory.data import cifar10, cifar_fs, glyphs, omniglot, scenes, store

NAMES = {
    "background": ("Abc/character01", "Abc/character02", "Xyz/character01"),
    "evaluation": ("Mno/character01",),
}
DRAWINGS = 12  # > 9, so that the order of the ids "_10" and "_2" matters
SIDE = 13  # not a multiple of 8, so that packed rows end within a byte

Entry = tuple[str, str, np.ndarray]  # of a pack: split, class name, images


class Omniglot:
    """A small data set and the two places that serve it, as folders that a test may damage."""

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
        self.digest = digest(self.images)

    def write_pack(self) -> None:
        write_pack(self.pack, [(part, name, self.images[name]) for part, names in NAMES.items() for name in names])
        self.write_sums()

    def write_sums(self) -> None:
        (self.mirror / "SHA256SUMS").write_text(f"{store.file_sha256(self.pack)}  omniglot.zip\n", encoding="utf-8")

    def _write_archive(self, part: str, names: tuple[str, ...]) -> None:
        members = [(name, drawing) for name in names for drawing in range(DRAWINGS)]
        random.Random(0).shuffle(members)
        with zipfile.ZipFile(self.host / f"images_{part}.zip", "w") as archive:
            for name, drawing in members:
                file = io.BytesIO()
                Image.fromarray(self.images[name][drawing]).convert("1").save(file, "png")
                archive.writestr(f"images_{part}/{name}/0001_{drawing + 1}.png", file.getvalue())


class Cifar:
    """A small CIFAR: a pack, and an archive as Python 2 wrote it, of which a test may change the members."""

    numbers = {"train": (2, 9, 10, 11, 100), "test": (1, 3, 20)}  # of the files, in natural order

    def __init__(self, folder: Path, module: ModuleType):
        generator = np.random.default_rng(0)
        names, self.layout = ("apple", "bear", "wolf"), module.LAYOUT
        self.mirror, self.archive = folder / "mirror", folder / "host" / next(iter(module.ARCHIVES))
        self.mirror.mkdir()
        self.archive.parent.mkdir()
        self.images = {name: [] for name in names}
        meta, key = self.layout.names
        self.members = {meta: {key: list(names), "more": ["all"]}}
        entries = []
        for (part, numbers), members in zip(self.numbers.items(), self.layout.parts, strict=True):
            rows = []
            for label, name in enumerate(names):
                images = generator.integers(0, 256, (len(numbers), 32, 32, 3), dtype=np.uint8)
                entries.append((part, name, images))
                self.images[name].extend(images)
                rows += [(label, f"{name}_s_{n}.png", image) for n, image in zip(numbers, images, strict=True)]
            random.Random(0).shuffle(rows)
            for start, member in enumerate(members):
                self._add(member, rows[start :: len(members)])
        write_pack(self.mirror / module.PACK, entries)
        self.write_archive()
        self.digest = digest({name: np.stack(images) for name, images in self.images.items()})

    def _add(self, member: str, rows: list[tuple[int, str, np.ndarray]]) -> None:
        labels, files, images = zip(*rows, strict=True)
        data = np.stack(images).transpose(0, 3, 1, 2).reshape(len(rows), -1)
        self.members[member] = {"data": data, self.layout.labels: list(labels), "filenames": list(files)}

    def write_archive(self) -> None:
        with tarfile.open(self.archive, "w:gz") as archive:
            for member, content in self.members.items():
                data = content if isinstance(content, bytes) else python2_pickle(content)
                header = tarfile.TarInfo(f"{self.layout.folder}/{member}")
                header.size = len(data)
                archive.addfile(header, io.BytesIO(data))

    @property
    def md5s(self) -> dict[str, str]:
        return {self.archive.name: hashlib.md5(self.archive.read_bytes()).hexdigest()}


class _Python2(pickle._Pickler):
    """Writes strings as Python 2 did: bytes, whether text or not."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_string(self, value: bytes | str) -> None:
        data = value if isinstance(value, bytes) else value.encode()
        self.write(pickle.BINSTRING + len(data).to_bytes(4, "little") + data)
        self.memoize(value)

    def save_bool(self, value: bool) -> None:  # numpy wrote 0 and 1
        self.save_long(int(value))

    dispatch[bytes] = dispatch[str] = save_string
    dispatch[bool] = save_bool


def python2_pickle(content: object) -> bytes:
    file = io.BytesIO()
    _Python2(file, protocol=2).dump(content)
    return file.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def digest(classes: dict[str, np.ndarray]) -> str:
    lines = (f"{name} {store.array_sha256(images)}\n" for name, images in classes.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def write_pack(path: Path, classes: list[Entry]) -> None:
    columns = 5
    with zipfile.ZipFile(path, "w") as archive:
        entries = []
        for split, name, images in classes:
            member = f"{split}/{name}.webp"
            archive.writestr(member, _mosaic(images, columns))
            sha256 = store.array_sha256(images)
            entries.append(
                {"split": split, "name": name, "member": member, "count": len(images), "columns": columns,
                 "sha256": sha256, "ids": []}
            )  # fmt: skip
        manifest = {"format": "mosaic-pack/1", "image_shape": classes[0][2].shape[1:], "classes": entries}
        archive.writestr("manifest.json", json.dumps(manifest))


def _mosaic(images: np.ndarray, columns: int) -> bytes:
    (count, height, width), rows = images.shape[:3], -(-len(images) // columns)
    tiles = np.zeros((rows * columns, *images.shape[1:]), np.uint8)
    tiles[:count] = images
    tiles = tiles.reshape(rows, columns, height, width, -1).swapaxes(1, 2)
    mosaic = tiles.reshape(rows * height, columns * width, -1)
    file = io.BytesIO()
    Image.fromarray(np.broadcast_to(mosaic, (*mosaic.shape[:2], 3)).copy()).save(file, "webp", lossless=True)
    return file.getvalue()


@pytest.fixture
def origin(tmp_path, monkeypatch) -> Omniglot:
    """The small data set in place of Omniglot, at the mirror `origin.mirror` and at Omniglot's host."""
    (tmp_path / "origin").mkdir()
    origin = Omniglot(tmp_path / "origin")
    monkeypatch.delenv("METAMEMORY_MIRROR", raising=False)
    monkeypatch.setattr(omniglot, "HOST", f"{origin.host.as_uri()}/")
    md5s = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in sorted(origin.host.iterdir())}
    monkeypatch.setattr(omniglot, "ARCHIVES", md5s)
    monkeypatch.setattr(omniglot, "DIGEST", origin.digest)
    monkeypatch.setattr(omniglot, "splits", lambda classes: {"lake": {"train": [0, 1], "test": [2, 3]}})
    return origin


def _cifar(folder: Path, monkeypatch, module: ModuleType) -> Cifar:
    folder.mkdir()
    small = Cifar(folder, module)
    monkeypatch.delenv("METAMEMORY_MIRROR", raising=False)
    monkeypatch.setattr(module, "HOST", f"{small.archive.parent.as_uri()}/")
    monkeypatch.setattr(module, "ARCHIVES", small.md5s)
    monkeypatch.setattr(module, "DIGEST", small.digest)
    return small


@pytest.fixture
def cifar(tmp_path, monkeypatch) -> Cifar:
    """A small data set in place of CIFAR-100, at the mirror `cifar.mirror` and at its host."""
    monkeypatch.setattr(cifar_fs, "splits", lambda classes: {"bertinetto": {"train": [0], "test": [1, 2]}})
    return _cifar(tmp_path / "cifar", monkeypatch, cifar_fs)


@pytest.fixture
def small_cifar10(tmp_path, monkeypatch) -> Cifar:
    """A small data set in place of CIFAR-10, at its mirror and at its host."""
    return _cifar(tmp_path / "cifar10", monkeypatch, cifar10)


@pytest.fixture
def pack():
    """`write_pack`."""
    return write_pack


@pytest.fixture
def few_scenes(monkeypatch) -> None:
    """A stand-in of three classes of four pictures instead of a hundred of 600."""
    draw_classes = scenes.draw_classes
    monkeypatch.setattr(scenes, "draw_classes", lambda: draw_classes(3, 4))
    parts = {"train": [0], "validation": [0], "test": [1, 2]}
    monkeypatch.setattr(scenes, "splits", lambda classes: {"bertinetto": parts, "ravi": parts})


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
    """Check that the parts of a split are disjoint, have these sizes, and are all classes together."""

    def check(parts: dict[str, list[int]], sizes: dict[str, int]) -> None:
        assert {part: len(indices) for part, indices in parts.items()} == sizes
        assert sorted(index for indices in parts.values() for index in indices) == list(range(sum(sizes.values())))

    return check
