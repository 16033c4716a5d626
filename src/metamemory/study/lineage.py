"""Carries the digests of finished results over a change that keeps every bit.

    git clone . ../before && git -C ../before checkout <commit>
    python -m metamemory carry ../before

A result whose digests are those of the commit before gets today's, if it can be shown that its run would give the same
today. Three proofs are known:

    equal definitions       configuration and source digest of the run (`source`) are the same in both trees
    equal but for refusals  they are the same when what only refuses (`refusing`) is left out of both
    equal shortened run     the run, cut short (`shortened`), was executed in both trees on one core, and gave equal
                            bits of weights, metrics, scores, learning curve, example and facts, but for seconds

Seeds differ in nothing but random numbers, so the lowest seed of a method in a setting stands for all. The manifest
keeps both digests and the proof in its `lineage`. A result that was stale before, or differs now, stays as it is,
and is put in the list of stale ones (`stale`) with the reason, to be run again.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from metamemory.errors import UserError
from metamemory.study import runs, shortened, source, stale, unfinished
from metamemory.study.before import Before
from metamemory.study.carried import Found
from metamemory.study.outcomes import differences
from metamemory.study.runs import Run
from metamemory.study.shortened import Cut, shorten
from metamemory.study.stored import file_digest, read_manifest_at, seal
from metamemory.training.files import reading, write_text

ENDINGS = {"metrics": "metrics.json", "scores": "scores.csv", "history": "history.csv", "example": "example.json"}
ON_A_GPU = "that a GPU gives the same bits: both shortened runs were on a CPU"
# What a shortened run on one core does not execute, and the definitions that hold it: these may be equal all the same.
BY_MASTERY = "the rule by which a stage ends when it is mastered: stages end after so many episodes there"
MASTERY = [("metamemory.training.loop", "_over"), ("metamemory.training.loop", "_count")]
GPU = {
    "Triton kernels": [("metamemory.kernels.gates_triton", name) for name in ("forward", "backward")],
    "the captured update": [("metamemory.training.graph", "CapturedUpdate")],
}


class Carrier:
    """Finds what can be carried over, proves it, and writes it.

    Args:
        before: the tree before the change.
        root: the top of the project as it is.
        kept: folder of the shortened runs that were done, which are not done again.
        jobs: of shortened runs, side by side.
        say: is told of every run that is done.
    """

    def __init__(self, before: Before, root: Path, kept: Path, jobs: int = 1, say: Callable[[str], None] = print):
        self.before, self.root, self.kept, self.jobs, self.say = before, root.resolve(), kept, jobs, say
        self.configurations: dict[str, dict[str, Any]] = {}

    def configuration(self, run: Run) -> dict[str, Any]:
        """Today's, the same for all seeds.

        Raises:
            UserError: there is no such run any more.
        """
        group = self._group(run)
        if group not in self.configurations:
            self.configurations[group] = json.loads(json.dumps(runs.configuration(run)))
        return self.configurations[group]

    def results(self) -> list[tuple[Run, dict[str, Any]]]:
        """All committed ones."""
        found = []
        for path in sorted((self.root / "results").glob("*/*/*/*/seed*.manifest.json")):
            manifest = read_manifest_at(path)
            found.append((Run(**manifest["run"], root=self.root), manifest))
        return found

    def examine(self, prove: bool = True) -> list[Found]:
        """What can be said of every result; without `prove`, only by the shortened runs that were done before."""
        results = self.results()
        old = self.before.identities([manifest["run"] for _, manifest in results])
        found = [self._examined(run, manifest, each) for (run, manifest), each in zip(results, old, strict=True)]
        open_ones: dict[str, Found] = {}  # the lowest seed of each
        for each in found:
            if each.open:
                open_ones.setdefault(self._group(each.run), each)
        proofs = dict(zip(open_ones, self._proofs(list(open_ones.values()), prove), strict=True))
        return [self._with(each, proofs.get(self._group(each.run))) for each in found]

    def _group(self, run: Run) -> str:
        return run.place.rpartition("/")[0]

    def _with(self, each: Found, proof: dict[str, Any] | None) -> Found:
        if proof is None or not each.open:
            return each
        if "differs" in proof:
            return Found(each.run, each.manifest, reason=proof["differs"])
        return Found(each.run, each.manifest, proof=proof)

    def _examined(self, run: Run, manifest: dict[str, Any], old: Mapping[str, str]) -> Found:
        digests = manifest["digests"]
        try:
            config = self.configuration(run)
        except UserError as error:
            return Found(run, manifest, reason=str(error))
        if stale.differs(run, manifest, config) is None:
            return Found(run, manifest, fresh=True)
        for name in ("configuration", "source"):
            if digests[name] != old[name]:
                reason = f"made with another {name} than that of {self.before.commit[:7]}, the commit before"
                return Found(run, manifest, reason=reason)
        translated = self.before.configuration(run, manifest["configuration"])
        if changed := stale.different(translated, config):
            return Found(run, manifest, reason=f"its configuration is not today's: {', '.join(changed[:3])}")
        roots = self.before.roots(run, manifest["configuration"])
        for proof, but_refusals in (("equal definitions", False), ("equal but for refusals", True)):
            was = source.digest(roots, self.before.package, but_refusals)
            if was == source.digest(runs.roots(config), but_refusals=but_refusals):
                return Found(run, manifest, proof={"proof": proof})
        return Found(run, manifest)

    # shortened runs

    def _proofs(self, open_ones: list[Found], prove: bool) -> Iterator[dict[str, Any] | None]:
        with ThreadPoolExecutor(self.jobs) as pool:
            yield from pool.map(lambda each: self._proof(each, prove), open_ones)

    def _proof(self, found: Found, prove: bool) -> dict[str, Any] | None:
        """By a shortened run in both trees; None where one of them is yet to be done."""
        cut = Cut.of(found.manifest.get("flops_per_step"))
        config = self.configuration(found.run)
        was = found.manifest["configuration"]
        states = found.manifest["digests"]["source"], source.digest(runs.roots(config))
        trained = self._folder(states[0]) / f"{self._group(found.run)}.trained.safetensors"
        one = self._outcome(found.run, was, cut, self.before, states[0], trained, prove)
        other = self._outcome(found.run, config, cut, None, states[1], trained, prove)
        if one is None or other is None:
            return None
        if differs := differences(one, other, self.before.renamed):
            return {"differs": f"its shortened run differs: {', '.join(differs[:4])}"}
        return {"proof": "equal shortened run", **self._described(found, cut, shorten(config, cut))}

    def _described(self, found: Found, cut: Cut, config: Mapping[str, Any]) -> dict[str, Any]:
        """What a shortened run was like, and what it did not show."""
        training = config.get("training")
        updates = training["episodes"] // training["batch_size"] if training else 0
        unseen = GPU if found.manifest["device"] == "cuda" else {}
        missing = [ON_A_GPU] if unseen else []
        if any("episodes" not in stage for stage in found.manifest["configuration"].get("curriculum") or ()):
            unseen = {**unseen, BY_MASTERY: MASTERY}
        equal = [what for what, definitions in unseen.items() if self._equal(definitions)]
        missing += [what for what in unseen if what not in equal]
        return {
            "shortened": {"run": found.run.place, **asdict(cut), "updates": updates},
            **({"equal_definitions": equal} if equal else {}),
            **({"not_covered": missing} if missing else {}),
        }

    def _equal(self, definitions: list[source.Root]) -> bool:
        """Whether both trees have them, and the same."""
        try:
            return source.digest(definitions, self.before.package) == source.digest(definitions)
        except UserError:
            return False

    def _outcome(
        self,
        run: Run,
        config: Mapping[str, Any],
        cut: Cut,
        before: Before | None,
        state: str,
        trained: Path,
        prove: bool,
    ) -> dict[str, Any] | None:
        """What came of the shortened run in the tree `before`, or in this one; `state` is its source digest there, so
        that what one change was shown to give is used again for the next."""
        path = self._folder(state) / f"{self._group(run)}.json"
        job = {
            "experiment": run.experiment,
            "method": run.method,
            "seed": run.seed,
            "configuration": shorten(config, cut),
            "cut": asdict(cut),
            "data": str((self.root / "data").resolve()),
            "outcome": str(path),
            "trained": str(trained),
            "through": str(before.through) if before and before.through else None,
        }
        done = self._done(path, job)
        if done is None and prove:
            tree = "before" if before else "after"
            script = str(source.PACKAGE / "study" / "shortened.py")
            tree_of = before.tree if before else source.PACKAGE.parent.parent
            try:
                self.before.run(script, given=json.dumps(job), tree=tree_of)
                done = self._done(path, job)
                self.say(f"{self._group(run)}: {tree} the change, {done['took']:.0f} s")
            except UserError as error:  # in one of the trees it cannot be done at all: that is a difference
                done = {"failed": str(error)}
                self.say(f"{self._group(run)}: {tree} the change: {error}")
        return done

    def _folder(self, state: str) -> Path:
        return self.kept.resolve() / hashlib.sha256(state.encode()).hexdigest()[:12]

    def _done(self, path: Path, job: Mapping[str, Any]) -> dict[str, Any] | None:
        if not path.exists():
            return None
        with reading(path, "delete it"):
            record = json.loads(path.read_text(encoding="utf-8"))
            record["job"], record["took"]
        if record["job"] != json.loads(json.dumps(shortened.identity(job))):
            return None
        return {**record, "weights": path.with_suffix(".safetensors")}

    # what is written

    def write(self, found: list[Found], dry: bool = False) -> list[Path]:
        """Give the files of every result today's names, and those carried over today's digests; and write the list.

        Returns:
            The files that were not so yet; `dry` leaves them alone.
        """
        texts: dict[Path, str] = {}
        gone = []
        for each in found:
            files = dict(each.manifest.get("files", {}))
            for part, ending in ENDINGS.items():
                path, former = each.run.result(ending), self.before.former(each.run, ending)
                was = former if former.exists() else path
                texts[path] = self._text(part, was)
                if files.get(ending) == file_digest(was):  # else it was damaged, and is to be found so
                    files[ending] = hashlib.sha256(texts[path].encode()).hexdigest()
                gone += [former] if former.exists() and former != path else []
            texts[each.run.result("manifest.json")] = self._manifest(each, files)
        texts[self.root / stale.LIST] = stale.as_text({each.run.place: each.reason for each in found if each.reason})
        changed = [path for path, text in texts.items() if not path.exists() or path.read_text("utf-8") != text]
        for path in () if dry else changed:
            write_text(path, texts[path], durable=False)
        for path in () if dry else gone:
            path.unlink()
        for path, other in () if dry else self._unfinished(found):
            unfinished.carry(path, other, self.before.renamed)
        return changed

    def _unfinished(self, found: list[Found]) -> list[tuple[Path, Path]]:
        """Checkpoints of other seeds of what was carried over."""
        pairs = []
        for each in (each for each in found if each.proof):
            old = each.manifest["digests"]
            pairs += unfinished.carried(self.root, old, {**old, **runs.identity(self.configuration(each.run))})
        return list(dict.fromkeys(pairs))

    def _text(self, part: str, path: Path) -> str:
        """A file of a result, with today's names in it."""
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            return json.dumps(self.before.renamed(part, json.loads(text))) + "\n"
        header, newline, rows = text.partition("\n")
        return ",".join(self.before.renamed(part, [dict.fromkeys(header.split(","))])[0]) + newline + rows

    def _manifest(self, found: Found, files: Mapping[str, str]) -> str:
        """With the digests of its `files`, where it had any."""
        run, manifest = found.run, dict(found.manifest)
        if found.proof:
            manifest["configuration"] = self.configuration(run)
            old, new = manifest["digests"], runs.identity(self.configuration(run))
            manifest["digests"] = {**old, **new}
            manifest["fingerprint"] = runs.fingerprint(manifest["digests"], run.seed)
            step = {"commit": self.before.commit, "old": {name: old[name] for name in new}, "new": new, **found.proof}
            manifest["lineage"] = [*manifest.get("lineage", []), step]
        else:
            manifest["configuration"] = self.before.configuration(run, manifest["configuration"])
        if files:
            manifest["files"] = files
            manifest["sha256"] = seal(manifest)
        return json.dumps(manifest, indent=1) + "\n"
