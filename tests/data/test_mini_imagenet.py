"""A folder of photographs is read as the split's tables or its names say; what is wrong is named."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from metamemory.data import load, mini_imagenet, packs, preparation, store
from metamemory.data.preparation import prepare
from metamemory.errors import UserError

LISTS = {"train": ["n02000000", "n03000000"], "validation": ["n01000000"], "test": ["n00100000"]}
ORDER = [name for names in LISTS.values() for name in names]


class Mini:
    """Four classes of three photographs, all in one folder, with the three tables beside it."""

    def __init__(self, folder: Path):
        generator = np.random.default_rng(0)
        self.folder, self.photographs = folder, folder / "images"
        self.photographs.mkdir()
        self.images = {name: generator.integers(0, 256, (3, 84, 84, 3), dtype=np.uint8) for name in ORDER}
        for name, images in self.images.items():
            for number, image in zip((2, 9, 10), images, strict=True):
                Image.fromarray(image).save(self.file(name, number), "png")  # loses nothing
        for part, names in LISTS.items():
            rows = [f"{self.file(name, number).name},{name}" for number in (10, 2, 9) for name in names]
            self.write(part, "filename,label", *rows)

    def file(self, name: str, number: int) -> Path:
        return self.photographs / f"{name}{number:08d}.jpg"

    def table(self, part: str) -> Path:
        return self.folder / mini_imagenet.TABLES[part]

    def write(self, part: str, *lines: str) -> None:
        self.table(part).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def without_tables(self) -> None:
        for part in LISTS:
            self.table(part).unlink()


@pytest.fixture
def mini(tmp_path, monkeypatch) -> Mini:
    monkeypatch.setattr(mini_imagenet, "class_lists", lambda: LISTS)
    monkeypatch.setattr(mini_imagenet, "PICTURES", 3)
    monkeypatch.delenv("METAMEMORY_MIRROR", raising=False)
    monkeypatch.delenv(mini_imagenet.VARIABLE, raising=False)
    (tmp_path / "mini").mkdir()
    return Mini(tmp_path / "mini")


def assert_read(mini: Mini) -> None:
    classes = dict(mini_imagenet.read_archive(mini.folder))
    assert list(classes) == ORDER
    for name, images in classes.items():
        assert images.dtype == np.uint8 and np.array_equal(images, mini.images[name])


def assert_refused(mini: Mini, match: str) -> None:
    with pytest.raises(UserError, match=match) as error:
        list(mini_imagenet.read_archive(mini.folder))
    assert "\n" not in str(error.value)


def test_one_folder_with_the_tables(mini):
    assert_read(mini)


def test_class_folders_with_the_tables(mini):
    for file in list(mini.photographs.iterdir()):
        (mini.folder / file.name[:9]).mkdir(exist_ok=True)
        file.rename(mini.folder / file.name[:9] / file.name)
    assert_read(mini)


def test_photographs_that_no_table_names_are_left_alone(mini):
    mini.file("n02000000", 5).write_bytes(b"no picture")
    (mini.folder / "n09999999.jpg").write_bytes(b"no picture")
    assert_read(mini)


def test_without_tables_the_names_tell(mini):
    mini.without_tables()
    assert_read(mini)
    for file in list(mini.photographs.iterdir()):
        folder = mini.folder / f"{file.name[:9]}_thing"
        folder.mkdir(exist_ok=True)
        file.rename(folder / f"{int(file.stem[9:])}.jpg")
    assert_read(mini)


def test_other_sizes_become_the_mean_of_the_area(mini):
    large = np.random.default_rng(1).integers(0, 256, (168, 252, 3), dtype=np.uint8)
    Image.fromarray(large).save(mini.file("n03000000", 9), "png")
    found = dict(mini_imagenet.read_archive(mini.folder))["n03000000"][1]
    assert np.array_equal(found, np.round(large.reshape(84, 2, 84, 3, 3).mean(axis=(1, 3))).astype(np.uint8))


def test_photographs_that_are_not_there_are_refused_before_anything_is_read(mini, monkeypatch):
    for number in (2, 10):
        mini.file("n01000000", number).unlink()
    monkeypatch.setattr(mini_imagenet, "_photograph", None)
    assert_refused(mini, r"val.csv names 3 photographs, of which 2 are not in .*: for one, n0100000000000002.jpg")


def test_another_split_is_refused(mini):
    text = mini.table("train").read_text(encoding="utf-8")
    mini.write("validation", *text.splitlines())
    assert_refused(mini, "val.csv: n0200000000000002.jpg is of class n02000000, which the split .* has elsewhere")


def test_too_few_and_too_many_are_refused(mini):
    rows = mini.table("train").read_text(encoding="utf-8").splitlines()
    mini.write("train", *rows[:-1])
    assert_refused(mini, "train.csv: class n03000000 has 2 photographs, and in miniImageNet 3")
    mini.without_tables()
    mini.file("n00100000", 11).write_bytes(b"one more")
    assert_refused(mini, "mini: class n00100000 has 4 photographs, and in miniImageNet 3")


def test_a_table_that_is_missing_or_is_none_is_refused(mini):
    mini.write("test", "n0010000000000002.jpg,n00100000")
    assert_refused(mini, "test.csv, line 1: such a table has two columns, and begins with filename,label")
    mini.table("test").write_bytes(b"\xff\xfe\x00filename")
    assert_refused(mini, "test.csv cannot be read")
    mini.table("test").unlink()
    assert_refused(mini, "has train.csv, val.csv and no test.csv")


def test_broken_photographs_and_what_is_no_folder_are_refused(mini):
    path = mini.file("n00100000", 10)
    path.write_bytes(path.read_bytes()[:100])
    assert_refused(mini, "n0010000000000010.jpg is not a picture")
    with pytest.raises(UserError, match="is not a folder: unpack it"):
        list(mini_imagenet.read_archive(path))


def test_the_users_own_copy_comes_before_a_mirror(mini, root, monkeypatch):
    monkeypatch.setenv(mini_imagenet.VARIABLE, str(mini.folder))
    lines = []
    prepare(["mini_imagenet"], root, mirror="a mirror, which is not asked", log=lines.append)
    assert lines == [f"mini_imagenet: from {mini.folder}"]
    images = load("mini_imagenet", 84, root)
    assert images.title == "miniImageNet" and images.images.shape == (4, 3, 3, 84, 84)
    assert images.splits["ravi"]["train"].tolist() == [0, 1] and images.splits["ravi"]["test"].tolist() == [3]
    assert np.array_equal(images.images[2].movedim(1, -1), mini.images["n01000000"])


def test_another_copy_than_the_first_is_refused(mini, root, monkeypatch, tmp_path):
    monkeypatch.setenv(mini_imagenet.VARIABLE, str(mini.folder))
    prepare(["mini_imagenet"], root)
    (root / "mini_imagenet" / "classes.json").unlink()
    Image.new("RGB", (84, 84)).save(mini.file("n00100000", 9), "png")
    with pytest.raises(UserError, match="are not those of the miniImageNet that was used first"):
        prepare(["mini_imagenet"], root)


def test_where_it_cannot_be_had_scenes_stand_in(mini, root, few_scenes):
    lines = []
    prepare(["mini_imagenet"], root, log=lines.append)
    assert "nobody serves it" in lines[0] and "stand-in scenes is used" in lines[0]
    assert "METAMEMORY_MINI_IMAGENET=" in lines[0] and "mini_imagenet.zip" in lines[0]
    images = load("mini_imagenet", 84, root)
    assert images.title == "scenes (stand-in for miniImageNet)" and images.images.shape == (3, 4, 3, 84, 84)
    assert images.splits["ravi"]["test"].tolist() == [1, 2]


def test_a_stand_in_of_before_is_drawn_again(root, few_scenes, monkeypatch):
    """One that was prepared when it stood in for fewer data sets has fewer splits."""
    from metamemory.data import scenes

    today = scenes.splits
    monkeypatch.setattr(scenes, "splits", lambda classes: {"bertinetto": today(classes)["bertinetto"]})
    prepare(["scenes"], root)
    monkeypatch.setattr(scenes, "splits", today)
    prepare(["scenes"], root)
    assert set(store.read_record(root / "scenes").splits) == {"bertinetto", "ravi"}


needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


def write_pack(path: Path, mini: Mini) -> dict[str, np.ndarray]:
    """A lossy pack; returns what is decoded from it."""
    entries, decoded = [], {}
    with zipfile.ZipFile(path, "w") as archive:
        for name in ORDER:
            file = io.BytesIO()
            Image.fromarray(mini.images[name].swapaxes(0, 1).reshape(84, -1, 3)).save(file, "avif", quality=60)
            member = file.getvalue()
            decoded[name] = np.asarray(Image.open(io.BytesIO(member))).reshape(84, 3, 84, 3).swapaxes(0, 1)
            archive.writestr(f"{name}.avif", member)
            sha256 = hashlib.sha256(member).hexdigest()
            entry = {"split": "any", "name": name, "member": f"{name}.avif", "count": 3, "columns": 3}
            entries.append({**entry, "sha256": sha256, "ids": []})
        manifest = {"format": "mosaic-pack/2", "lossy": True, "image_shape": [84, 84, 3], "classes": entries}
        archive.writestr("manifest.json", json.dumps(manifest))
    return decoded


@needs_avif
def test_a_lossy_pack_says_so_in_its_title_and_is_known_by_its_bytes(mini, root, monkeypatch, tmp_path):
    decoded = write_pack(tmp_path / "mini_imagenet.zip", mini)
    monkeypatch.setattr(mini_imagenet, "DIGEST", None)
    prepare(["mini_imagenet"], root, mirror=tmp_path)
    images = load("mini_imagenet", 84, root)
    assert images.title == "miniImageNet (re-encoded)"
    for name, found in zip(ORDER, images.images, strict=True):
        assert np.array_equal(found.movedim(1, -1), decoded[name])
        assert np.abs(decoded[name].astype(int) - mini.images[name]).mean() > 1  # it is lossy
    monkeypatch.setattr(packs, "_cut", lambda *arguments: np.zeros((3, 84, 84, 3), np.uint8))  # another decoder
    prepare(["mini_imagenet"], tmp_path / "again", mirror=tmp_path)
    assert store.read_record(tmp_path / "again" / "mini_imagenet").digest == images.digest


@needs_avif
def test_a_lossy_pack_with_other_bytes_is_refused(mini, root, monkeypatch, tmp_path):
    write_pack(tmp_path / "mini_imagenet.zip", mini)
    with pytest.raises(UserError, match="is not miniImageNet as published: its digest"):
        prepare(["mini_imagenet"], root, mirror=tmp_path)
    monkeypatch.setattr(packs, "read_member", lambda archive, name: archive.read(name) + b"\0" * name.endswith("avif"))
    with pytest.raises(UserError, match="n02000000 does not have its sha256"):
        list(packs.read_pack(tmp_path / "mini_imagenet.zip"))


def test_a_pillow_without_avif_is_told(mini, monkeypatch, tmp_path):
    with zipfile.ZipFile(tmp_path / "mini_imagenet.zip", "w") as archive:
        archive.writestr("manifest.json", json.dumps({"format": "mosaic-pack/2", "classes": []}))
    monkeypatch.setattr(features, "check", lambda feature: False)
    with pytest.raises(UserError, match="install Pillow 11.3"):
        list(packs.read_pack(tmp_path / "mini_imagenet.zip"))


def test_its_way_is_told(mini):
    assert preparation._how_to_get(mini_imagenet).startswith("METAMEMORY_MINI_IMAGENET=<a folder that has it> or METAM")
