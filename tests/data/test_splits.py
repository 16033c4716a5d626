"""The parts of every split are disjoint and have the sizes they say."""

import json
from pathlib import Path

from metamemory.data import cifar_fs, fss1000, mini_imagenet, omniglot

EVALUATION = (
    "Angelic", "Atemayar_Qelisayer", "Atlantean", "Aurek-Besh", "Avesta", "Ge_ez", "Glagolitic", "Gurmukhi",
    "Kannada", "Keble", "Malayalam", "Manipuri", "Mongolian", "Old_Church_Slavonic_(Cyrillic)", "Oriya",
    "Sylheti", "Syriac_(Serto)", "Tengwar", "Tibetan", "ULOG",
)  # fmt: skip


def omniglot_classes() -> tuple[str, ...]:
    lists = json.loads(
        (Path(omniglot.__file__).parent / "splits" / "omniglot_vinyals.json").read_text(encoding="utf-8")
    )
    names = {
        f"{alphabet}/character{number:02d}"
        for part in ("train", "validation", "test")
        for alphabet, numbers in lists[part].items()
        for number in numbers
    }
    return tuple(sorted(names, key=lambda name: (name.partition("/")[0] in EVALUATION, name)))


def test_omniglot(assert_partition):
    classes = omniglot_classes()
    splits = omniglot.splits(classes)
    assert_partition(splits["vinyals"], {"train": 1028, "validation": 172, "test": 423})
    assert_partition(splits["lake"], {"train": 806, "validation": 158, "test": 659})
    alphabets = {
        part: {classes[index].partition("/")[0] for index in indices} for part, indices in splits["lake"].items()
    }
    assert alphabets["test"] == set(EVALUATION)
    assert len(alphabets["train"]) == 25 and len(alphabets["validation"]) == 5
    assert not alphabets["train"] & alphabets["validation"]


def test_cifar_fs(assert_partition):
    lists = json.loads(
        (Path(cifar_fs.__file__).parent / "splits" / "cifar_fs_bertinetto.json").read_text(encoding="utf-8")
    )
    classes = tuple(sorted(lists["train"] + lists["validation"] + lists["test"]))
    parts = cifar_fs.splits(classes)["bertinetto"]
    assert_partition(parts, {"train": 64, "validation": 16, "test": 20})
    # the first class of each list of the paper
    assert [classes[parts[part][0]] for part in ("train", "validation", "test")] == ["apple", "beaver", "baby"]


def test_fss1000(assert_partition):
    lists = fss1000.class_lists()
    classes = tuple(sorted(name for names in lists.values() for name in names))
    parts = fss1000.splits(classes)["hsnet"]
    assert_partition(parts, {"train": 520, "validation": 240, "test": 240})
    assert [classes[parts[part][0]] for part in ("train", "validation", "test")] == [lists[part][0] for part in lists]


def test_mini_imagenet(assert_partition):
    lists = mini_imagenet.class_lists()
    classes = tuple(name for names in lists.values() for name in names)
    parts = mini_imagenet.splits(classes)["ravi"]
    assert_partition(parts, {"train": 64, "validation": 16, "test": 20})
    assert [classes[parts[part][0]] for part in ("train", "validation", "test")] == [lists[part][0] for part in lists]
