"""Files that are whole or not there, and one line for whatever happens to them."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors import SafetensorError

from metamemory.errors import UserError
from metamemory.training import files
from metamemory.training.files import read_json, remove_abandoned, require_writable, write_atomically, write_text


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    def write(path):
        path.write_text("half", encoding="utf-8")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match="cannot write .*results.json: No space left on device; make room and run"):
        write_atomically(tmp_path / "results.json", write)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_what_was_there(tmp_path):
    target = tmp_path / "results.json"
    write_atomically(target, lambda path: path.write_text("whole", encoding="utf-8"))
    with pytest.raises(ValueError):
        write_atomically(target, lambda path: path.write_text("new", encoding="utf-8") and int("x"))
    assert target.read_text(encoding="utf-8") == "whole" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("error", [RuntimeError("[enforce fail]\nmore"), SafetensorError("shared"), OSError(28, "x")])
def test_what_libraries_raise_is_one_line(tmp_path, error):
    def write(path):
        raise error

    with pytest.raises(UserError, match=r"^cannot write .*f\.pt: [^\n]*$"):
        write_atomically(tmp_path / "f.pt", write)


@pytest.fixture
def obstructed(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "folder" / "in.json").mkdir(parents=True)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "x")
    return tmp_path


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("file/a.json", "a file is where its folder has to be: move it away"),
        ("file/further/a.json", "a file is where its folder has to be: move it away"),
        ("dangling/a.json", "a file is where its folder has to be: move it away"),
        ("folder/in.json", "a folder is where the file has to be: move it away"),
        ("folder/" + "n" * 256, "File name too long; give it a shorter name"),
        ("f" * 256 + "/a.json", "File name too long; give it a shorter name"),
    ],
)
def test_what_cannot_be_written_is_known_before(obstructed, place, message):
    for write in (require_writable, lambda path: write_text(path, "")):
        with pytest.raises(UserError, match=message):
            write(obstructed / place)
    assert not list(obstructed.rglob(f"*{files.TEMPORARY}"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.EXDEV])
@pytest.mark.parametrize("call", ["mkdir", "mkstemp", "fsync", "write", "replace"])
def test_whatever_the_system_refuses_is_one_line(tmp_path, monkeypatch, call, number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    place = {"mkdir": "pathlib.Path.mkdir", "replace": "pathlib.Path.replace", "mkstemp": "tempfile.mkstemp"}
    with monkeypatch.context() as patch:
        patch.setattr(place.get(call, f"os.{call}"), refuse)
        for write in (require_writable, lambda path: write_text(path, "x")):
            uses = call in ("mkdir", "mkstemp", "fsync") or (call == "write") == (write is require_writable)
            if uses:
                with pytest.raises(UserError, match=f"cannot write .*a.json: {os.strerror(number)}; "):
                    write(tmp_path / "a.json")
    assert not list(tmp_path.iterdir())


def test_names_as_long_as_the_system_takes_are_written(tmp_path):
    path = tmp_path / ("ü" * 125 + ".json")
    require_writable(path)
    write_text(path, "x")
    assert [each.name for each in tmp_path.iterdir()] == [path.name] and path.stat().st_mode & 0o777 == 0o644


def test_temporary_files_of_the_dead_go_and_those_of_the_living_stay(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from metamemory.training.files import write_atomically\n"
        "write_atomically(Path(sys.argv[1]), lambda path: (path.write_text('half', encoding='utf-8'), time.sleep(60)))"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a.json")])
    try:
        deadline = time.monotonic() + 30
        while not any(each.stat().st_size for each in tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
        (temporary,) = tmp_path.iterdir()
        remove_abandoned([tmp_path, tmp_path / "nowhere"])
        assert temporary.exists()
    finally:
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    assert temporary.exists()
    remove_abandoned([tmp_path])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"null", b"3", b'"a"', b"\xff\xfe{}", b"[" * 100_000, b'{"a": 1}x', None]
)
def test_json_of_another_kind_is_one_line(tmp_path, content):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"^\S*a.json is (missing|damaged \([^\n]*\)): mend it$"):
        read_json(path, "mend it")
    path.unlink(missing_ok=True)
    path.mkdir()
    with pytest.raises(UserError, match=r"a.json cannot be read \(Is a directory\): mend it"):
        read_json(path, "mend it")


def test_a_file_that_torch_could_not_write_is_one_line(tmp_path):
    """The writer of torch raises errors of its own where the disk is full."""
    with pytest.raises(UserError, match="cannot write .*a.pt: "):
        write_atomically(tmp_path / "a.pt", lambda path: torch.save({"a": torch.ones(1 << 20)}, "/dev/full"))
