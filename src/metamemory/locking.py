"""Locks on files and folders, by which processes keep out of each other's way. A lock is the kernel's: it goes with the
process that holds it, however that ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def take(handle: int, wait: bool = False) -> bool | None:
    """Lock an open file or folder, until it is closed.

    Args:
        wait: where another process holds the lock, until that gives it back.

    Returns:
        Whether it is ours; None on a file system that has no locks.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextmanager
def locked(path: Path, wait: bool = False) -> Iterator[bool]:
    """Hold the lock of a file, which is made if it is not there; False where another process holds it. On a file system
    without locks nothing is held."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield take(handle, wait) is not False
    finally:
        os.close(handle)
