"""Runs that have begun and have not finished: what they go on from, below .resume/."""

import json
from pathlib import Path

from metamemory.errors import UserError
from metamemory.training.checkpoint import Checkpoint
from metamemory.training.files import read_json, write_text

FOLDER = ".resume"


class Begun:
    """What is kept of the run with a fingerprint until it is finished: `<fingerprint>.pt`, its checkpoint, and
    `<fingerprint>.json`, which says whose it is and whether `--again` began it."""

    def __init__(self, root: Path, fingerprint: str):
        self.path = root / FOLDER / f"{fingerprint[:16]}.pt"
        self.checkpoint = Checkpoint(self.path)
        self.note = note_of(self.path)

    def start(self, place: str, again: bool) -> None:
        """Before it is done or gone on with. `again` trains afresh, unless that is what was interrupted.

        Raises:
            UserError: nothing can be written there.
        """
        note = _note(self.note)
        afresh = note.get("again") is True
        if again and not afresh:
            if not note and self.note.exists() and self.checkpoint.exists():
                print(
                    f"{self.note} is damaged: whether the training beside it was begun afresh is not known; it is again"
                )
            self.checkpoint.delete()
        write_text(self.note, json.dumps({"run": place, "again": again or afresh}) + "\n")

    def finish(self) -> None:
        """Once its manifest is written, or where it could not begin."""
        self.checkpoint.delete()
        self.note.unlink(missing_ok=True)


def note_of(checkpoint: Path) -> Path:
    """The file beside a checkpoint that says whose it is."""
    return checkpoint.with_suffix(".json")


def places(root: Path) -> dict[Path, str]:
    """Checkpoints, and the places of the runs that they are of."""
    notes = {note.with_suffix(".pt"): note for note in sorted((root / FOLDER).glob("*.json"))}
    return {path: str(_note(note).get("run")) for path, note in notes.items() if Checkpoint(path).exists()}


def _note(path: Path) -> dict[str, object]:
    """Nothing where there is none, or it is damaged: it decides no number."""
    try:
        return read_json(path, "")
    except UserError:
        return {}
