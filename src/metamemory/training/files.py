"""Files that are there whole or not at all; and the one place where what the world outside can do to a file, from a
full disk to a flipped bit, becomes one line that names it."""

import errno
import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from metamemory.errors import UserError
from metamemory.locking import take

TEMPORARY = ".tmp"  # how the names of files end that are being written
PROBE = 1 << 16  # bytes that are written to find out whether any can be
MENDS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "make room and run again"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "make its folder one that you can write to"),
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), "a file is where its folder has to be: move it away"),
    errno.EISDIR: "a folder is where the file has to be: move it away",
    errno.ENAMETOOLONG: "give it a shorter name",
}


def write_atomically(path: Path, write: Callable[[Path], object], durable: bool = True) -> None:
    """Let `write` fill a temporary file beside `path`, then move it into place; `durable` unless it is soon made again,
    so that it survives a loss of power.

    Raises:
        UserError: the disk is full or the folder cannot be written to; nothing is left behind.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _temporary(path) as (temporary, handle):
            write(temporary)
            temporary.chmod(0o644)
            if durable:
                os.fsync(handle)
            temporary.replace(path)
            if durable:
                _sync_folder(path.parent)


def write_text(path: Path, text: str, durable: bool = True) -> None:
    """`write_atomically` of a text, in UTF-8."""
    write_bytes(path, text.encode(), durable)


def write_bytes(path: Path, content: bytes, durable: bool = True) -> None:
    """`write_atomically` of what a file is to hold."""
    write_atomically(path, lambda temporary: temporary.write_bytes(content), durable)


def require_writable(path: Path, room: int = PROBE) -> None:
    """Find out, before any work is done for it, whether a file of `room` bytes could be written.

    Raises:
        UserError: it could not.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with _temporary(path) as (_, handle):
            os.write(handle, bytes(PROBE))
            if room > PROBE and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(handle, 0, room)
            os.fsync(handle)


def remove_abandoned(folders: Iterable[Path]) -> None:
    """Remove temporary files whose writers have died: whoever is alive holds a lock on the file that it writes."""
    for path in (path for folder in folders for path in folder.glob(f".*{TEMPORARY}")):
        with suppress(OSError):
            handle = os.open(path, os.O_RDWR)
            try:
                if take(handle):
                    path.unlink()
            finally:
                os.close(handle)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Whatever keeps the body from writing the file at `path` is one line.

    Raises:
        UserError: the system refuses; what is to be written cannot be written as such a file.
    """
    try:
        yield
    except OSError as error:
        mend = MENDS.get(error.errno, "mend that and run again")
        raise UserError(f"cannot write {path}: {error.strerror or error}; {mend}") from error
    except (RuntimeError, SafetensorError) as error:
        raise UserError(f"cannot write {path}: {first_line(error)}") from error


@contextmanager
def reading(path: Path, mend: str) -> Iterator[None]:
    """Whatever the body finds wrong with the file at `path` is one line, which ends with the mend.

    Raises:
        UserError: it is missing, cannot be read, or is damaged: a damaged file can fail in as many ways as there are
            bytes in it.
    """
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path} is missing: {mend}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}): {mend}") from error
    except Exception as error:
        raise UserError(f"{path} is damaged ({first_line(error)}): {mend}") from error


def read_json(path: Path, mend: str, kind: type = dict) -> Any:
    """What a JSON file holds, which is a `kind`.

    Raises:
        UserError: it is missing, cannot be read, or is none.
    """
    with reading(path, mend):
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, kind):
            raise ValueError(f"it holds a {type(found).__name__}, not a {kind.__name__}")
        return found


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its kind where it says nothing, or only a key."""
    text = " ".join(str(error).strip().partition("\n")[0].split())
    return text if text and not isinstance(error, KeyError) else f"{type(error).__name__} {text}".strip()


@contextmanager
def _temporary(path: Path) -> Iterator[tuple[Path, int]]:
    """A file beside `path` that is locked as long as its writer lives, and gone afterwards."""
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=TEMPORARY)
        with suppress(OSError):  # of file systems that have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.path.exists(name):  # else someone has taken it for abandoned before it was locked
            break
        os.close(handle)
    try:
        yield Path(name), handle
    finally:
        with suppress(OSError):
            os.unlink(name)
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # of file systems that have no such thing
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
