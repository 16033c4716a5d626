"""The original archives are read as they are, and a pickle in it runs nothing."""

import os
import pickle

import numpy as np
import pytest

from metamemory.data import cifar10, cifar_fs
from metamemory.errors import UserError


def assert_refused(cifar, match: str) -> None:
    cifar.write_archive()
    with pytest.raises(UserError, match=f"cifar-100-python.tar.gz is not the archive of CIFAR-100 .*{match}") as error:
        list(cifar_fs.read_archive(cifar.archive))
    assert "\n" not in str(error.value)


def test_classes_come_by_name_and_images_by_file(cifar):
    assert_read(cifar_fs.read_archive(cifar.archive), cifar.images)


def test_the_five_parts_of_cifar10_are_put_together(small_cifar10):
    assert [len(small_cifar10.members[f"data_batch_{number}"]["data"]) for number in range(1, 6)] == [3] * 5
    assert_read(cifar10.read_archive(small_cifar10.archive), small_cifar10.images)


def test_a_missing_part_of_cifar10_is_named(small_cifar10):
    del small_cifar10.members["data_batch_4"]
    small_cifar10.write_archive()
    with pytest.raises(UserError, match="is not the archive of CIFAR-10 .*cifar-10-batches-py/data_batch_4.*fetch it"):
        list(cifar10.read_archive(small_cifar10.archive))


def assert_read(classes, expected) -> None:
    classes = dict(classes)
    assert list(classes) == ["apple", "bear", "wolf"]
    for name, images in classes.items():
        assert images.dtype == np.uint8 and np.array_equal(images, expected[name])


def test_a_pickle_of_today_is_read_too(cifar):
    cifar.members = {member: pickle.dumps(content) for member, content in cifar.members.items()}
    cifar.write_archive()
    assert np.array_equal(dict(cifar_fs.read_archive(cifar.archive))["wolf"], cifar.images["wolf"])


class Runs:
    """What a malicious pickle does: names a function and its arguments."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("key", ["data", "an extra key"])
def test_a_malicious_pickle_is_refused_and_not_run(cifar, tmp_path, protocol, key):
    victim = tmp_path / "made by the pickle"
    plain = {"fine_labels": [0], "filenames": ["apple_s_000001.png"]}
    cifar.members["train"] = pickle.dumps({**plain, key: Runs(os.mkdir, str(victim))}, protocol)
    assert_refused(cifar, r"it asks for posix\.mkdir")
    assert not victim.exists()
    pickle.loads(cifar.members["train"])
    assert victim.exists()  # it would have been run


@pytest.mark.parametrize("function", [eval, getattr, np.load, np.save])
def test_builtins_and_the_rest_of_numpy_are_refused(cifar, function):
    cifar.members["meta"] = pickle.dumps(Runs(function, "1"))
    assert_refused(cifar, f"it asks for .*{function.__name__}")


def test_a_broken_pickle_is_refused(cifar):
    cifar.members["test"] = pickle.dumps(cifar.members["test"])[:-100]
    assert_refused(cifar, "not a pickle of arrays")


@pytest.mark.parametrize(
    ("member", "key"),
    [("meta", "fine_label_names"), ("train", "data"), ("train", "filenames"), ("test", "fine_labels")],
)
def test_a_missing_key_is_named(cifar, member, key):
    del cifar.members[member][key]
    assert_refused(cifar, f"{member} has no {key}")


def test_a_missing_member_is_named(cifar):
    del cifar.members["test"]
    assert_refused(cifar, "cifar-100-python/test")


def test_a_pickle_of_something_else_is_refused(cifar):
    cifar.members["test"] = pickle.dumps(None)
    assert_refused(cifar, "NoneType")


def test_images_that_are_no_array_are_refused(cifar):
    cifar.members["train"]["data"] = [1, 2, 3]
    assert_refused(cifar, "'list' object has no attribute")


def test_lists_that_do_not_fit_are_refused(cifar):
    cifar.members["train"]["filenames"].pop()
    assert_refused(cifar, "15 labels and 14 names do not fit")


@pytest.mark.parametrize("bytes_left", [0, 100, 20_000])
def test_a_truncated_archive_is_refused(cifar, bytes_left):
    cifar.archive.write_bytes(cifar.archive.read_bytes()[:bytes_left])
    with pytest.raises(UserError, match="cifar-100-python.tar.gz is not the archive of CIFAR-100"):
        list(cifar_fs.read_archive(cifar.archive))
