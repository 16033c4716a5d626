"""Files that are whole or not there."""

import errno

import pytest

from metamemory.errors import UserError
from metamemory.training.files import write_atomically


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    def write(path):
        path.write_text("half", encoding="utf-8")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match="cannot write .*results.json: No space left on device"):
        write_atomically(tmp_path / "results.json", write)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_what_was_there(tmp_path):
    target = tmp_path / "results.json"
    write_atomically(target, lambda path: path.write_text("whole", encoding="utf-8"))
    with pytest.raises(ValueError):
        write_atomically(target, lambda path: path.write_text("new", encoding="utf-8") and int("x"))
    assert target.read_text(encoding="utf-8") == "whole" and len(list(tmp_path.iterdir())) == 1
