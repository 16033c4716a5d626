"""Where the memory of large tensors comes from."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # names and numbers of malloc.h


def keep_freed_memory() -> None:
    """Let what this process frees stay with it, to be used again.

    glibc's malloc asks the system anew for every large block and gives it back at once, and the system clears
    each page of it at first touch: a training step that fills the same buffers each time spends a good part of
    its time on that. Where malloc is another, this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)
