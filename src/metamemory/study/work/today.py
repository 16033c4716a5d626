"""What decides each run today, and whether it is finished."""

from pathlib import Path
from typing import Any

from metamemory.data import ImageSet
from metamemory.errors import UserError
from metamemory.study import runs, source
from metamemory.study.begun import Begun
from metamemory.study.parameters import Parameters
from metamemory.study.runs import Run
from metamemory.study.stored import file_digest, read_whole

NO_WEIGHTS = "weights are not here"


class Today:
    """What decides each run today, worked out once for all runs that share it.

    Args:
        root: top of the project.

    Raises:
        UserError: the parameters are not right; data are not prepared.
    """

    def __init__(self, root: Path = Path(".")):
        self.root = root
        self.parameters = Parameters(root)
        self._configurations: dict[tuple, dict[str, Any]] = {}
        self._identities: dict[tuple, dict[str, str]] = {}
        self._sources: dict[tuple, str] = {}
        self._images: dict[tuple, ImageSet | None] = {}

    def configuration(self, run: Run) -> dict[str, Any]:
        """All that decides the run but its seed and its data."""
        named = (run.scale, run.experiment, run.method, run.setting)
        if named not in self._configurations:
            self._configurations[named] = self.parameters.configuration(*named, {})
        return self._configurations[named]

    def identity(self, run: Run) -> dict[str, str]:
        """Digests of its configuration and its source."""
        named = (run.scale, run.experiment, run.method, run.setting)
        if named not in self._identities:
            config = self.configuration(run)
            roots = tuple(runs.roots(config))
            if roots not in self._sources:
                self._sources[roots] = source.digest(roots)
            self._identities[named] = {"configuration": runs.sha256(config), "source": self._sources[roots]}
        return self._identities[named]

    def images(self, run: Run) -> ImageSet | None:
        """What it learns from."""
        config = self.configuration(run)
        data = config.get("data", {})
        key = (data.get("name"), data.get("size"), data.get("split"))
        if key not in self._images:
            self._images[key] = runs.load_images(run, config)
        return self._images[key]

    def needs(self, run: Run) -> Run | None:
        """The run whose weights it looks at."""
        path = runs.trained(run, self.configuration(run))
        if path is None:
            return None
        scale, experiment, method, setting, seed = path.relative_to(self.root).parts[1:-1]
        return Run(scale, experiment, method, setting, int(seed.removeprefix("seed")), root=self.root)

    def digests(self, run: Run) -> dict[str, str | None]:
        """As `runs.digests`; that of weights that are not there is None."""
        images, weights = self.images(run), runs.trained(run, self.configuration(run))
        found = {**self.identity(run), "data": images and images.digest}
        return found if weights is None else {**found, "trained": file_digest(weights)}

    def fingerprint(self, run: Run) -> str:
        """Of all that decides it."""
        return runs.fingerprint(self.digests(run), run.seed)

    def state(self, run: Run) -> str | None:
        """Why it is to be done; None if it is finished."""
        digests = self.digests(run)
        fingerprint = runs.fingerprint(digests, run.seed)
        if runs.finished(run) == fingerprint:
            return None
        if Begun(run.root, fingerprint).checkpoint.exists():
            return "unfinished"
        if not run.result("manifest.json").exists():
            return "not run"
        try:
            made = read_whole(run)["digests"]
        except UserError:
            return "damaged"
        changed = [name for name, value in digests.items() if value is not None and made.get(name) != value]
        if changed:
            return f"stale: another {' and '.join(changed)}"
        return "damaged" if run.model.exists() else NO_WEIGHTS
