"""Members of zip archives, read where they lie and only as large as can be meant."""

import zipfile

MOST_BYTES = 1 << 28  # of a member, unpacked


def read_member(archive: zipfile.ZipFile, name: str, most: int = MOST_BYTES) -> bytes:
    """The bytes of a member. Nothing is unpacked to disk, so that its name may say what it will.

    Raises:
        ValueError: it is larger than `most` bytes.
        Exception: whatever is said of a broken archive.
    """
    size = archive.getinfo(name).file_size
    if size > most:
        raise ValueError(f"{name} has {size} bytes, and at most {most} are read")
    return archive.read(name)


def told(reason: BaseException) -> str:
    """An exception in one line, by its kind where it says nothing else."""
    text = " ".join(str(reason).split())
    return text if text and not isinstance(reason, LookupError) else f"{type(reason).__name__} {text}".strip()
