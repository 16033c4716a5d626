"""`python -m metamemory import`: runs that were done elsewhere take their places here.

A run is admitted if its digests of configuration, source and data are what this checkout computes, or are carried to
them by the lineage of a result that is here. What an archive says of paths is never used, and nothing in it is
unpickled: files are compared with their digests and placed under the names that the run has here.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from metamemory.errors import UserError
from metamemory.locking import locked
from metamemory.study import runs
from metamemory.study.begun import Begun
from metamemory.study.parameters import SCALES
from metamemory.study.runs import Run
from metamemory.study.stored import ENDINGS, seal
from metamemory.study.today import Today
from metamemory.study.work.archives import CHECKPOINT, FINISHED, MODEL, Item, read
from metamemory.study.work.estimates import group_of, manifests
from metamemory.study.work.export import note_done
from metamemory.study.work.workers import lock_of
from metamemory.training.checkpoint import MARK
from metamemory.training.files import first_line, write_bytes

IMPORTED, HERE, REFUSED = "imported", "already here", "refused"


def archives_of(paths: Sequence[Path]) -> list[Path]:
    """The archives named, and those in the folders named.

    Raises:
        UserError: there is none.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.zip")) if path.is_dir() else [path]
        if not inside:
            raise UserError(f"{path} holds no archives (*.zip) of `work --export`")
        found += inside
    return found


def bring_home(paths: Sequence[Path], root: Path = Path(".")) -> Iterator[tuple[str, str]]:
    """Place the runs of archives; of each what was done, "imported", "already here" or "refused", and a line that says
    of what and why.

    Raises:
        UserError: the parameters here are not right.
    """
    today = Today(root)
    items, wrong = read(archives_of(paths))
    for line in wrong:
        yield REFUSED, line
    lineage = Lineage(root)
    for item in sorted(items, key=lambda item: (item.state != FINISHED, "trained" in item.digests)):
        try:
            run = _known(item, today)
            with locked(lock_of(run)) as ours:
                if not ours:
                    raise UserError("a process here is doing it: stop that first")
                yield admit(run, item, today, lineage)
        except UserError as error:
            yield REFUSED, f"{item.place}: {error}"
        except Exception as error:  # a forged file can fail in as many ways as there are bytes in it
            yield REFUSED, f"{item.place}: it is damaged ({first_line(error)})"


def admit(run: Run, item: Item, today: Today, lineage: "Lineage") -> tuple[str, str]:
    """Place one run; returns what was done, and of what.

    Raises:
        UserError: it is not what this checkout would give.
    """
    return (_finished if item.state == FINISHED else _unfinished)(run, item, today, lineage)


class Lineage:
    """Digests that changes without effect on any bit have carried over, by the manifests that are here."""

    def __init__(self, root: Path):
        self.steps: dict[tuple, dict[str, Any]] = {}
        for manifest in manifests(root):
            for step in manifest.get("lineage", []):
                self.steps[(group_of(manifest["run"]), _pair(step["old"]))] = step

    def to(self, run: Run, digests: Mapping[str, Any], today: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """The steps from digests to those of today; None where they do not lead there."""
        at, path = _pair(digests), []
        while at != _pair(today):
            step = self.steps.get((group_of(run), at))
            if step is None or len(path) > len(self.steps):
                return None
            path.append(step)
            at = _pair(step["new"])
        return path


def _pair(digests: Mapping[str, Any]) -> tuple[str, str]:
    return digests["configuration"], digests["source"]


def _known(item: Item, today: Today) -> Run:
    """The run, if the parameters have it."""
    run = Run(**item.run, root=today.root)
    parameters = today.parameters
    try:
        parameters.choose(SCALES, run.scale, "scale")
        today.configuration(run)
    except UserError as error:
        raise UserError(f"it is of another study: {error}") from None
    if run.seed < 0:
        raise UserError(f"its seed is {run.seed}")
    return run


def _carried(run: Run, item: Item, today: Today, lineage: Lineage) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Today's digests, and the steps of the lineage that lead to them from those of the item.

    Raises:
        UserError: it was made with another configuration, source, data or weights.
    """
    now = today.digests(run)
    if set(item.digests) != set(now):
        raise UserError(f"its digests are of {', '.join(map(str, item.digests))}, and here of {', '.join(now)}")
    if item.digests["data"] != now["data"]:
        images = today.images(run)
        here = images.title if images else "none"
        raise UserError(f"it was made from other data than here ({here}): their digest is {item.digests['data']}")
    if now.get("trained", item.digests.get("trained")) != item.digests.get("trained"):
        raise UserError("it looks at other weights than those that are here: import, or do, the run that trains them")
    steps = lineage.to(run, item.digests, now)
    if steps is None:
        which = " and ".join(name for name in ("configuration", "source") if item.digests[name] != now[name])
        raise UserError(f"it was made with another {which} than today's, and no lineage here carries it over")
    return now, steps


def _finished(run: Run, item: Item, today: Today, lineage: Lineage) -> tuple[str, str]:
    manifest = json.loads(item.files["manifest.json"])
    said = {name: manifest["run"].get(name) for name in item.run}
    if said != item.run or manifest["run"].get("overrides"):
        raise UserError("its manifest is of another run, or of one with overrides")
    if manifest["digests"] != item.digests or manifest["fingerprint"] != runs.fingerprint(item.digests, run.seed):
        raise UserError("its manifest does not have the digests that the archive says")
    digests, steps = _carried(run, item, today, lineage)
    fingerprint = runs.fingerprint(digests, run.seed)
    if runs.finished(run) == fingerprint:
        return HERE, run.place
    if steps:
        configuration = json.loads(json.dumps(today.configuration(run)))
        manifest |= {"configuration": configuration, "digests": digests, "fingerprint": fingerprint}
        manifest["lineage"] = [*manifest.get("lineage", []), *steps]
        if "sha256" in manifest:
            manifest["sha256"] = seal(manifest)
    former = {path: path.read_bytes() if path.exists() else None for path in _paths(run).values()}
    run.result("manifest.json").unlink(missing_ok=True)
    for name, path in _paths(run).items():
        as_it_is = name != "manifest.json" or not steps
        write_bytes(path, item.files[name] if as_it_is else (json.dumps(manifest, indent=1) + "\n").encode())
    if runs.finished(run) != fingerprint:
        for path, content in former.items():
            path.unlink() if content is None else write_bytes(path, content)
        raise UserError("its files do not have the digests that its manifest says")
    Begun(run.root, fingerprint).finish()
    note_done(run.root, run.place)
    carried = f" (carried over from {steps[0]['commit'][:7]})" if steps else ""
    return IMPORTED, f"{run.place}{carried}"


def _paths(run: Run) -> dict[str, Path]:
    """Where the files of a finished run are, the manifest last."""
    return {MODEL: run.model, **{ending: run.result(ending) for ending in ENDINGS}}


def _unfinished(run: Run, item: Item, today: Today, lineage: Lineage) -> tuple[str, str]:
    digests, _ = _carried(run, item, today, lineage)
    fingerprint = runs.fingerprint(digests, run.seed)
    name = f"{run.place}, unfinished at episode {item.episodes:,}"
    if runs.finished(run) == fingerprint:
        return HERE, f"{run.place}, finished"
    content = item.files[CHECKPOINT]
    saved, _, digest = content.rpartition(MARK)
    if hashlib.sha256(saved).hexdigest().encode() != digest:
        raise UserError("its checkpoint does not have its digest")
    begun = Begun(run.root, fingerprint)
    kept = begun.checkpoint
    for _, state in kept.states("cpu"):
        if state["position"]["episodes"] >= item.episodes:
            return HERE, f"{run.place}, unfinished at episode {state['position']['episodes']:,}"
        break
    kept.delete()
    write_bytes(kept.path, content)
    begun.start(run.place, again=False)
    return IMPORTED, name
