"""What a network, a mirror or a disk may do, and what is said of it."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from metamemory.data import download, load, omniglot, pictures, store, workspace
from metamemory.data.download import Unreachable
from metamemory.data.download import download as fetch
from metamemory.data.preparation import prepare
from metamemory.errors import UserError

PAGE = b"<!DOCTYPE html><html><body>Log in to the network of this hotel</body></html>"


def quiet(line: str) -> None:
    pass


def assert_refused(root: Path, match: str, mirror: Path | str) -> None:
    """One line that matches, and nothing left."""
    with pytest.raises(UserError, match=match) as error:
        prepare(["omniglot"], root, mirror, quiet)
    assert "\n" not in str(error.value) and ".partial" not in str(error.value)
    assert not root.exists() and not list((root.parent / ".cache").glob("*"))


@pytest.fixture
def serve():
    """A server on this machine that answers as a function of the handler does; its URL."""
    servers = []

    def start(answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                answer(self)

            def log_message(self, *arguments):
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        servers[-1].daemon_threads = True
        Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def say(handler, body: bytes, code: int = 200, **headers: str) -> None:
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize("length", ["abc", "", "-1", "1e3", "12 34", "9" * 40])
def test_a_length_that_is_none_does_not_matter(serve, tmp_path, length):
    """What was served is checked by its digest."""
    url = serve(lambda handler: say(handler, b"content", Content_Length=length))
    fetch(f"{url}/file", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"content"


def test_without_a_length_all_is_taken(serve, tmp_path):
    url = serve(lambda handler: say(handler, b"content" * 100_000))
    fetch(f"{url}/file", tmp_path / "file")
    assert (tmp_path / "file").stat().st_size == 700_000


def test_a_length_too_long_means_that_it_broke_off(serve, tmp_path):
    url = serve(lambda handler: say(handler, b"content", Content_Length="100"))
    with pytest.raises(UserError, match=f"{url}/file broke off at 7 of 100 bytes: run it again"):
        fetch(f"{url}/file", tmp_path / "file")


def test_redirects_are_followed(serve, tmp_path):
    def answer(handler):
        if handler.path == "/old":
            say(handler, b"", 302, Location="/new", Content_Length="0")
        else:
            say(handler, b"content", Content_Length="7")

    fetch(f"{serve(answer)}/old", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"content"


@pytest.mark.parametrize("code", [401, 403, 404, 410, 429, 500, 503])
def test_errors_of_the_host_make_it_unreachable(serve, tmp_path, code):
    url = serve(lambda handler: say(handler, PAGE, code, Content_Length=str(len(PAGE))))
    with pytest.raises(Unreachable, match=str(code)):
        fetch(f"{url}/file", tmp_path / "file")


@pytest.mark.parametrize(
    "answer",
    [
        lambda handler: say(handler, b"", 302, Location=handler.path, Content_Length="0"),
        lambda handler: say(handler, b"", 302, Location="file:///etc/passwd", Content_Length="0"),
        lambda handler: handler.wfile.write(b"nonsense\r\n\r\n"),
        lambda handler: handler.connection.close(),
    ],
)
def test_answers_that_are_none_make_it_unreachable(serve, tmp_path, answer):
    with pytest.raises(Unreachable):
        fetch(f"{serve(answer)}/file", tmp_path / "file")


@pytest.mark.parametrize(
    "url", ["http://[::1", "gopher://host/file", "http://host:port/file", "http://a b/file", "://"]
)
def test_what_is_no_address_makes_it_unreachable(tmp_path, url):
    with pytest.raises(Unreachable):
        fetch(url, tmp_path / "file")


def test_addresses_may_have_spaces_and_other_scripts(serve, tmp_path):
    asked = []

    def answer(handler):
        asked.append(handler.path)
        say(handler, b"content", Content_Length="7")

    fetch(f"{serve(answer)}/daten für 学习/file%20name", tmp_path / "file")
    assert asked == ["/daten%20f%C3%BCr%20%E5%AD%A6%E4%B9%A0/file%20name"]


def test_a_host_that_says_nothing_is_not_waited_for(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    url = serve(lambda handler: time.sleep(2))
    with pytest.raises(Unreachable, match="timed out"):
        fetch(f"{url}/file", tmp_path / "file")


def test_a_host_that_falls_silent_is_not_waited_for(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)

    def answer(handler):
        say(handler, b"content", Content_Length="100")
        handler.wfile.flush()
        time.sleep(2)

    with pytest.raises(UserError, match="broke off .*timed out"):
        fetch(f"{serve(answer)}/file", tmp_path / "file")


@pytest.mark.parametrize("limit", ["PATIENCE", "LONGEST"])
def test_a_host_that_drips_is_given_up(serve, tmp_path, monkeypatch, limit):
    """A byte now and then, each within the time-out."""
    monkeypatch.setattr(download, limit, 0.3)

    def answer(handler):
        say(handler, b"", Content_Length="1000000")
        for _ in range(100):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    started = time.monotonic()
    with pytest.raises(UserError, match="was given up: run it again"):
        fetch(f"{serve(answer)}/file", tmp_path / "file")
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_without_end_is_not_taken(serve, tmp_path, announced):
    def answer(handler):
        say(handler, b"", **({"Content_Length": "1000000000000"} if announced else {}))
        while True:
            handler.wfile.write(b"x" * 65536)

    with pytest.raises(UserError, match="at most 200000 are taken"):
        fetch(f"{serve(answer)}/file", tmp_path / "file", most=200_000)
    assert (tmp_path / "file").stat().st_size <= 200_000


# Mirrors


@pytest.mark.parametrize(("body", "kind"), [(PAGE, "a page"), (b"\n <html>", "a page"), (b"", "something else")])
def test_a_mirror_that_answers_with_a_page_is_named(origin, root, serve, body, kind):
    url = serve(lambda handler: say(handler, body, Content_Length=str(len(body))))
    assert_refused(root, f"^{url}/omniglot.zip answered with {kind} .*METAMEMORY_MIRROR", url)


def test_a_mirror_whose_sums_are_a_page_is_checked_all_the_same(origin, root, serve):
    pack = origin.pack.read_bytes()

    def answer(handler):
        say(handler, pack if handler.path.endswith("zip") else PAGE)

    prepare(["omniglot"], root, serve(answer), quiet)
    assert load("omniglot", 13, root).digest == origin.digest


def test_a_damaged_pack_of_a_mirror_is_called_by_its_address(origin, root, serve):
    pack = bytearray(origin.pack.read_bytes())
    pack[200] ^= 255
    url = serve(lambda handler: say(handler, bytes(pack)))
    assert_refused(root, f"^{url}/omniglot.zip is not a whole pack", url)


def test_an_archive_of_the_host_that_is_a_page_is_called_so(origin, root, serve, monkeypatch):
    url = serve(lambda handler: say(handler, PAGE))
    monkeypatch.setattr(omniglot, "HOST", f"{url}/")
    assert_refused(root, f"{url}/images_background.zip has md5 .*for it is a page: .*use a mirror", "")


@pytest.mark.parametrize("sums", [b"\xff\xfe\x00", b"", b"one two three\n", PAGE, b"0" * 64])
def test_sums_that_are_none_do_not_matter(origin, root, sums):
    (origin.mirror / "SHA256SUMS").write_bytes(sums)
    prepare(["omniglot"], root, origin.mirror, quiet)


@pytest.mark.parametrize("line", ["{digest}  {file}\n", "{digest} *{file}\n", "{DIGEST}  {file}\n"])
def test_sums_in_every_spelling_are_compared(origin, root, line):
    digest = store.file_sha256(origin.pack)
    said = line.format(digest=digest, DIGEST=digest.upper(), file="omniglot.zip")
    (origin.mirror / "SHA256SUMS").write_text(said, encoding="utf-8")
    prepare(["omniglot"], root, origin.mirror, quiet)
    wrong = line.format(digest="a" * 64, DIGEST="A" * 64, file="omniglot.zip")
    (origin.mirror / "SHA256SUMS").write_text(wrong, encoding="utf-8")
    assert_refused(root.parent.parent / "other" / "data", "is not as its SHA256SUMS says", origin.mirror)


def rewritten(origin, change) -> None:
    """The pack with another manifest."""
    with zipfile.ZipFile(origin.pack) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = change(json.loads(members["manifest.json"]))
    content = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    with zipfile.ZipFile(origin.pack, "w") as archive:
        for name, each in {**members, "manifest.json": content}.items():
            archive.writestr(name, each)
    origin.write_sums()


def with_entry(**changes):
    def change(manifest):
        manifest["classes"][0] |= changes
        return manifest

    return change


MANIFESTS = {
    "a list": lambda manifest: [],
    "a text": lambda manifest: "text",
    "null": lambda manifest: None,
    "a number": lambda manifest: 7,
    "not JSON": lambda manifest: b"{",
    "not text": lambda manifest: b"\xff\xfe\x00",
    "too deep": lambda manifest: b"[" * 100_000,
    "of another format": lambda manifest: {**manifest, "format": "mosaic-pack/2"},
    "without classes": lambda manifest: {"format": "mosaic-pack/1"},
    "classes null": lambda manifest: {**manifest, "classes": None},
    "classes a mapping": lambda manifest: {**manifest, "classes": {"a": 1}},
    "classes of texts": lambda manifest: {**manifest, "classes": ["a"]},
    "no classes": lambda manifest: {**manifest, "classes": []},
    "shape null": lambda manifest: {**manifest, "image_shape": None},
    "shape of texts": lambda manifest: {**manifest, "image_shape": ["a", "b"]},
    "shape 0": lambda manifest: {**manifest, "image_shape": [0, 0]},
    "columns 0": with_entry(columns=0),
    "columns a text": with_entry(columns="5"),
    "columns null": with_entry(columns=None),
    "count a list": with_entry(count=[]),
    "member null": with_entry(member=None),
    "member elsewhere": with_entry(member="../../../etc/passwd"),
    "member absolute": with_entry(member="/etc/passwd"),
    "name a list": with_entry(name=["a"]),
    "digest wrong": with_entry(sha256="0" * 64),
    "digest null": with_entry(sha256=None),
}


@pytest.mark.parametrize("fault", MANIFESTS)
def test_a_damaged_manifest_is_one_line(origin, root, fault):
    rewritten(origin, MANIFESTS[fault])
    assert_refused(root, "omniglot.zip is not (a whole pack|Omniglot as published)", origin.mirror)


def test_members_with_paths_outside_are_not_unpacked(origin, root, tmp_path):
    with zipfile.ZipFile(origin.pack, "a") as archive:
        for name in ("../../escaped", "/tmp/escaped", "a/../../../escaped"):
            archive.writestr(name, b"x")
    origin.write_sums()
    prepare(["omniglot"], root, origin.mirror, quiet)
    assert not list(tmp_path.rglob("escaped")) and not Path("/tmp/escaped").exists()


def test_a_member_that_unpacks_to_much_is_not_read(origin, root):
    def bomb(manifest):
        return b" " * (1 << 29)

    with zipfile.ZipFile(origin.pack, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("manifest.json", bomb(None))
    origin.write_sums()
    assert origin.pack.stat().st_size < 1 << 23
    assert_refused(root, "manifest.json has 536870912 bytes, and at most", origin.mirror)


def test_an_image_that_unpacks_to_much_is_not_read(origin, root, monkeypatch):
    monkeypatch.setattr(pictures, "MOST_PIXELS", 100)
    assert_refused(root, "not a whole pack .*pixels", origin.mirror)


def test_images_are_read_in_their_own_formats_only(origin, root):
    """What Pillow would make of a file by its content is not asked: some formats run programs."""
    name = origin.images and "background/Abc/character01.webp"
    with zipfile.ZipFile(origin.pack) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    members[name] = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n"
    with zipfile.ZipFile(origin.pack, "w") as archive:
        for each, content in members.items():
            archive.writestr(each, content)
    origin.write_sums()
    assert_refused(root, "not a whole pack .*cannot identify", origin.mirror)


def test_every_image_is_opened_with_formats():
    """The one place that calls Pillow's `open` is `data.pictures`."""
    package = Path(store.__file__).parents[1]
    found = [path.name for path in package.rglob("*.py") if "Image.open(" in path.read_text(encoding="utf-8")]
    assert found == ["pictures.py"]


# Where data lies


def other_file_system(tmp_path: Path, monkeypatch) -> Path:
    """A folder that cannot be renamed into from elsewhere, as if it were on another file system."""
    far = tmp_path / "far"
    far.mkdir()
    rename = os.replace

    def refuse(source, target, **more):
        ends = [Path(os.path.realpath(Path(each).parent)).is_relative_to(far) for each in (source, target)]
        if ends[0] != ends[1]:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source), None, str(target))
        return rename(source, target, **more)

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(os, "rename", refuse)
    return far


def test_data_may_be_a_link_to_another_file_system(origin, few_glyphs, root, tmp_path, monkeypatch):
    far = other_file_system(tmp_path, monkeypatch)
    root.parent.mkdir(parents=True)
    root.symlink_to(far)
    prepare(["omniglot"], root, origin.mirror, quiet)
    with (root / "omniglot/images.npy").open("ab") as file:
        file.write(b"damage")
    prepare(["omniglot"], root, origin.mirror, quiet)  # replaces
    assert load("omniglot", 13, root).digest == origin.digest
    assert sorted(each.name for each in far.iterdir()) == ["omniglot"]


def test_a_data_set_may_be_a_link(origin, root, tmp_path):
    root.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (root / "omniglot").symlink_to(tmp_path / "elsewhere")
    prepare(["omniglot"], root, origin.mirror, quiet)
    assert load("omniglot", 13, root).digest == origin.digest and list((tmp_path / "elsewhere").iterdir()) == []
    (root / "glyphs").symlink_to(tmp_path / "nowhere")  # dangling
    workspace.move(root / "omniglot", root / "glyphs")
    assert sorted(each.name for each in root.iterdir()) == ["glyphs"]


def test_nothing_is_written_where_all_is_there(origin, root):
    prepare(["omniglot"], root, origin.mirror, quiet)
    (root.parent / ".cache").rmdir()
    prepare(["omniglot"], root, "no mirror", quiet)
    assert [each.name for each in root.parent.iterdir()] == ["data"]


@pytest.mark.parametrize(
    "content", [b"[]", b"7", b"null", b'"text"', b"\xff", b"[" * 100_000, b"{}", b'{"sha256": []}']
)
def test_a_record_of_another_json_type_is_damaged(origin, root, content):
    prepare(["omniglot"], root, origin.mirror, quiet)
    (root / "omniglot/classes.json").write_bytes(content)
    with pytest.raises(UserError, match="classes.json is missing, truncated or altered"):
        load("omniglot", 13, root)
    prepare(["omniglot"], root, origin.mirror, quiet)
    assert load("omniglot", 13, root).digest == origin.digest


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES])
def test_what_a_disk_refuses_is_one_line(origin, root, monkeypatch, number):
    def save(path, array):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(store, "_save", save)
    assert_refused(root, "run `make data` again", origin.mirror)


PREPARING = """
import sys, time
from pathlib import Path
from metamemory.data import glyphs, store
from metamemory.data.preparation import prepare

draw_classes, save = glyphs.draw_classes, store._save
glyphs.draw_classes = lambda: draw_classes(3)

def slow(*arguments):
    print("at work", flush=True)
    while not Path(sys.argv[2]).exists():
        time.sleep(0.05)
    save(*arguments)

store._save = slow
prepare(["glyphs"], sys.argv[1])
"""


def start(root: Path, go_on: Path) -> subprocess.Popen:
    """A command that stops in the middle until there is a file `go_on`."""
    path = os.pathsep.join(each for each in sys.path if each)
    environment = os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", PREPARING, str(root), str(go_on)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True, encoding="utf-8")


def test_a_second_command_waits_for_the_first(root, tmp_path):
    with start(root, tmp_path / "go") as first:
        assert first.stdout.readline() == "at work\n"
        with start(root, tmp_path / "go") as second:
            assert "another command prepares" in second.stdout.readline()
            (tmp_path / "go").touch()
            assert second.stdout.read() == f"glyphs: already in {root / 'glyphs'}\n"
            assert second.wait() == 0
        assert first.wait() == 0
    assert load("glyphs", 14, root).images.shape == (3, 20, 1, 14, 14)


def test_a_lock_does_not_outlive_its_command(root, tmp_path, few_glyphs):
    with start(root, tmp_path / "never") as victim:
        assert victim.stdout.readline() == "at work\n"
        victim.send_signal(signal.SIGKILL)
    began = time.monotonic()
    prepare(["glyphs"], root, log=quiet)
    assert time.monotonic() - began < 30
    assert not list((root.parent / ".cache").glob("*.partial"))


def test_the_folder_of_a_command_at_work_is_left_alone(root):
    root.mkdir(parents=True)
    with workspace.workspace(root) as own:
        (own / "half").write_bytes(b"x")
        with workspace.workspace(root) as other:
            assert other != own and (own / "half").exists()
        assert (own / "half").exists()
    assert not own.exists()


# A data set of which no digest was published


def fss(folder: Path, value: int) -> Path:
    for name in ("apple", "zebra"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(1, 11):
            Image.fromarray(np.full((64, 64, 3), value + number, np.uint8)).save(folder / name / f"{number}.jpg", "png")
            mask = np.zeros((64, 64), np.uint8)
            mask[8:40, 8:40] = 255
            Image.fromarray(mask).save(folder / name / f"{number}.png")
    return folder


def test_the_files_used_first_are_those_used_afterwards(tmp_path, root, monkeypatch):
    from metamemory.data import fss1000

    lists = {"train": ["zebra"], "validation": [], "test": ["apple"]}
    monkeypatch.setattr(fss1000, "class_lists", lambda: lists)
    first = fss(tmp_path / "first", 0)
    with zipfile.ZipFile(tmp_path / "first.zip", "w") as archive:
        for path in sorted(first.rglob("*.*"), reverse=True):
            archive.write(path, f"fewshot_data/{path.relative_to(first)}")
    monkeypatch.setenv(fss1000.VARIABLE, str(first))
    prepare(["fss1000"], root, log=quiet)
    kept = root.with_name("data.digests.json")
    (digest,) = json.loads(kept.read_text(encoding="utf-8")).values()
    for source in (tmp_path / "first.zip", first):  # the same files, packed or not
        (root / "fss1000/images.npy").unlink()
        monkeypatch.setenv(fss1000.VARIABLE, str(source))
        prepare(["fss1000"], root, log=quiet)
    (root / "fss1000/images.npy").unlink()
    monkeypatch.setenv(fss1000.VARIABLE, str(fss(tmp_path / "second", 1)))
    with pytest.raises(
        UserError, match=f"not those of the FSS-1000 that was used first: .*data.digests.json has {digest}"
    ):
        prepare(["fss1000"], root, log=quiet)
    for damaged in ("[]", "{", "7", '{"fss1000": 7}'):
        kept.write_text(damaged, encoding="utf-8")
        with pytest.raises(UserError, match="data.digests.json"):
            prepare(["fss1000"], root, log=quiet)
