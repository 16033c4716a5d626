"""Where data comes from, and that nothing but whole data ever arrives."""

import errno
import os
import signal
import subprocess
import sys
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch

from metamemory.data import cifar10, cifar_fs, glyphs, load, omniglot, store
from metamemory.data.images import STAND_INS
from metamemory.data.preparation import prepare
from metamemory.errors import UserError

CLOSED_PORT = "http://127.0.0.1:9/"  # nothing listens there


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_refused(root: Path, match: str, name: str = "omniglot", **arguments) -> None:
    """`prepare` raises one line that matches, and leaves nothing."""
    with pytest.raises(UserError, match=match) as error:
        prepare([name], root, log=lambda line: None, **arguments)
    assert "\n" not in str(error.value)
    assert not root.exists()
    assert not list((root.parent / ".cache").glob("*"))


@pytest.fixture
def serve():
    """Start a server on this machine with the given handler; returns its URL."""
    servers = []

    def start(handler) -> str:
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


class Truncating(BaseHTTPRequestHandler):
    """Announces more than it sends."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(b"PK" * 1000)

    def log_message(self, *arguments):
        pass


def test_all_sources_give_the_same_bytes(origin, tmp_path, serve):
    lines = []
    url = serve(partial(QuietFiles, directory=str(origin.mirror)))
    for name, mirror in {"folder": origin.mirror, "url": url, "host": None}.items():
        prepare(["omniglot"], tmp_path / name / "data", mirror, lines.append)
    assert contents(tmp_path / "folder/data/omniglot") == contents(tmp_path / "url/data/omniglot")
    assert contents(tmp_path / "folder/data/omniglot") == contents(tmp_path / "host/data/omniglot")
    assert len(lines) == 3
    assert str(origin.mirror) in lines[0] and url in lines[1] and omniglot.HOST in lines[2]


def test_both_sources_of_cifar10_give_the_same_bytes(small_cifar10, tmp_path):
    for name, mirror in {"mirror": small_cifar10.mirror, "host": None}.items():
        prepare(["cifar10"], tmp_path / name, mirror)
    assert contents(tmp_path / "mirror/cifar10") == contents(tmp_path / "host/cifar10")
    record = store.read_record(tmp_path / "host/cifar10")
    assert record.digest == small_cifar10.digest and record.shape == (3, 8, 32, 32, 3) and record.splits == {}


def test_both_sources_of_cifar_fs_give_the_same_bytes(cifar, tmp_path):
    for name, mirror in {"mirror": cifar.mirror, "host": None}.items():
        prepare(["cifar_fs"], tmp_path / name, mirror)
    assert contents(tmp_path / "mirror/cifar_fs") == contents(tmp_path / "host/cifar_fs")
    record = store.read_record(tmp_path / "host/cifar_fs")
    assert record.digest == cifar.digest and record.shape == (3, 8, 32, 32, 3)
    stored = store.read_classes(tmp_path / "host/cifar_fs", record)
    for images, original in zip(stored, cifar.images.values(), strict=True):
        assert np.array_equal(images, np.stack(original))


def test_each_data_set_has_sources_of_its_own(cifar, small_cifar10, origin, few_glyphs, root, monkeypatch):
    monkeypatch.setattr(omniglot, "HOST", CLOSED_PORT)
    lines = []
    prepare(["omniglot", "cifar_fs", "cifar10"], root, log=lines.append)
    assert "stand-in glyphs" in lines[0] and lines[1] == f"cifar_fs: from {cifar_fs.HOST}"
    assert lines[2] == f"cifar10: from {cifar10.HOST}"
    assert sorted(path.name for path in root.iterdir()) == ["cifar10", "cifar_fs", "glyphs"]


def test_scenes_stand_in_for_cifar_fs(cifar, small_cifar10, few_scenes, root, monkeypatch):
    monkeypatch.delitem(STAND_INS, "mini_imagenet")  # for which they would be kept
    with monkeypatch.context() as offline:
        offline.setattr(cifar_fs, "HOST", CLOSED_PORT)
        prepare(["cifar_fs"], root)
    images = load("cifar_fs", 16, root)
    assert images.title == "scenes (stand-in for CIFAR-FS)"
    assert images.images.shape == (3, 4, 3, 16, 16)
    prepare(["cifar_fs"], root)
    assert load("cifar_fs", 16, root).title == "CIFAR-FS"
    assert (root / "scenes").exists()  # it may stand in for CIFAR-10 as well
    prepare(["cifar10"], root)
    assert not (root / "scenes").exists()


def test_stored_images_are_the_originals(origin, root):
    prepare(["omniglot"], root, origin.mirror)
    record = store.read_record(root / "omniglot")
    assert record.digest == origin.digest
    assert record.classes == tuple(origin.images)
    stored = store.read_classes(root / "omniglot", record)
    for ink, original in zip(stored, origin.images.values(), strict=True):
        assert np.array_equal(255 - ink, original)


def test_colour_is_stored_as_it_is(tmp_path):
    generator = np.random.default_rng(0)
    images = {name: generator.integers(0, 256, (2, 4, 4, 3), dtype=np.uint8) for name in "ab"}
    record = store.write(tmp_path, "colour", images.items(), lambda classes: {}, packed=False)
    assert store.read_record(tmp_path) == record
    assert np.array_equal(list(store.read_classes(tmp_path, record)), list(images.values()))


def test_mirror_comes_from_the_environment(origin, root, monkeypatch):
    monkeypatch.setenv("METAMEMORY_MIRROR", str(origin.mirror))
    monkeypatch.setattr(omniglot, "HOST", CLOSED_PORT)
    prepare(["omniglot"], root)
    assert (root / "omniglot").is_dir()


def test_is_quick_and_changes_nothing_when_all_is_there(origin, root):
    lines = []
    prepare(["omniglot"], root, origin.mirror, lines.append)
    before = {path: path.stat().st_mtime_ns for path in (root / "omniglot").iterdir()}
    prepare(["omniglot"], root, "a mirror that is not needed", lines.append)
    assert before == {path: path.stat().st_mtime_ns for path in (root / "omniglot").iterdir()}
    assert "already" in lines[1]


def test_replaces_damaged_data(origin, root):
    prepare(["omniglot"], root, origin.mirror)
    before = contents(root / "omniglot")
    with (root / "omniglot" / "images.npy").open("r+b") as file:
        file.seek(200)
        file.write(b"damage")
    prepare(["omniglot"], root, origin.mirror)
    assert contents(root / "omniglot") == before


def test_stand_in_when_the_host_is_out_of_reach_and_the_original_later(origin, few_glyphs, root, monkeypatch):
    lines = []
    with monkeypatch.context() as offline:
        offline.setattr(omniglot, "HOST", CLOSED_PORT)
        prepare(["omniglot"], root, log=lines.append)
        prepare(["omniglot"], root, log=lines.append)
    for line in lines:
        assert "could not be reached" in line and "glyphs" in line and "METAMEMORY_MIRROR" in line
    images = load("omniglot", 14, root)
    assert (images.name, images.stands_in_for) == ("glyphs", "omniglot")
    assert images.title == "glyphs (stand-in for Omniglot)"

    prepare(["omniglot"], root, log=lines.append)
    assert load("omniglot", 14, root).title == "Omniglot"
    assert not (root / "glyphs").exists()


def test_drawings_are_made_by_one_thread(few_glyphs, root, monkeypatch):
    """Threads would wait for each other at each of many small operations."""
    counts, draw, before = [], glyphs.draw_classes, torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        monkeypatch.setattr(glyphs, "draw_classes", lambda: (counts.append(torch.get_num_threads()), draw())[1])
        prepare(["glyphs"], root, log=lambda line: None)
        assert counts == [1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_refuses_an_unknown_name(origin, root):
    with pytest.raises(UserError, match="'omniglott'.*omniglot, cifar_fs, .*glyphs, scenes"):
        prepare(["omniglot", "omniglott"], root)
    assert not root.exists()


def test_refuses_a_mirror_that_lacks_the_file(origin, root):
    origin.pack.unlink()
    assert_refused(root, "omniglot.zip.*METAMEMORY_MIRROR", mirror=origin.mirror)


def test_refuses_a_mirror_out_of_reach(origin, root):
    assert_refused(root, "127.0.0.1:9.*omniglot.zip.*refused", mirror=CLOSED_PORT)


def test_refuses_a_pack_with_another_sha256(origin, root):
    origin.pack.write_bytes(origin.pack.read_bytes() + b"\0")
    assert_refused(root, "omniglot.zip.*SHA256SUMS", mirror=origin.mirror)


def test_refuses_a_truncated_pack(origin, root):
    origin.pack.write_bytes(origin.pack.read_bytes()[:-100])
    origin.write_sums()
    assert_refused(root, "omniglot.zip is not a whole pack.*fetch it again", mirror=origin.mirror)


def test_refuses_a_class_with_another_sha256(origin, root, monkeypatch):
    with monkeypatch.context() as wrong:
        wrong.setattr(store, "array_sha256", lambda images: "0" * 64)
        origin.write_pack()
    assert_refused(root, "Abc/character01 does not have its sha256", mirror=origin.mirror)


def test_refuses_a_pack_of_something_else(origin, root):
    origin.images["Mno/character01"][:] = 0
    origin.write_pack()
    assert_refused(root, "is not Omniglot as published: its digest", mirror=origin.mirror)


def test_refuses_a_wrong_md5_of_the_host(origin, root):
    path = origin.host / "images_evaluation.zip"
    path.write_bytes(path.read_bytes() + b"\0")
    assert_refused(root, "images_evaluation.zip has md5")


def test_refuses_another_md5_of_cifar(cifar, root):
    with cifar.archive.open("ab") as archive:
        archive.write(b"\0")
    assert_refused(root, "cifar-100-python.tar.gz has md5", "cifar_fs")


def test_refuses_a_truncated_archive_of_cifar(cifar, root, monkeypatch):
    cifar.archive.write_bytes(cifar.archive.read_bytes()[:-5000])
    monkeypatch.setattr(cifar_fs, "ARCHIVES", cifar.md5s)
    assert_refused(root, "cifar-100-python.tar.gz is not the archive of CIFAR-100 .*fetch it again", "cifar_fs")


def test_refuses_a_cifar_of_other_images(cifar, root, monkeypatch):
    cifar.members["test"]["data"][0] = 0
    cifar.write_archive()
    monkeypatch.setattr(cifar_fs, "ARCHIVES", cifar.md5s)
    assert_refused(root, "is not CIFAR-FS as published: its digest", "cifar_fs")


def test_refuses_a_truncated_download(origin, root, monkeypatch, serve):
    monkeypatch.setattr(omniglot, "HOST", f"{serve(Truncating)}/")
    assert_refused(root, "images_background.zip broke off at 2000 of 1000000 bytes")


def test_says_that_the_disk_is_full(origin, root, monkeypatch):
    def save(path, array):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store, "_save", save)
    assert_refused(root, "disk of .* is full", mirror=origin.mirror)


STALL = """
import sys, time
from pathlib import Path
from metamemory.data import glyphs, store
from metamemory.data.preparation import prepare

def stall(*arguments, **keywords):
    print("stalled", flush=True)
    time.sleep(60)

draw_classes = glyphs.draw_classes
glyphs.draw_classes = lambda: draw_classes(3)
moments = {"images": (store, "_save"), "record": (store, "_checksum"), "rename": (Path, "replace")}
setattr(*moments[sys.argv[2]], stall)
prepare(["glyphs"], sys.argv[1])
"""


@pytest.mark.parametrize("moment", ["images", "record", "rename"])
def test_a_killed_run_leaves_nothing_that_counts(few_glyphs, root, moment):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", STALL, str(root), moment]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout.readline() == b"stalled\n"
        process.send_signal(signal.SIGKILL)
    with pytest.raises(UserError, match="run `make data`"):
        load("glyphs", 14, root)
    assert list((root.parent / ".cache").iterdir()) != []

    prepare(["glyphs"], root)
    assert load("glyphs", 14, root).classes == tuple(name for name, _ in glyphs.draw_classes())
    assert not list((root.parent / ".cache").glob("*.partial"))


@pytest.mark.skipif("METAMEMORY_MIRROR" not in os.environ, reason="METAMEMORY_MIRROR is not set")
def test_omniglot_of_the_mirror(root):
    prepare(["omniglot"], root)
    started = time.perf_counter()
    prepare(["omniglot"], root)
    assert time.perf_counter() - started < 1
    images = load("omniglot", 28, root)
    assert images.digest == omniglot.DIGEST
    assert images.images.shape == (1623, 20, 1, 28, 28)
    assert {part: len(indices) for part, indices in images.splits["lake"].items()} == {
        "train": 806, "validation": 158, "test": 659,
    }  # fmt: skip
    assert images.images.float().mean().item() == pytest.approx(20.53, abs=0.01)  # 8 % ink


@pytest.mark.skipif("METAMEMORY_MIRROR" not in os.environ, reason="METAMEMORY_MIRROR is not set")
def test_cifar10_of_the_mirror(root):
    prepare(["cifar10"], root)
    images = load("cifar10", 16, root)
    assert images.digest == cifar10.DIGEST
    assert images.images.shape == (10, 6000, 3, 16, 16)
    assert images.images[:, :5000].float().mean(dim=(0, 1, 3, 4)).tolist() == pytest.approx(
        [125.3, 123.0, 113.9], abs=0.3
    )


@pytest.mark.skipif("METAMEMORY_MIRROR" not in os.environ, reason="METAMEMORY_MIRROR is not set")
def test_cifar_fs_of_the_mirror(root):
    prepare(["cifar_fs"], root)
    images = load("cifar_fs", 16, root)
    assert images.digest == cifar_fs.DIGEST
    assert images.images.shape == (100, 600, 3, 16, 16)
    assert {part: len(indices) for part, indices in images.splits["bertinetto"].items()} == {
        "train": 64, "validation": 16, "test": 20,
    }  # fmt: skip
    assert images.images.float().mean(dim=(0, 1, 3, 4)).tolist() == pytest.approx([129.3, 124.1, 112.5], abs=0.3)
