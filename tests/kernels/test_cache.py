"""Compiled libraries are kept where nobody else can write, and loaded only if they are what was written."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from metamemory.kernels import native, zero_state

SOURCE = Path(zero_state.__file__).with_suffix(".c")
pytestmark = [
    pytest.mark.skipif(native.compiler() is None, reason="there is no C compiler"),
    pytest.mark.skipif(os.name != "posix", reason="folders have no owners here"),
]


@pytest.fixture
def places(tmp_path, monkeypatch):
    """The user's cache, and the folder for temporary files, both empty."""
    for name in ("cache", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    native._say.cache_clear()
    native._of_this_process.cache_clear()
    yield tmp_path / "cache" / "metamemory", tmp_path / "temporary" / f"metamemory-{native.USER}"
    native._of_this_process.cache_clear()


def works(library):
    """Whether it computes what it should."""
    a, h, dtype = torch.ones(2, 3), torch.empty(2, 1), torch.float32
    native.call(library.forward, (2, 1), (a, dtype, 6), (h, dtype, 2))
    expected = torch.sigmoid(torch.ones(())) * torch.tanh(torch.sigmoid(torch.ones(())) * torch.tanh(torch.ones(())))
    return torch.allclose(h, expected, atol=1e-6)


def kept(folder):
    return sorted(folder.glob("*.so"))


@pytest.mark.parametrize(
    "harm",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content[:5000] + bytes(64) + content[5064:],
    ],
    ids=["cut short", "empty", "a bit flipped", "a hole"],
)
def test_a_damaged_library_is_built_again(places, harm):
    place, _ = places
    assert works(native.load(SOURCE))
    (path,) = kept(place)
    content = path.read_bytes()
    path.unlink()  # what is loaded already stays as it is
    path.write_bytes(harm(content))
    assert works(native.load(SOURCE))
    (again,) = kept(place)
    assert native._name(again.stem.rpartition("-")[0], again.read_bytes()) == again.stem


def test_one_that_others_could_have_written_is_built_again(places):
    place, _ = places
    assert works(native.load(SOURCE))
    (path,) = kept(place)
    path.chmod(0o666)
    assert works(native.load(SOURCE))
    assert not kept(place)[0].stat().st_mode & 0o022


@pytest.mark.parametrize("open_one", ["metamemory", "."], ids=["the folder", "one above it"])
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777], ids=oct)
def test_a_cache_that_others_can_write_is_not_used_and_that_is_said_once(places, capfd, open_one, mode):
    place, other = places
    place.mkdir()
    (place.parent / open_one).chmod(mode)
    if mode == 0o1777 and open_one == ".":  # with the sticky bit nobody else can replace what is in it
        assert works(native.load(SOURCE)) and kept(place) and not other.exists()
        return
    assert works(native.load(SOURCE)) and works(native.load(SOURCE))
    assert not kept(place) and len(kept(other)) == 1
    said = capfd.readouterr().err.splitlines()
    stranger = (place.parent / open_one).resolve()
    assert said == [f"kernels: {place} is not used, as others can write to {stranger}; chmod go-w mends that"]


@pytest.mark.skipif(native.USER != 0, reason="only root can give a folder away")
def test_a_cache_of_somebody_else_is_not_used(places):
    place, other = places
    place.mkdir()
    os.chown(place, 12345, 12345)
    assert works(native.load(SOURCE))
    assert not kept(place) and kept(other)
    for each in (place, other):
        os.chown(each, 12345, 12345)
    assert works(native.load(SOURCE))  # in a folder of this process


def test_without_a_home_and_where_nothing_can_be_made(places, monkeypatch, tmp_path):
    _, other = places
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user who is not known
    assert works(native.load(SOURCE)) and kept(other)
    (tmp_path / "a file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a file"))
    assert native.load(SOURCE) is None  # so the formulas are used


def test_processes_that_build_at_once(places):
    place, _ = places
    code = (
        "import torch; from metamemory.kernels.zero_state import zero_state_gates as gates, zero_state_gates_reference;"
        "a = torch.rand(2, 6, 3, 3); assert torch.allclose(gates(a), zero_state_gates_reference(a), atol=1e-5)"
    )
    running = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(3)]
    assert [(each.communicate()[1], each.returncode) for each in running] == [(b"", 0)] * 3
    assert len(kept(place)) == 1 and not [*place.glob(".*")]
