"""Runs as archives, to bring them home from a machine that is taken away: ZIP files, each complete in itself.

    index.json       what the archive holds: of each run its name, digests and files, with their sizes and SHA-256
    <number>/<file>  metrics.json, scores.csv, history.csv, example.json, manifest.json and model.safetensors of a
                     finished run; checkpoint.pt of an unfinished one

A run that is larger than an archive may be is cut into parts, which lie in several archives; no other run is. Nothing
is compressed: weights and checkpoints do not get smaller by it.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metamemory.errors import UserError
from metamemory.study import runs
from metamemory.study.runs import Run
from metamemory.study.stored import ENDINGS
from metamemory.training.checkpoint import Checkpoint
from metamemory.training.files import first_line

FORMAT = "metamemory-runs/1"
INDEX, MODEL, CHECKPOINT = "index.json", "model.safetensors", "checkpoint.pt"
FINISHED, UNFINISHED = "finished", "unfinished"
NAMES = {FINISHED: {*ENDINGS, MODEL}, UNFINISHED: {CHECKPOINT}}
LARGEST = 2**30  # bytes of a file that is read
HEAD = ("run", "state", "digests", "episodes")
BESIDE = 4096  # bytes of an archive beside the files of a run: their entries in the index and in the ZIP


@dataclass
class Item:
    """A run in archives.

    Attributes:
        run: scale, experiment, method, setting and seed.
        state: "finished" or "unfinished".
        digests: of what decided it.
        episodes: that an unfinished one has been trained on.
        files: name -> content; of an item that is read, only what is there.
    """

    run: dict[str, Any]
    state: str
    digests: dict[str, Any]
    episodes: int = 0
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return "{scale}/{experiment}/{method}/{setting}/seed{seed}".format(**self.run)

    @property
    def size(self) -> int:
        return sum(map(len, self.files.values())) + BESIDE

    @property
    def head(self) -> dict[str, Any]:
        """All but the files, which it has the digest of: the same run of two machines may have other bits."""
        content = hashlib.sha256(json.dumps([(name, _sha256(each)) for name, each in self.files.items()]).encode())
        named = {"run": self.run, "state": self.state, "digests": self.digests, "episodes": self.episodes}
        return {**named, "content": content.hexdigest()}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Piece:
    """Bytes of a file, from `start` on."""

    item: Item
    name: str
    start: int
    end: int


def finished_item(run: Run) -> Item | None:
    """A finished run; None where it is not there as a whole."""
    try:
        files = {ending: run.result(ending).read_bytes() for ending in ENDINGS}
        files[MODEL] = run.model.read_bytes()
        manifest = json.loads(files["manifest.json"])
        return Item(_name(run), FINISHED, manifest["digests"], 0, files)
    except (OSError, ValueError, KeyError):
        return None


def unfinished_item(run: Run, digests: Mapping[str, Any]) -> Item | None:
    """An unfinished run; None where it has no checkpoint that is whole."""
    kept = Checkpoint(runs.checkpoint(run.root, runs.fingerprint(digests, run.seed)))
    for path, state in kept.states("cpu"):
        try:
            files = {CHECKPOINT: path.read_bytes()}
            return Item(_name(run), UNFINISHED, dict(digests), state["position"]["episodes"], files)
        except (OSError, KeyError):
            continue
    return None


def _name(run: Run) -> dict[str, Any]:
    return {name: getattr(run, name) for name in ("scale", "experiment", "method", "setting", "seed")}


def share_out(items: Iterable[Item], archives: int, size: int) -> tuple[list[list[Piece]], list[Item]]:
    """What goes into which archive, the first items first; and the items for which there is no room."""
    found: list[list[Piece]] = []
    room: list[int] = []
    left_out = []
    for item in items:
        at = next((number for number, free in enumerate(room) if item.size <= free), None)
        if at is None:
            pieces = _cut(item, size)
            if len(found) + len(pieces) > archives:
                left_out.append(item)
                continue
            found += pieces
            room += [0] * (len(pieces) - 1) + [size - BESIDE - _size(pieces[-1])]
        else:
            found[at] += _whole(item)
            room[at] -= item.size
    return found, left_out


def _whole(item: Item) -> list[Piece]:
    return [Piece(item, name, 0, len(content)) for name, content in item.files.items()]


def _size(pieces: Sequence[Piece]) -> int:
    return sum(piece.end - piece.start for piece in pieces) + BESIDE


def _cut(item: Item, size: int) -> list[list[Piece]]:
    """The pieces of an item in as many archives as it takes: one, unless it is larger than an archive may be."""
    most = size - 2 * BESIDE
    found: list[list[Piece]] = [[]]
    for piece in _whole(item):
        start = piece.start
        while start < piece.end or not piece.end:
            room = most - (_size(found[-1]) - BESIDE)
            if room <= 0:
                found.append([])
                continue
            end = min(piece.end, start + room)
            found[-1].append(Piece(item, piece.name, start, end))
            start = end
            if not piece.end:
                break
    return found


def as_bytes(pieces: Sequence[Piece]) -> bytes:
    """An archive."""
    entries: list[dict[str, Any]] = []
    contents: dict[str, bytes] = {}
    owner = None
    for piece in pieces:
        content = piece.item.files[piece.name]
        if not entries or owner is not piece.item:
            owner = piece.item
            entries.append({**owner.head, "files": []})
        entry = f"{len(entries)}/{piece.name}"
        entries[-1]["files"].append(
            {
                "name": piece.name,
                "entry": entry,
                "size": len(content),
                "sha256": _sha256(content),
                "start": piece.start,
                "end": piece.end,
            }
        )
        contents[entry] = content[piece.start : piece.end]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(INDEX), json.dumps({"format": FORMAT, "items": entries}, indent=1) + "\n")
        for entry, content in contents.items():
            archive.writestr(zipfile.ZipInfo(entry), content)
    return buffer.getvalue()


def read(paths: Iterable[Path]) -> tuple[list[Item], list[str]]:
    """The runs in archives, put together from their parts; and what is wrong, a line each.

    Nothing is written, and no content is interpreted but the index.
    """
    items: dict[str, Item] = {}
    spans: dict[tuple[str, str], dict[int, bytes]] = {}
    told: dict[tuple[str, str], dict[str, Any]] = {}
    wrong = []
    for path in paths:
        try:
            with zipfile.ZipFile(path) as archive:
                for head, files in _index(archive):
                    key = json.dumps(head, sort_keys=True)
                    items.setdefault(key, Item(**{name: head[name] for name in HEAD}))
                    for file in files:
                        part = _content(archive, file)
                        told[(key, file["name"])] = file
                        spans.setdefault((key, file["name"]), {})[file["start"]] = part
        except UserError as error:
            wrong.append(f"{path}: {error}")
        except FileNotFoundError:
            wrong.append(f"{path} is not there")
        except Exception as error:  # a damaged file can fail in as many ways as there are bytes in it
            wrong.append(f"{path} is no archive of `work --export`, or damaged ({first_line(error)})")
    whole = []
    for key, item in items.items():
        if reason := _put_together(key, item, spans, told):
            wrong.append(f"{item.place}: {reason}")
        else:
            whole.append(item)
    return whole, wrong


def _put_together(key: str, item: Item, spans: Mapping, told: Mapping) -> str | None:
    """Fill in the files of an item; what is wrong with them."""
    for name in sorted(NAMES[item.state]):
        if (key, name) not in told:
            return f"{name} is not in the archives: give all archives of the folder at once"
        content, file = b"", told[(key, name)]
        for start, part in sorted(spans[(key, name)].items()):
            if start == len(content):
                content += part
        if len(content) != file["size"]:
            return f"{name} is not whole: give all archives of the folder at once"
        if _sha256(content) != file["sha256"]:
            return f"{name} is damaged: it does not have its SHA-256"
        item.files[name] = content
    return None


def _index(archive: zipfile.ZipFile) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Heads and files of what an archive holds, with nothing in them but what is expected."""
    if INDEX not in archive.namelist():
        raise UserError("it has no index.json: it is no archive of `work --export`")
    content = _limited(archive, INDEX, 2**24)
    index = json.loads(content)
    if not isinstance(index, dict):
        raise ValueError("its index is not a mapping")
    if index.get("format") != FORMAT:
        raise UserError(f"its format is {index.get('format')!r}, not {FORMAT!r}")
    found = []
    for entry in index["items"]:
        run, state, digests, episodes = (entry[name] for name in HEAD)
        kinds = {"scale": str, "experiment": str, "method": str, "setting": str, "seed": int}
        right = isinstance(run, dict) and set(run) == set(kinds) and all(type(run[key]) is kinds[key] for key in kinds)
        if not right or state not in NAMES or not isinstance(digests, dict) or type(episodes) is not int:
            raise ValueError(f"an entry of its index is {json.dumps(entry)[:100]}")
        for file in entry["files"]:
            sizes = [file[name] for name in ("start", "end", "size")]
            right = all(type(each) is int for each in sizes) and 0 <= sizes[0] <= sizes[1] <= sizes[2] <= LARGEST
            if file["name"] not in NAMES[state] or not right or type(file["sha256"]) is not str:
                raise ValueError(f"a file of its index is {json.dumps(file)[:100]}")
        found.append(({name: entry[name] for name in (*HEAD, "content")}, entry["files"]))
    return found


def _content(archive: zipfile.ZipFile, file: Mapping[str, Any]) -> bytes:
    content = _limited(archive, file["entry"], file["end"] - file["start"])
    if len(content) != file["end"] - file["start"]:
        raise ValueError(f"{file['entry']} has {len(content)} bytes")
    return content


def _limited(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """An entry, of which no more is read than is expected."""
    with archive.open(name) as entry:
        content = entry.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{name} has more than {most} bytes")
    return content
