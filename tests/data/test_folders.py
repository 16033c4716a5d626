"""A data set of the user's own: a folder of class folders, as it may really be."""

import io
import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from metamemory.data import folders, load, store
from metamemory.data.preparation import prepare
from metamemory.errors import UserError

SIDE = 8


def quiet(line: str) -> None:
    pass


@pytest.fixture
def own(tmp_path):
    """Five classes of three grey images of 8 x 8 pixels."""
    folder = tmp_path / "leaves"
    generator = np.random.default_rng(0)
    for name in ("oak", "ash", "elm", "birch/paper", "birch/silver"):
        (folder / name).mkdir(parents=True)
        for number in (1, 2, 10):
            Image.fromarray(generator.integers(0, 256, (SIDE, SIDE), np.uint8)).save(folder / name / f"{number}.png")
    (folder / "data_set.yaml").write_text(f"title: Leaves\nside: {SIDE}\n", encoding="utf-8")
    return folder


def describe(own, text: str) -> None:
    (own / "data_set.yaml").write_text(f"side: {SIDE}\n{text}\n", encoding="utf-8")


def pixels_of(own, name: str = "oak/1.png") -> np.ndarray:
    """As they are kept."""
    found = folders.examine(own)
    of_class = dict(folders.read(found))[name.rpartition("/")[0]]
    return of_class[[path.name for path in found.classes[name.rpartition("/")[0]]].index(name.rpartition("/")[2])]


def test_images_are_kept_as_they_are_and_loaded_at_any_size(own, root):
    lines = []
    prepare(["leaves"], root, log=lines.append, own={"leaves": own})
    assert lines == [f"leaves: from {own}: 5 classes of 3 images in grey"]
    images = load("leaves", SIDE, root)
    assert images.classes == ("ash", "birch/paper", "birch/silver", "elm", "oak")
    assert images.title == "Leaves" and images.stands_in_for is None
    assert images.images.shape == (5, 3, 1, SIDE, SIDE) and images.images.dtype == torch.uint8
    for position, name in enumerate(images.classes):
        for number, file in enumerate(("1.png", "2.png", "10.png")):  # in natural order
            assert np.array_equal(images.images[position, number, 0], np.asarray(Image.open(own / name / file)))
    assert load("leaves", 4, root).images.shape == (5, 3, 1, 4, 4)
    splits = images.splits["random"]
    assert [len(splits[part]) for part in ("train", "validation", "test")] == [3, 1, 1]
    assert sorted(torch.cat(list(splits.values())).tolist()) == list(range(5))


def test_it_is_read_again_only_if_it_has_changed(own, root, tmp_path):
    lines = []
    for _ in range(2):
        prepare(["leaves"], root, log=lines.append, own={"leaves": own})
    assert "already" in lines[1]
    before = load("leaves", SIDE, root).digest
    describe(own, "title: Leaves\nsplits: {random: {train: 0.2, validation: 0.2, test: 0.6, seed: 0}}")
    prepare(["leaves"], root, log=lines.append, own={"leaves": own})
    changed = load("leaves", SIDE, root)
    assert "from" in lines[2] and len(changed.splits["random"]["test"]) == 3
    assert changed.digest != before, "a run on another split is another run"
    own.rename(tmp_path / "elsewhere")  # as on a machine to which data/ came by DVC
    prepare(["leaves"], root, log=lines.append, own={"leaves": own})
    assert "already" in lines[3]


def test_its_digest_does_not_depend_on_place_or_time(own, root, tmp_path):
    prepare(["leaves"], root, log=quiet, own={"leaves": own})
    own.rename(tmp_path / "moved")
    prepare(["leaves"], tmp_path / "other" / "data", log=quiet, own={"leaves": tmp_path / "moved"})
    for file in ("images.npy", "classes.json"):
        assert (root / "leaves" / file).read_bytes() == (tmp_path / "other/data/leaves" / file).read_bytes()


def test_splits_are_by_lists_or_by_shares_with_a_seed(own):
    describe(
        own,
        "splits:\n"
        "  listed: {train: [oak, ash], validation: [elm], test: [birch/paper]}\n"
        "  first: {train: 0.4, validation: 0.2, test: 0.4, seed: 1}\n"
        "  second: {train: 0.4, validation: 0.2, test: 0.4, seed: 2}\n",
    )
    found = folders.examine(own)
    splits = found.splits(tuple(found.classes))
    assert splits["listed"] == {"train": [0, 4], "validation": [3], "test": [1]}  # silver birch is in none
    assert {part: len(each) for part, each in splits["first"].items()} == {"train": 2, "validation": 1, "test": 2}
    assert splits["first"] != splits["second"] and splits == found.splits(tuple(found.classes))


@pytest.mark.parametrize("count", [3, 4, 7, 100])
@pytest.mark.parametrize("shares", [(0.6, 0.2, 0.2), (0.98, 0.01, 0.01), (0.01, 0.01, 0.98), (1 / 3, 1 / 3, 1 / 3)])
def test_shares_leave_no_part_empty(count, shares):
    names = tuple(f"class {number}" for number in range(count))
    wanted = dict(zip(folders.PARTS, shares, strict=True))
    parts = folders._split(wanted, names, "here")
    assert sorted(sum(parts.values(), [])) == list(range(count)) and all(parts.values())
    for part, share in wanted.items():
        assert abs(len(parts[part]) - share * count) <= 2


@pytest.mark.parametrize(
    ("splits", "told"),
    [
        ("{a: {train: 0.5, validation: 0.2, test: 0.2}}", "splits.a: the shares 0.5, 0.2, 0.2 must .* sum to 1"),
        ("{a: {train: 1.2, validation: -0.4, test: 0.2}}", "must be above 0 and sum to 1"),
        ("{a: {train: 1.0, validation: 0, test: 0}}", "must be above 0"),
        ("{a: {train: .nan, validation: 0.2, test: 0.2}}", "must be above 0"),
        ("{a: {train: 0.6, validation: 0.4}}", "splits.a must have train, validation, test"),
        ("{a: {train: 0.6, validation: 0.2, tset: 0.2}}", "splits.a must have train, validation, test"),
        ("{a: {train: 0.6, validation: 0.2, test: 0.2, seed: x}}", "splits.a.seed is 'x'"),
        ("{a: {train: [oak], validation: [elm], test: []}}", "splits.a.test has no class"),
        ("{a: {train: [oak], validation: [elm], test: [oka]}}", "splits.a.test: there is no class 'oka'"),
        ("{a: {train: [oak], validation: [elm], test: [oak]}}", "class oak is in train and in test"),
        ("{a: {train: [oak, oak], validation: [elm], test: [ash]}}", "class oak is in train and in train"),
        ("{a: {train: [oak], validation: [elm], test: 0.2}}", "must be above 0 and sum to 1"),
        ("{a: [oak]}", "splits.a must have train"),
        (
            "{a: {train: [oak], validation: [elm], test: [true]}}",
            "no class 'True': write names that YAML reads otherwise",
        ),
        ("7", "splits is 7"),
    ],
)
def test_a_split_that_cannot_be_is_refused(own, root, splits, told):
    describe(own, f"splits: {splits}")
    with pytest.raises(UserError, match=told) as error:
        prepare(["leaves"], root, log=quiet, own={"leaves": own})
    assert "data_set.yaml" in str(error.value) and "\n" not in str(error.value)
    assert not root.exists()


@pytest.mark.parametrize(
    "text",
    [
        "sides: 8",
        "side: 0",
        "side: 1.5",
        "colour: red",
        "- 1",
        "[",
        "title: 7",
        "a: &a [*a]",
        "title: a\ntitle: b",
        "side: 010",
        'title: "a\\nb"',
        "colour: yes",
        "1: 2",
    ],
)
def test_a_description_that_is_none_is_refused(own, text):
    (own / "data_set.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="data_set.yaml") as error:
        folders.examine(own)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["My_Set", "../x", "", "omniglot", "scenes", "a" * 65, "my set", "7up"])
def test_names_that_are_taken_or_none_are_refused(own, root, name):
    with pytest.raises(UserError, match="data set"):
        prepare([name], root, log=quiet, own={name: own})
    assert not root.exists()


# What images may be


def image(kind: str, side: int = SIDE) -> Image.Image:
    """Left half at 51, right half at 204, in one of Pillow's modes."""
    grey = np.full((side, side), 51, np.uint8)
    grey[:, side // 2 :] = 204
    if kind == "I;16":
        return Image.fromarray(grey.astype(np.uint16) * 257)
    if kind == "I":
        return Image.fromarray(grey.astype(np.int32) * 257)
    if kind == "P grey":
        return Image.fromarray(grey).convert("P")
    return Image.fromarray(grey).convert(kind)


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        *((kind, "1.png") for kind in ("L", "LA", "I;16", "RGB", "RGBA", "P")),
        *((kind, "1.tif") for kind in ("L", "I;16", "I", "RGB", "CMYK")),
        *(("L", f"1.{ending}") for ending in ("bmp", "pgm", "gif", "webp", "PNG")),
    ],
)
def test_modes_and_formats_give_the_same_values(own, kind, file):
    (own / "oak/1.png").unlink()
    lossless = {"lossless": True} if file.endswith("webp") else {}
    image(kind).save(own / "oak" / file, **lossless)
    (own / "data_set.yaml").write_text(f"side: {SIDE}\ncolour: false\n", encoding="utf-8")
    assert np.abs(pixels_of(own, f"oak/{file}").astype(int) - np.asarray(image("L"))).max() <= 1


def test_one_image_in_colour_makes_all_so(own):
    Image.new("RGB", (SIDE, SIDE), (10, 20, 30)).save(own / "oak/1.png")
    found = folders.examine(own)
    classes = dict(folders.read(found))
    assert found.colour and all(each.shape == (3, SIDE, SIDE, 3) for each in classes.values())
    assert classes["oak"][0, 0, 0].tolist() == [10, 20, 30]
    assert (classes["ash"][..., 0] == classes["ash"][..., 2]).all()
    describe(own, "colour: false")
    assert dict(folders.read(folders.examine(own)))["oak"].shape == (3, SIDE, SIDE)


def test_transparency_is_white(own):
    seen = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    seen.putpixel((0, 0), (0, 0, 0, 255))
    seen.save(own / "oak/1.png")
    describe(own, "colour: false")
    kept = pixels_of(own)
    assert kept[0, 0] == 0 and kept.sum() == 255 * (SIDE**2 - 1)


def test_exif_turns(own):
    sideways = image("L")
    tag = Image.Exif()
    tag[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise
    sideways.save(own / "oak/1.png", exif=tag)
    assert np.array_equal(pixels_of(own), np.rot90(np.asarray(sideways), -1))


def test_a_preview_within_a_photograph_does_not_matter(own):
    (own / "oak/1.png").unlink()
    image("RGB").save(own / "oak/1.jpg", format="MPO", save_all=True, append_images=[image("RGB")])
    assert pixels_of(own, "oak/1.jpg").shape == (SIDE, SIDE, 3)


def test_other_sizes_are_cut_to_the_middle_and_averaged(own):
    wide = np.arange(16 * 24, dtype=np.uint8).reshape(16, 24)
    Image.fromarray(wide).save(own / "oak/1.png")
    middle = wide[:, 4:20].astype(float)
    expected = np.round(middle.reshape(8, 2, 8, 2).mean(axis=(1, 3)))
    assert np.abs(pixels_of(own) - expected).max() <= 0.5
    Image.fromarray(wide[:4, :4]).save(own / "oak/1.png")  # smaller: each pixel becomes four
    assert np.array_equal(pixels_of(own), wide[:4, :4].repeat(2, axis=0).repeat(2, axis=1))


def test_dark_drawings_are_inverted(own):
    before = pixels_of(own)
    describe(own, "invert: true")
    assert np.array_equal(pixels_of(own), 255 - before)


def test_classes_have_as_many_images_as_the_smallest(own, root):
    (own / "oak/10.png").unlink()
    lines = []
    prepare(["leaves"], root, log=lines.append, own={"leaves": own})
    assert "5 classes of 2 images in grey, 4 images beyond those of the smallest class left out" in lines[0]
    assert load("leaves", SIDE, root).images.shape[:2] == (5, 2)


def test_what_systems_leave_in_folders_does_not_matter(own):
    for junk in (".DS_Store", "oak/.DS_Store", "oak/Thumbs.db", "oak/._1.png"):
        (own / junk).write_bytes(b"junk")
    (own / ".git").mkdir()
    assert set(folders.examine(own).classes) == {"ash", "birch/paper", "birch/silver", "elm", "oak"}


def test_a_class_may_be_a_link(own, tmp_path):
    (own / "oak").rename(tmp_path / "oak of another set")
    (own / "oak").symlink_to(tmp_path / "oak of another set")
    assert len(folders.examine(own).classes["oak"]) == 3


def test_names_are_the_same_however_accents_are_spelt(own):
    (own / "elm").rename(own / "Ulme\N{COMBINING DIAERESIS}")
    assert "Ulm\N{LATIN SMALL LETTER E WITH DIAERESIS}" in folders.examine(own).classes


# What they may not be


def bomb() -> bytes:
    """A PNG of a few bytes that says that it has 100,000 x 100,000 pixels."""
    data = io.BytesIO()
    Image.new("1", (1, 1)).save(data, "png")
    content = bytearray(data.getvalue())
    content[16:24] = (100_000).to_bytes(4) * 2
    import zlib

    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
    return bytes(content)


def animation() -> bytes:
    data = io.BytesIO()
    image("L").save(data, "gif", save_all=True, append_images=[image("L").rotate(90)])
    return data.getvalue()


def encoded(made: Image.Image, format: str) -> bytes:
    data = io.BytesIO()
    made.save(data, format)
    return data.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is no image of a known format"),
        (b"notes", "is no image of a known format"),
        (b"\xff\xd8\xff", "oak/1.png"),
        (b"%PDF-1.4", "is no image of a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "is no image of a known format"),
        (encoded(image("L"), "ico"), "is no image of a known format"),
        (encoded(image("L"), "png")[:50], "oak/1.png cannot be read as an image"),
        (encoded(image("RGB", 64), "jpeg")[:300], "oak/1.png"),
        (encoded(image("L", 64), "tiff")[:200], "oak/1.png"),
        (bomb(), r"oak/1.png cannot be read as an image \(.*(pixels|bomb)"),
        (animation(), "oak/1.png cannot be read as an image .*several frames"),
        (encoded(Image.new("F", (8, 8)), "tiff"), "oak/1.png cannot be read as an image .*real numbers"),
        (encoded(Image.new("I", (8, 8), 1 << 20), "tiff"), "oak/1.png cannot be read as an image .*16 bits"),
    ],
)
def test_what_is_no_image_is_named(own, root, content, told):
    (own / "oak/1.png").write_bytes(content)
    with pytest.raises(UserError, match=told) as error:
        prepare(["leaves"], root, log=quiet, own={"leaves": own})
    assert "\n" not in str(error.value) and not root.exists()


def emptied(own):
    for path in (own / "oak").iterdir():
        path.unlink()


def in_a_circle(own):
    (own / "birch/again").symlink_to(own)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (emptied, "oak has no images: fill or delete it"),
        (lambda own: [(own / f"oak/{number}.png").unlink() for number in (1, 2)], "oak has 1 images"),
        (lambda own: (own / "oak/notes.txt").write_text("x", encoding="utf-8"), "oak/notes.txt is no image"),
        (lambda own: (own / "1.png").write_bytes(b"x"), "1.png is in no class folder"),
        (lambda own: (own / "oak/inner").mkdir(), "oak has files and folders"),
        (lambda own: (own / "OAK").mkdir(), "oak and .*OAK differ|OAK and .*oak differ|OAK has no images"),
        (lambda own: (own / "ash").rename(own / "OAK"), "differ only in case"),
        (lambda own: (own / "oak/1.png").rename(own / "oak/10.PNG"), "differ only in case"),
        (lambda own: (own / "oak").rename(own / "o\nk"), "is no name that can be written"),
        (in_a_circle, "was met before, by a link"),
        (lambda own: os.mkfifo(own / "oak/9.png"), "oak/9.png cannot be read as an image .it is no file of bytes"),
        (lambda own: own.rename(own.with_name("x")), "is not a folder of class folders"),
    ],
)
def test_a_folder_that_is_not_as_it_should_be_is_refused(own, root, spoil, told):
    spoil(own)
    with pytest.raises(UserError, match=told) as error:
        prepare(["leaves"], root, log=quiet, own={"leaves": own})
    assert "\n" not in str(error.value)


def test_what_was_prepared_by_others_keeps_its_bytes(root, few_glyphs):
    """No title, no null: `data.dvc` knows the bytes of data sets that are not the user's own."""
    prepare(["glyphs"], root, log=quiet)
    record = json.loads((root / "glyphs/classes.json").read_text(encoding="utf-8"))
    assert "title" not in record and store.read_record(root / "glyphs").title is None
