"""Fill `data/` from the first source that works: a mirror, the original host, the embedded stand-in.

All work is done in a temporary folder in `.cache` beside the root, on the same file system, and what is
finished is renamed into place: a run killed at any moment leaves nothing that a later one could take for
whole. One preparation at a time: each begins by clearing what a killed one left.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import numpy as np
from tqdm import tqdm

from metamemory.data import glyphs, omniglot, packs, store
from metamemory.data.download import Unreachable, download
from metamemory.data.images import CACHE, PARTIAL, STAND_INS, TITLES
from metamemory.errors import UserError


def prepare(
    names: Iterable[str] = ("omniglot",),
    root: Path | str = Path("data"),
    mirror: str | Path | None = None,
    log: Callable[[str], None] = print,
) -> None:
    """Fill `root/<name>` for each name, logging one line each that says which source served.

    Data already there and whole is left alone. Of "omniglot" the sources are, in this order:

    1. the mirror, where one is given: `omniglot.zip` there must be whole, there is no falling back from it;
    2. the original host;
    3. where the host does not serve it, the embedded stand-in, prepared as `root/glyphs`.

    Args:
        names: "omniglot", "glyphs".
        mirror: folder or URL of packs; the environment variable METAMEMORY_MIRROR when None.

    Raises:
        UserError: unknown name; a file of the mirror is missing or corrupt; a download is truncated or has
            the wrong digest; the disk is full. Nothing half-written is left.
    """
    root, names = Path(root), list(names)
    mirror = str(mirror or os.environ.get("METAMEMORY_MIRROR", ""))
    with _workspace(root) as workspace:
        for name in names:
            if name not in TITLES:
                raise UserError(f"unknown data set {name!r}: choose from {', '.join(TITLES)}")
            log(f"{name}: {_prepare(name, root, mirror, workspace)}")
        for real, stand_in in STAND_INS.items():
            if stand_in not in names and store.exists(root / real) and store.exists(root / stand_in):
                shutil.rmtree(root / stand_in)  # it stood in for what has come since


def _prepare(name: str, root: Path, mirror: str, workspace: Path) -> str:
    """Prepare one data set; return what the log says of it."""
    if _is_whole(root / name):
        return f"already in {root / name}"
    if name == "glyphs":
        _install(root / name, workspace, glyphs.draw_classes(), glyphs.splits, "the embedded fonts")
        return "drawn from the fonts that ship with matplotlib"
    if mirror:
        pack = _from_mirror(mirror, f"{name}.zip", workspace)
        classes = ((class_name, images) for _, class_name, images in packs.read_pack(pack))
        _install(root / name, workspace, classes, omniglot.splits, str(pack), omniglot.DIGEST)
        return f"from the mirror {mirror}"
    try:
        archives = [_from_host(file, md5, workspace) for file, md5 in omniglot.ARCHIVES.items()]
    except Unreachable as reason:
        stand_in = STAND_INS[name]
        _prepare(stand_in, root, mirror, workspace)
        return (
            f"{urlsplit(omniglot.HOST).netloc} could not be reached ({reason}), so the stand-in {stand_in} "
            f"is used; for the real one, METAMEMORY_MIRROR=<folder or URL that has {name}.zip> make data"
        )
    classes = chain.from_iterable(omniglot.read_archive(archive) for archive in archives)
    _install(root / name, workspace, classes, omniglot.splits, omniglot.HOST, omniglot.DIGEST)
    return f"from {omniglot.HOST}"


def _is_whole(folder: Path) -> bool:
    try:
        store.check_images(folder, store.read_record(folder))
    except UserError:
        return False
    return True


def _install(
    folder: Path,
    workspace: Path,
    classes: Iterable[tuple[str, np.ndarray]],
    splits: Callable[[tuple[str, ...]], store.Splits],
    source: str,
    digest: str | None = None,
) -> None:
    """Write drawings into the workspace, check their digest where it is known, and move them to `folder`."""
    fresh = workspace / folder.name
    fresh.mkdir()
    progress = tqdm(classes, desc=folder.name, unit=" classes", leave=False)
    try:
        store.write(fresh, folder.name, progress, splits, packed=True, digest=digest)
    except ValueError as reason:
        raise UserError(f"{source} is not {TITLES[folder.name]} as published: {reason}") from reason
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():  # damaged, else it would not be prepared again; os.replace wants an empty place
        folder.replace(workspace / f"{folder.name}.damaged")
    fresh.replace(folder)


def _from_mirror(mirror: str, file: str, workspace: Path) -> Path:
    """Path of a mirror's file, fetched if the mirror is a URL, with the digest that its SHA256SUMS gives."""
    if "://" in mirror:
        path, sums = workspace / file, workspace / "SHA256SUMS"
        try:
            download(f"{mirror.rstrip('/')}/{file}", path)
        except Unreachable as reason:
            raise _mirror_lacks(mirror, file, reason) from reason
        try:
            download(f"{mirror.rstrip('/')}/SHA256SUMS", sums)
        except Unreachable:
            sums.unlink(missing_ok=True)  # a mirror need not have one
    else:
        path, sums = Path(mirror) / file, Path(mirror) / "SHA256SUMS"
        if not path.is_file():
            raise _mirror_lacks(mirror, file, "no such file")
    lines = sums.read_text().splitlines() if sums.is_file() else []
    expected = {line[66:]: line[:64] for line in lines}  # as sha256sum writes them
    if file in expected and store.file_sha256(path) != expected[file]:
        raise UserError(f"{file} of the mirror {mirror} is not as its SHA256SUMS says: fetch it again")
    return path


def _mirror_lacks(mirror: str, file: str, reason: object) -> UserError:
    return UserError(f"the mirror {mirror} has no {file} ({reason}): correct or unset METAMEMORY_MIRROR")


def _from_host(file: str, md5: str, workspace: Path) -> Path:
    """Path of one of Omniglot's archives, fetched from its host and checked."""
    path = workspace / file
    download(omniglot.HOST + file, path)
    with path.open("rb") as archive:
        found = hashlib.file_digest(archive, "md5").hexdigest()
    if found != md5:
        raise UserError(f"{omniglot.HOST}{file} has md5 {found}, not {md5}: run it again, or use a mirror")
    return path


@contextmanager
def _workspace(root: Path) -> Iterator[Path]:
    """An empty folder for unfinished work, removed at the end; a full disk becomes a `UserError`."""
    cache = root.parent / CACHE
    try:
        cache.mkdir(parents=True, exist_ok=True)
        for left_by_killed_run in cache.glob(f"*{PARTIAL}"):
            shutil.rmtree(left_by_killed_run, ignore_errors=True)
        with TemporaryDirectory(suffix=PARTIAL, dir=cache) as workspace:
            yield Path(workspace)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise UserError(f"the disk of {root} is full: free 200 MB and run `make data` again") from error
