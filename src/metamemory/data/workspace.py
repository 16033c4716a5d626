"""Where data is prepared: one command at a time, in folders of its own, and moved into place whole.

Both hold after a crash: a lock is the kernel's, and goes with the process that holds it; a folder that no process has
locked was left by one that was killed, and is removed.
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from metamemory.data.images import CACHE, PARTIAL
from metamemory.locking import take


@contextmanager
def alone(folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock on a folder, which is made if it is not there, and removed again if nothing came into it.

    Args:
        waiting: is called where another process holds the lock, before it is waited for. On a file system without
            locks nothing is.
    """
    made = not folder.exists()
    handle = _locked(folder, waiting)
    try:
        yield
    finally:
        if made and not any(folder.iterdir()):
            folder.rmdir()
        os.close(handle)


def _locked(folder: Path, waiting: Callable[[], None]) -> int:
    """The folder, open and locked."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        if take(handle) is False:
            waiting()
            take(handle, wait=True)
        if folder.exists() and os.path.samestat(os.fstat(handle), folder.stat()):
            return handle
        os.close(handle)  # it was removed by the one that had it before


@contextmanager
def workspace(root: Path) -> Iterator[Path]:
    """An empty folder for unfinished work in `.cache` beside `root`, removed at the end."""
    cache = root.parent / CACHE
    cache.mkdir(parents=True, exist_ok=True)
    for folder in (*cache.glob(f"*{PARTIAL}"), *root.glob(f".*{PARTIAL}")):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)
    own = Path(mkdtemp(suffix=PARTIAL, dir=cache))
    handle = os.open(own, os.O_RDONLY)
    try:
        take(handle)
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
        os.close(handle)


def _is_abandoned(folder: Path) -> bool:
    """Whether no process holds its lock; False where that cannot be told."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        return take(handle) is True
    finally:
        os.close(handle)


def move(fresh: Path, folder: Path) -> None:
    """Put a finished folder in the place of another, whole or not at all, whatever file systems they are on.

    `folder` may be a link: then it is the link that is replaced.
    """
    beside = folder.with_name(f".{folder.name}{PARTIAL}")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        fresh.replace(beside)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copytree(fresh, beside)
    former = folder.with_name(f".{folder.name}.former{PARTIAL}")
    if former.is_symlink():
        former.unlink()
    shutil.rmtree(former, ignore_errors=True)
    if folder.is_symlink() or folder.exists():  # damaged, else it would not be prepared again
        folder.replace(former)
    beside.replace(folder)
    if former.is_symlink():
        former.unlink()
    shutil.rmtree(former, ignore_errors=True)
