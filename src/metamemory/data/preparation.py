"""Fill `data/` from the first source that works: a mirror, the original host, the embedded stand-in.

All work is done in a temporary folder in `.cache` beside the root, and what is finished is moved into place: a run
killed at any moment leaves nothing that a later one could take for whole. One preparation at a time (`workspace`): each
begins by clearing what a killed one left.

A data set is a module of this package. One that has an original says where to find it (HOST, ARCHIVES with their
md5, PACK at a mirror), how to read it (`read_archive`) and what it must be (DIGEST); an embedded one draws itself
(`draw_classes`) and says how (MADE). Both say whether a bit a pixel is enough (PACKED), and have `splits`. An original
whose host asks questions that no program can answer, or that no host serves (HOST is None), has an environment variable
(VARIABLE) that names the user's own copy; no digest of it was published, so that of the copy used first is kept beside
the root. One that no mirror has is without a pack (PACK is None); what is made of a lossy pack says so in its title.
Where classes differ in size, COUNTS says how many images of each are used.

A data set of the user's own is a folder of class folders (`folders`), and is read again when files in it have changed.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import numpy as np
import torch
from tqdm import tqdm

from metamemory.data import (
    cifar10,
    cifar_fs,
    digits,
    folders,
    fss1000,
    glyphs,
    mini_imagenet,
    mnist,
    omniglot,
    packs,
    scenes,
    silhouettes,
    store,
)
from metamemory.data.download import Unreachable, download
from metamemory.data.images import STAND_INS, TITLES
from metamemory.data.workspace import alone, move, workspace
from metamemory.errors import UserError

ORIGINALS = {
    "omniglot": omniglot,
    "cifar_fs": cifar_fs,
    "cifar10": cifar10,
    "fss1000": fss1000,
    "mini_imagenet": mini_imagenet,
    "mnist": mnist,
}
EMBEDDED = {"glyphs": glyphs, "scenes": scenes, "silhouettes": silhouettes, "digits": digits}


MOST_SUMS = 1 << 20  # bytes of a SHA256SUMS


def prepare(
    names: Iterable[str] = tuple(ORIGINALS),
    root: Path | str = Path("data"),
    mirror: str | Path | None = None,
    log: Callable[[str], None] = print,
    own: Mapping[str, Path | str] | None = None,
) -> None:
    """Fill `root/<name>` for each name, logging one line each that says which source served.

    Data already there and whole is left alone. Of a data set that has an original the sources are, in this order:

    1. the user's own copy, where its environment variable is set;
    2. the mirror, where one is given and the data set has a pack: it must be there and whole, there is no falling back
       from it;
    3. the original host;
    4. where the host does not serve it, the embedded stand-in, prepared as `root/<stand-in>`.

    Where another process is at it, that is waited for.

    Args:
        names: of ORIGINALS, EMBEDDED and `own`.
        mirror: folder or URL of packs; the environment variable METAMEMORY_MIRROR when None.
        own: data sets of the user's own, by name: the folder of each (see `folders`).

    Raises:
        UserError: unknown name; a file of the mirror or of the user's copy is missing or corrupt; a download is
            truncated or has the wrong digest; the disk is full. Nothing half-written is left.
    """
    root, names, own = Path(root), list(names), dict(own or {})
    mirror = str(mirror or os.environ.get("METAMEMORY_MIRROR", ""))
    for name in own:
        folders.require_name(name, TITLES)
    for name in names:
        if name not in {**ORIGINALS, **EMBEDDED, **own}:
            raise UserError(
                f"unknown data set {name!r}: choose from {', '.join([*ORIGINALS, *EMBEDDED, *own])}; "
                "one of your own needs its folder, --folder FOLDER"
            )
    with _one_thread(), _one_line(root), alone(root, lambda: log(f"another command prepares {root}; it is waited for")):
        for name in names:
            log(f"{name}: {_prepare_own(name, root, own[name]) if name in own else _prepare(name, root, mirror)}")
        awaited = {stand_in for real, stand_in in STAND_INS.items() if not store.exists(root / real)}
        for stand_in in {*STAND_INS.values()} - {*names, *awaited}:
            if store.exists(root / stand_in):
                shutil.rmtree(root / stand_in)  # all that it stood in for has come since


@contextmanager
def _one_thread() -> Iterator[None]:
    """Operations on a single drawing are so small that threads would only wait for each other, beside another busy
    process a hundred times as long as they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _prepare(name: str, root: Path, mirror: str) -> str:
    """Prepare one data set; return what the log says of it."""
    if _is_whole(root / name) and not _is_of_before(root / name):
        return f"already in {root / name}"
    with workspace(root) as place:
        if name in EMBEDDED:
            module = EMBEDDED[name]
            _install(root / name, place, module, module.draw_classes(), module.MADE)
            return module.MADE
        module = ORIGINALS[name]
        variable = _variable(module)
        if variable and (own := os.environ.get(variable)):
            _from_archives(root, name, place, {_own(own, variable): own})
            return f"from {own}"
        if mirror and module.PACK:
            _from_pack(root, name, place, *_from_mirror(mirror, module.PACK, place))
            return f"from the mirror {mirror}"
        try:
            if module.HOST is None:
                raise Unreachable("nobody serves it as one file")
            urls = {module.HOST + file: md5 for file, md5 in module.ARCHIVES.items()}
            fetched = {_from_host(url, md5, place): url for url, md5 in urls.items()}
        except Unreachable as reason:
            stand_in = STAND_INS[name]
            _prepare(stand_in, root, mirror)
            host = f"{urlsplit(module.HOST).netloc} could not be reached ({reason})" if module.HOST else str(reason)
            return f"{host}, so the stand-in {stand_in} is used; for the real one, {_how_to_get(module)} make data"
        _from_archives(root, name, place, fetched)
        return f"from {module.HOST}"


def _from_archives(root: Path, name: str, place: Path, archives: Mapping[Path, str]) -> None:
    """Install a data set from its original archives, whose digests are known or are compared with those used first.

    Args:
        archives: path -> what errors call it.
    """
    module, seen = ORIGINALS[name], hashlib.sha256()
    noted = (seen.update,) if _variable(module) else ()
    source = next(iter(archives.values())) if noted else module.HOST
    classes = chain.from_iterable(module.read_archive(archive, *noted) for archive in archives)
    with _named(archives):
        check = (lambda: _require_as_before(root, name, source, seen.hexdigest())) if noted else None
        _install(root / name, place, module, classes, source, None if noted else module.DIGEST, check)


def _from_pack(root: Path, name: str, place: Path, pack: Path, source: str) -> None:
    """Install a data set from a mirror's pack, which errors call `source`."""
    module = ORIGINALS[name]
    with _named({pack: source}):
        classes, sums = packs.read_pack(pack, getattr(module, "COUNTS", None)), packs.sums_of_lossy(pack)
        lossy = {} if sums is None else {"sums": sums, "title": f"{TITLES[name]} (re-encoded)"}
        _install(root / name, place, module, classes, source, module.DIGEST, **lossy)


def _variable(module: ModuleType) -> str | None:
    """Of the environment, which names the user's own copy."""
    return getattr(module, "VARIABLE", None)


def _is_of_before(folder: Path) -> bool:
    """Whether a stand-in lacks a split that it has today."""
    module, record = EMBEDDED.get(folder.name), store.read_record(folder)
    return module is not None and set(record.splits) < set(module.splits(record.classes))


def _prepare_own(name: str, root: Path, folder: Path | str) -> str:
    """Prepare a data set of the user's own; return what the log says of it."""
    folder = Path(folder)
    there = _is_whole(root / name)
    if there and not folder.exists():
        return f"already in {root / name}"
    found = folders.examine(folder)
    with workspace(root) as place:
        stamp = place.parent / f"{name}-folder.sha256"
        if there and stamp.is_file() and stamp.read_text(encoding="utf-8", errors="replace") == found.stamp:
            return f"already in {root / name}, as {folder} is"
        fresh = place / name
        fresh.mkdir()
        progress = tqdm(folders.read(found), total=len(found.classes), desc=name, unit=" classes", leave=False)
        store.write(fresh, name, progress, found.splits, False, title=found.title or name)
        move(fresh, root / name)
        stamp.write_text(found.stamp, encoding="utf-8")
    return f"from {folder}: {found}"


def _is_whole(folder: Path) -> bool:
    try:
        store.check_images(folder, store.read_record(folder))
    except UserError:
        return False
    return True


def _install(
    folder: Path,
    place: Path,
    module: ModuleType,
    classes: Iterable[tuple[str, np.ndarray]],
    source: str,
    digest: str | None = None,
    check: Callable[[], None] | None = None,
    title: str | None = None,
    sums: Mapping[str, str] | None = None,
) -> None:
    """Write classes of images into `place`, check their digest where it is known, and move them to `folder`."""
    fresh = place / folder.name
    fresh.mkdir()
    progress = tqdm(classes, desc=folder.name, unit=" classes", leave=False)
    try:
        store.write(fresh, folder.name, progress, module.splits, module.PACKED, digest, title, sums)
    except ValueError as reason:
        raise UserError(f"{source} is not {TITLES[folder.name]} as published: {reason}") from reason
    if check is not None:
        check()
    move(fresh, folder)


def _from_mirror(mirror: str, file: str, place: Path) -> tuple[Path, str]:
    """A mirror's file, fetched if the mirror is a URL, with the digest that its SHA256SUMS gives; and what errors call
    it."""
    if "://" in mirror:
        path, sums, source = place / file, place / "SHA256SUMS", f"{mirror.rstrip('/')}/{file}"
        try:
            download(source, path)
        except Unreachable as reason:
            raise _mirror_lacks(mirror, file, reason) from reason
        if not zipfile.is_zipfile(path):
            raise UserError(
                f"{source} answered with {_kind(path)} in place of the pack: correct or unset METAMEMORY_MIRROR"
            )
        try:
            download(f"{mirror.rstrip('/')}/SHA256SUMS", sums, MOST_SUMS)
        except Unreachable:
            sums.unlink(missing_ok=True)  # a mirror need not have one
    else:
        path, sums = Path(mirror) / file, Path(mirror) / "SHA256SUMS"
        source = str(path)
        if not path.is_file():
            raise _mirror_lacks(mirror, file, "no such file")
    text = sums.read_text(encoding="utf-8", errors="replace") if sums.is_file() else ""
    expected = {
        name: digest.lower() for digest, name in re.findall(r"^([0-9a-fA-F]{64}) [ *](.+)$", text, re.MULTILINE)
    }
    if file in expected and store.file_sha256(path) != expected[file]:
        raise UserError(f"{file} of the mirror {mirror} is not as its SHA256SUMS says: fetch it again")
    return path, source


def _kind(path: Path) -> str:
    """What was served, in words."""
    with path.open("rb") as file:
        start = file.read(512).lstrip().lower()
    return "a page" if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")) else "something else"


def _mirror_lacks(mirror: str, file: str, reason: object) -> UserError:
    return UserError(f"the mirror {mirror} has no {file} ({reason}): correct or unset METAMEMORY_MIRROR")


def _own(path: str, variable: str) -> Path:
    if not Path(path).exists():
        raise UserError(f"{path} is not there: correct or unset {variable}")
    return Path(path)


def _how_to_get(module: ModuleType) -> str:
    ways = [f"METAMEMORY_MIRROR=<folder or URL that has {module.PACK}>"] if module.PACK else []
    if variable := _variable(module):
        ways.insert(0, f"{variable}=<a folder that has it{'' if module.HOST is None else ', or its archive'}>")
    return " or ".join(ways)


def _from_host(url: str, md5: str | None, place: Path) -> Path:
    """Path of an original archive, fetched from its host and checked: where no md5 was published, for being one.

    Raises:
        Unreachable: the host did not answer, or with a page that asks something.
    """
    path = place / re.split("[/=]", url)[-1]
    download(url, path)
    if md5 is None:
        if not zipfile.is_zipfile(path):
            raise Unreachable("it answered with a page in place of the archive")
        return path
    with path.open("rb") as archive:
        found = hashlib.file_digest(archive, "md5").hexdigest()
    if found != md5:
        page = ", for it is a page" if _kind(path) == "a page" else ""
        raise UserError(f"{url} has md5 {found}, not {md5}{page}: run it again, or use a mirror")
    return path


def _require_as_before(root: Path, name: str, source: str, digest: str) -> None:
    """Keep the digest of a data set of which none was published, or compare it with the one kept.

    Raises:
        UserError: it is another one; or what is kept cannot be read.
    """
    kept = root.with_name(f"{root.name}.digests.json")
    try:
        digests = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        known = digests.get(name)
    except (OSError, ValueError, AttributeError, RecursionError) as reason:
        raise UserError(f"{kept} cannot be read ({reason}): mend or delete it") from reason
    if known not in (None, digest):
        raise UserError(
            f"the files of {source} are not those of the {TITLES[name]} that was used first: their SHA-256 is "
            f"{digest}, and {kept} has {known}; use that one, or delete the entry"
        )
    if known is None:
        kept.write_text(json.dumps({**digests, name: digest}, indent=1) + "\n", encoding="utf-8")


@contextmanager
def _named(sources: Mapping[Path, str]) -> Iterator[None]:
    """Errors that name fetched files, which are gone by then, name where they are from."""
    try:
        yield
    except UserError as error:
        text = str(error)
        for path, source in sources.items():
            text = text.replace(str(path), source)
        raise UserError(text) from error


@contextmanager
def _one_line(root: Path) -> Iterator[None]:
    """What the disk refuses becomes a `UserError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"the disk of {root} is full: free 2 GB and run `make data` again") from error
        where = error.filename or root
        raise UserError(
            f"cannot use {where}: {error.strerror or error}; mend that and run `make data` again"
        ) from error
