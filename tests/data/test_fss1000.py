"""The original archive, or a folder like it, is read as it is; what is wrong in it is named before any training."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metamemory.data import fss1000, load, preparation, silhouettes, store
from metamemory.data.download import Unreachable
from metamemory.data.preparation import prepare
from metamemory.errors import UserError

SAMPLE = Path(os.environ.get("METAMEMORY_MIRROR", "no mirror")) / "fss1000_sample"
LISTS = {"train": ["zebra"], "validation": [], "test": ["apple"]}


class Fss:
    """A small FSS-1000 in a folder that a test may damage, and the archive of it."""

    def __init__(self, folder: Path):
        generator = np.random.default_rng(0)
        self.folder, self.archive = folder / "fewshot_data" / "fewshot_data", folder / "fewshot_data.zip"
        self.images = {
            name: generator.integers(0, 256, (10, 128, 128, 3), dtype=np.uint8) for name in ("apple", "zebra")
        }
        self.masks = {name: np.zeros((10, 128, 128), np.uint8) for name in self.images}
        for name, masks in self.masks.items():
            (self.folder / name).mkdir(parents=True)
            for index, mask in enumerate(masks):
                top, left = generator.integers(0, 64, 2)
                mask[top : top + 40, left : left + 50] = 255
                self.write(name, index + 1)

    def write(self, name: str, number: int) -> None:
        # in PNG, which loses nothing: what a file is, its content says
        Image.fromarray(self.images[name][number - 1]).save(self.folder / name / f"{number}.jpg", "png")
        Image.fromarray(self.masks[name][number - 1]).convert("RGBA").save(self.folder / name / f"{number}.png")

    def write_archive(self) -> None:
        with zipfile.ZipFile(self.archive, "w") as archive:
            for file in sorted(self.folder.parent.rglob("*.*")):
                archive.write(file, f"fewshot_data/{file.relative_to(self.folder.parent)}")
            archive.writestr("__MACOSX/fewshot_data/apple/._1.jpg", b"junk")
            archive.writestr("__MACOSX/fewshot_data/apple/1.jpg", b"junk")

    def expected(self, name: str) -> np.ndarray:
        """Pairs of pixels each way become one: the mean of four, by a loop over the corners."""
        corners = [(0, 0), (0, 1), (1, 0), (1, 1)]
        colour = np.mean([self.images[name][:, y::2, x::2] for y, x in corners], axis=0)
        mask = np.mean([self.masks[name][:, y::2, x::2] for y, x in corners], axis=0)
        return np.concatenate([np.round(colour), np.where(mask >= 127.5, 255, 0)[..., None]], axis=-1).astype(np.uint8)


@pytest.fixture
def fss(tmp_path, monkeypatch) -> Fss:
    monkeypatch.setattr(fss1000, "class_lists", lambda: LISTS)
    monkeypatch.delenv("METAMEMORY_MIRROR", raising=False)
    monkeypatch.delenv(fss1000.VARIABLE, raising=False)
    (tmp_path / "fss").mkdir()
    return Fss(tmp_path / "fss")


def assert_refused(fss: Fss, match: str) -> None:
    with pytest.raises(UserError, match=match) as error:
        list(fss1000.read_archive(fss.folder))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_classes_come_by_name_and_pairs_by_number(fss, form):
    fss.write_archive()
    classes = dict(fss1000.read_archive(getattr(fss, form)))
    assert list(classes) == ["apple", "zebra"]
    for name, images in classes.items():
        assert images.dtype == np.uint8 and images.shape == (10, 64, 64, 4)
        assert np.array_equal(images, fss.expected(name))


def test_pairs_beyond_the_tenth_and_other_classes_are_left_alone(fss):
    (fss.folder / "apple" / "11.jpg").write_bytes((fss.folder / "apple" / "1.jpg").read_bytes())
    (fss.folder / "apple" / "11.png").write_bytes((fss.folder / "apple" / "1.png").read_bytes())
    (fss.folder / "pear").mkdir()
    (fss.folder / "pear" / "1.jpg").write_bytes(b"no picture")
    assert np.array_equal(dict(fss1000.read_archive(fss.folder))["apple"], fss.expected("apple"))


def test_a_smoothed_outline_is_still_a_mask(fss):
    """As in the original files: greys of every value, but no wider than a few pixels."""
    mask = Image.fromarray(fss.masks["apple"][2])
    fss.masks["apple"][2] = np.asarray(
        mask.resize((32, 32), Image.Resampling.BOX).resize((128, 128), Image.Resampling.BILINEAR)
    )
    assert len(np.unique(fss.masks["apple"][2])) > 10
    fss.write("apple", 3)
    thing = dict(fss1000.read_archive(fss.folder))["apple"][2, ..., 3]
    assert set(np.unique(thing)) == {0, 255}
    assert (thing != fss.expected("apple")[2, ..., 3]).mean() < 0.02


def test_a_third_value_is_refused(fss):
    fss.masks["zebra"][4, 100:120, 100:120] = 128
    fss.write("zebra", 5)
    assert_refused(fss, "zebra/5.png has more than two values")


def test_an_empty_mask_is_refused(fss):
    fss.masks["zebra"][4] //= 255  # 0 and 1 in place of 0 and 255
    fss.write("zebra", 5)
    assert_refused(fss, "zebra/5.png has no thing in it")


def test_unequal_sizes_are_refused(fss):
    Image.new("L", (127, 128), 255).save(fss.folder / "apple" / "7.png")
    assert_refused(fss, "apple/7.png: the image is 128x128 and its mask 127x128 pixels")


def test_a_missing_mask_is_refused_before_anything_is_read(fss, monkeypatch):
    (fss.folder / "zebra" / "10.png").unlink()
    monkeypatch.setattr(fss1000, "_pair", None)
    assert_refused(fss, "zebra/10.png is missing, the mask of 10.jpg")


def test_fewer_than_ten_pairs_are_refused(fss):
    for ending in ("jpg", "png"):
        (fss.folder / "apple" / f"3.{ending}").unlink()
    assert_refused(fss, "class apple has 9 pairs of image and mask, and 10 are needed")


def test_a_missing_class_is_named(fss, monkeypatch):
    monkeypatch.setattr(fss1000, "class_lists", lambda: {**LISTS, "validation": ["kiwi"]})
    assert_refused(fss, "has 2 of the 3 classes of FSS-1000; not, for one, kiwi")


def test_broken_pictures_and_archives_are_refused(fss):
    path = fss.folder / "apple" / "4.jpg"
    path.write_bytes(path.read_bytes()[:1000])
    assert_refused(fss, "apple/4.jpg is not a picture")
    fss.write_archive()
    fss.archive.write_bytes(fss.archive.read_bytes()[:-1000])
    with pytest.raises(UserError, match="fewshot_data.zip is not the archive of FSS-1000 .*fetch it again"):
        list(fss1000.read_archive(fss.archive))


def test_the_users_own_copy_is_prepared_and_loaded(fss, root, monkeypatch):
    monkeypatch.setenv(fss1000.VARIABLE, str(fss.folder))
    lines = []
    prepare(["fss1000"], root, mirror="a mirror, which has none", log=lines.append)
    assert lines == [f"fss1000: from {fss.folder}"]
    record = store.read_record(root / "fss1000")
    assert record.shape == (2, 10, 64, 64, 4) and record.splits == {
        "hsnet": {"train": [1], "validation": [], "test": [0]}
    }
    images = load("fss1000", 64, root)
    assert images.title == "FSS-1000" and images.images.shape == (2, 10, 4, 64, 64)
    assert np.array_equal(images.images[1].movedim(1, -1), fss.expected("zebra"))


def test_nothing_is_left_of_a_bad_copy_or_one_that_is_not_there(fss, root, monkeypatch):
    (fss.folder / "apple" / "1.png").unlink()
    for path, match in (
        (fss.folder, "apple/1.png is missing"),
        (fss.folder / "no", "correct or unset METAMEMORY_FSS1000"),
    ):
        monkeypatch.setenv(fss1000.VARIABLE, str(path))
        with pytest.raises(UserError, match=match):
            prepare(["fss1000"], root)
        assert not root.exists()


@pytest.fixture
def few_silhouettes(monkeypatch) -> None:
    """A stand-in of three classes instead of a thousand."""
    draw_classes = silhouettes.draw_classes
    monkeypatch.setattr(silhouettes, "draw_classes", lambda: draw_classes(3))


@pytest.fixture
def host(tmp_path, monkeypatch) -> Path:
    """A folder in place of Google Drive."""
    (tmp_path / "host").mkdir()
    monkeypatch.setattr(fss1000, "HOST", f"{(tmp_path / 'host').as_uri()}/")
    monkeypatch.setattr(fss1000, "ARCHIVES", {"an_id": None})
    return tmp_path / "host" / "an_id"


def test_the_host_serves_it(fss, root, host):
    fss.write_archive()
    host.write_bytes(fss.archive.read_bytes())
    prepare(["fss1000"], root)
    assert load("fss1000", 32, root).title == "FSS-1000"


def test_where_the_host_asks_questions_silhouettes_stand_in(fss, root, host, few_silhouettes):
    host.write_text("<html>Google Drive can't scan this file for viruses</html>", encoding="utf-8")
    lines = []
    prepare(["fss1000"], root, log=lines.append)
    assert "answered with a page in place of the archive" in lines[0] and "stand-in silhouettes" in lines[0]
    assert "METAMEMORY_FSS1000=" in lines[0]
    images = load("fss1000", 16, root)
    assert images.title == "silhouettes (stand-in for FSS-1000)" and images.images.shape == (3, 10, 4, 16, 16)
    with pytest.raises(Unreachable):
        preparation._from_host(host.as_uri(), None, root.parent)


@pytest.mark.skipif(not SAMPLE.exists(), reason="METAMEMORY_MIRROR has no fss1000_sample")
def test_two_classes_of_the_original(monkeypatch):
    monkeypatch.setattr(fss1000, "class_lists", lambda: {"train": ["apple"], "test": ["basketball"]})
    classes = dict(fss1000.read_archive(SAMPLE))
    for name, images in classes.items():
        assert images.shape == (10, 64, 64, 4) and set(np.unique(images[..., 3])) == {0, 255}
        for number in range(1, 11):
            with Image.open(io.BytesIO((SAMPLE / name / f"{number}.png").read_bytes())) as mask:
                white = (np.asarray(mask.convert("L")) >= 128).mean()
            assert (images[number - 1, ..., 3] == 255).mean() == pytest.approx(white, abs=0.01)
    red = classes["apple"][..., 0][classes["apple"][..., 3] == 255].mean()
    assert red > 1.4 * classes["apple"][..., 2][classes["apple"][..., 3] == 255].mean()
