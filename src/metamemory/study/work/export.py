"""`work --export`: the runs that were done here, as archives in a folder, kept up to date while others are done."""

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from metamemory.errors import UserError
from metamemory.study import runs
from metamemory.study.runs import Run
from metamemory.study.today import Today
from metamemory.study.work import archives
from metamemory.study.work.archives import Item
from metamemory.study.work.queue import Wanted
from metamemory.training.checkpoint import Checkpoint
from metamemory.training.files import read_json, write_bytes, write_text

DONE = Path(".resume") / "work" / "done.json"  # places of the runs that `work` has finished in this folder
EVERY = 45.0  # seconds between two looks at the checkpoints


def done(root: Path) -> list[str]:
    """Places of runs that were finished here, by this call or an earlier one."""
    with suppress(UserError):
        return [str(place) for place in read_json(root / DONE, "", list)]
    return []


def note_done(root: Path, place: str) -> None:
    """That a run was finished here."""
    places = done(root)
    if place not in places:
        write_text(root / DONE, json.dumps([*places, place]) + "\n")


class Export:
    """Args:
        folder: for the archives.
        today: what decides each run.
        wanted: runs in order, the most valuable first.
        count, size: archives at most, and bytes of each.
        shard: whose number is in the names of the archives, so that several shards may share a folder.

    Raises:
        UserError: the folder cannot be written to; it holds archives of runs that are not here.
    """

    def __init__(
        self,
        folder: Path,
        today: Today,
        wanted: Sequence[Wanted],
        count: int = 8,
        size: int = 15 * 2**20,
        shard: tuple[int, int] | None = None,
    ):
        self.folder, self.today, self.count, self.size = folder, today, count, size
        self.runs = [each.run for each in wanted]
        self.prefix = "runs" if shard is None else f"runs-{shard[0]}of{shard[1]}"
        self.last, self.state, self.left_out = time.monotonic(), None, []
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--export: {folder} cannot be made: {error.strerror or error}") from None
        self._require_ours()

    def _require_ours(self) -> None:
        """Refuse to write over archives of runs that are not here: they would be lost."""
        found, wrong = archives.read(existing(self.folder, self.prefix))
        if wrong:
            raise UserError(f"--export: {wrong[0]}; delete it, or name another folder")
        for item in found:
            if not self._here(item):
                mend = f"`import {self.folder}` first, or name another folder"
                raise UserError(f"--export: {self.folder} has {item.place}, which is not here: {mend}")

    def _here(self, item: Item) -> bool:
        run = Run(**item.run, root=self.today.root)
        fingerprint = runs.fingerprint(item.digests, run.seed)
        if runs.finished(run) is not None:
            return True
        return item.state == archives.UNFINISHED and Checkpoint(runs.checkpoint(run.root, fingerprint)).exists()

    def refresh(self, force: bool = True) -> None:
        """Write what has changed; without `force`, only if the last time was some time ago."""
        if not force and time.monotonic() - self.last < EVERY:
            return
        items, self.last = self._items(), time.monotonic()
        state = [item.head for item in items]
        if state != self.state:
            shares, self.left_out = archives.share_out(items, self.count, self.size)
            write(self.folder, self.prefix, shares)
            self.state = state

    def _items(self) -> list[Item]:
        """Finished runs first."""
        places = set(done(self.today.root))
        finished = [item for run in self.runs if run.place in places and (item := archives.finished_item(run))]
        begun = []
        for run in self.runs:
            digests = self.today.digests(run)
            path = runs.checkpoint(run.root, runs.fingerprint(digests, run.seed))
            if Checkpoint(path).exists() and (item := archives.unfinished_item(run, digests)):
                begun.append(item)
        return [*finished, *begun]

    def told(self) -> str:
        """What lies in the folder."""
        states = [head["state"] for head in self.state or []]
        finished, begun = (states.count(each) for each in (archives.FINISHED, archives.UNFINISHED))
        text = f"{self.folder}: {finished} finished, {begun} unfinished"
        lost = [f"no room for {item.place} ({item.size / 2**20:.0f} MiB)" for item in self.left_out]
        return "\n".join([text, *lost])


def write(folder: Path, prefix: str, shares: Sequence[Sequence[archives.Piece]]) -> None:
    """Write the archives, and delete those of before that are no more needed.

    Raises:
        UserError: the folder cannot be written to.
    """
    names = [f"{prefix}-{number}.zip" for number in range(1, len(shares) + 1)]
    for name, pieces in zip(names, shares, strict=True):
        content = archives.as_bytes(pieces)
        path = folder / name
        if not path.exists() or path.read_bytes() != content:
            write_bytes(path, content)
    for path in existing(folder, prefix):
        if path.name not in names:
            path.unlink()


def existing(folder: Path, prefix: str) -> list[Path]:
    """Archives of before."""
    found = folder.glob(f"{prefix}-*.zip")
    return sorted(path for path in found if path.stem.removeprefix(f"{prefix}-").isdecimal())
