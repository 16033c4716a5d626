"""Fill `data/` from the first source that works: a mirror, the original host, the embedded stand-in.

All work is done in a temporary folder in `.cache` beside the root, on the same file system, and what is
finished is renamed into place: a run killed at any moment leaves nothing that a later one could take for
whole. One preparation at a time: each begins by clearing what a killed one left.

A data set is a module of this package. One that has an original says where to find it (HOST, ARCHIVES with their
md5, PACK at a mirror), how to read it (`read_archive`) and what it must be (DIGEST); an embedded one draws itself
(`draw_classes`) and says how (MADE). Both say whether a bit a pixel is enough (PACKED), and have `splits`. An original
whose host asks questions that no program can answer has no pack (PACK is None) and an environment variable (VARIABLE)
that names the user's own copy.
"""

import errno
import hashlib
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from urllib.parse import urlsplit

import numpy as np
from tqdm import tqdm

from metamemory.data import cifar10, cifar_fs, fss1000, glyphs, omniglot, packs, scenes, silhouettes, store
from metamemory.data.download import Unreachable, download
from metamemory.data.images import CACHE, PARTIAL, STAND_INS, TITLES
from metamemory.errors import UserError

ORIGINALS = {"omniglot": omniglot, "cifar_fs": cifar_fs, "cifar10": cifar10, "fss1000": fss1000}
EMBEDDED = {"glyphs": glyphs, "scenes": scenes, "silhouettes": silhouettes}


def prepare(
    names: Iterable[str] = tuple(ORIGINALS),
    root: Path | str = Path("data"),
    mirror: str | Path | None = None,
    log: Callable[[str], None] = print,
) -> None:
    """Fill `root/<name>` for each name, logging one line each that says which source served.

    Data already there and whole is left alone. Of a data set that has an original the sources are, in this order:

    1. the user's own copy, where its environment variable is set;
    2. the mirror, where one is given and the data set has a pack: it must be there and whole, there is no falling back
       from it;
    3. the original host;
    4. where the host does not serve it, the embedded stand-in, prepared as `root/<stand-in>`.

    Args:
        names: of ORIGINALS and EMBEDDED.
        mirror: folder or URL of packs; the environment variable METAMEMORY_MIRROR when None.

    Raises:
        UserError: unknown name; a file of the mirror or of the user's copy is missing or corrupt; a download is
            truncated or has the wrong digest; the disk is full. Nothing half-written is left.
    """
    root, names = Path(root), list(names)
    mirror = str(mirror or os.environ.get("METAMEMORY_MIRROR", ""))
    for name in names:
        if name not in {**ORIGINALS, **EMBEDDED}:
            raise UserError(f"unknown data set {name!r}: choose from {', '.join([*ORIGINALS, *EMBEDDED])}")
    with _workspace(root) as workspace:
        for name in names:
            log(f"{name}: {_prepare(name, root, mirror, workspace)}")
        awaited = {stand_in for real, stand_in in STAND_INS.items() if not store.exists(root / real)}
        for stand_in in {*STAND_INS.values()} - {*names, *awaited}:
            if store.exists(root / stand_in):
                shutil.rmtree(root / stand_in)  # all that it stood in for has come since


def _prepare(name: str, root: Path, mirror: str, workspace: Path) -> str:
    """Prepare one data set; return what the log says of it."""
    if _is_whole(root / name):
        return f"already in {root / name}"
    if name in EMBEDDED:
        module = EMBEDDED[name]
        _install(root / name, workspace, module, module.draw_classes(), module.MADE)
        return module.MADE
    module = ORIGINALS[name]
    if module.PACK is None and (own := os.environ.get(module.VARIABLE)):
        _install(root / name, workspace, module, module.read_archive(_own(own, module.VARIABLE)), own)
        return f"from {own}"
    if mirror and module.PACK:
        pack = _from_mirror(mirror, module.PACK, workspace)
        _install(root / name, workspace, module, packs.read_pack(pack), str(pack), module.DIGEST)
        return f"from the mirror {mirror}"
    try:
        archives = [_from_host(module.HOST + file, md5, workspace) for file, md5 in module.ARCHIVES.items()]
    except Unreachable as reason:
        stand_in = STAND_INS[name]
        _prepare(stand_in, root, mirror, workspace)
        return (
            f"{urlsplit(module.HOST).netloc} could not be reached ({reason}), so the stand-in {stand_in} is used; "
            f"for the real one, {_how_to_get(module)} make data"
        )
    classes = chain.from_iterable(module.read_archive(archive) for archive in archives)
    _install(root / name, workspace, module, classes, module.HOST, module.DIGEST)
    return f"from {module.HOST}"


def _is_whole(folder: Path) -> bool:
    try:
        store.check_images(folder, store.read_record(folder))
    except UserError:
        return False
    return True


def _install(
    folder: Path,
    workspace: Path,
    module: ModuleType,
    classes: Iterable[tuple[str, np.ndarray]],
    source: str,
    digest: str | None = None,
) -> None:
    """Write classes of images into the workspace, check their digest where it is known, and move them to `folder`."""
    fresh = workspace / folder.name
    fresh.mkdir()
    progress = tqdm(classes, desc=folder.name, unit=" classes", leave=False)
    try:
        store.write(fresh, folder.name, progress, module.splits, module.PACKED, digest)
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
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
    expected = {line[66:]: line[:64] for line in lines}  # as sha256sum writes them
    if file in expected and store.file_sha256(path) != expected[file]:
        raise UserError(f"{file} of the mirror {mirror} is not as its SHA256SUMS says: fetch it again")
    return path


def _mirror_lacks(mirror: str, file: str, reason: object) -> UserError:
    return UserError(f"the mirror {mirror} has no {file} ({reason}): correct or unset METAMEMORY_MIRROR")


def _own(path: str, variable: str) -> Path:
    if not Path(path).exists():
        raise UserError(f"{path} is not there: correct or unset {variable}")
    return Path(path)


def _how_to_get(module: ModuleType) -> str:
    if module.PACK is None:
        return f"{module.VARIABLE}=<its archive, fetched by hand, or a folder unpacked from it>"
    return f"METAMEMORY_MIRROR=<folder or URL that has {module.PACK}>"


def _from_host(url: str, md5: str | None, workspace: Path) -> Path:
    """Path of an original archive, fetched from its host and checked: where no md5 was published, for being one.

    Raises:
        Unreachable: the host did not answer, or with a page that asks something.
    """
    path = workspace / re.split("[/=]", url)[-1]
    download(url, path)
    if md5 is None:
        if not zipfile.is_zipfile(path):
            raise Unreachable("it answered with a page in place of the archive")
        return path
    with path.open("rb") as archive:
        found = hashlib.file_digest(archive, "md5").hexdigest()
    if found != md5:
        raise UserError(f"{url} has md5 {found}, not {md5}: run it again, or use a mirror")
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
        if error.errno == errno.ENOSPC:
            raise UserError(f"the disk of {root} is full: free 2 GB and run `make data` again") from error
        if error.filename is None:
            raise
        raise UserError(
            f"cannot use {error.filename}: {error.strerror}; mend that and run `make data` again"
        ) from error
