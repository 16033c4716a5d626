"""What decides each run today, and what there is of it."""

from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from metamemory import data
from metamemory.data import ImageSet
from metamemory.errors import UserError
from metamemory.study import begun, runs, source
from metamemory.study.begun import Begun
from metamemory.study.kept import address_of, trained
from metamemory.study.parameters import Parameters
from metamemory.study.runs import Run
from metamemory.study.stored import NOT_RUN, State, state


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
        self._source = cache(source.digest)
        self._images: dict[tuple, ImageSet | None] = {}
        self._data_digest = cache(lambda name, other: data.digest(name, root / "data", other))

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
            self._identities[named] = runs.identity(self.configuration(run), self._source)
        return self._identities[named]

    def images(self, run: Run) -> ImageSet | None:
        """What it learns from."""
        config = self.configuration(run)
        section = config.get("data", {})
        key = tuple(section.get(name) for name in ("name", "size", "split", "other"))
        if key not in self._images:
            self._images[key] = runs.load_images(run, config)
        return self._images[key]

    def needs(self, run: Run) -> Run | None:
        """The run whose weights it looks at."""
        path = trained(run, self.configuration(run))
        if path is None:
            return None
        return Run(*address_of(path, self.root), root=self.root)

    def digests(self, run: Run) -> dict[str, str | None]:
        """Of all that decides it but its seed, as `runs.digests`; no images are read for it."""
        config = self.configuration(run)
        images = self._data_digest(config["data"]["name"], config["data"].get("other")) if "data" in config else None
        return runs.digests(run, config, images, self._source)

    def fingerprint(self, run: Run) -> str:
        """Of all that decides it."""
        return runs.fingerprint(self.digests(run), run.seed)

    def state(self, run: Run) -> State:
        """What there is of it.

        Raises:
            UserError: what decides it cannot be worked out, as where its data are not prepared.
        """
        digests = self.digests(run)
        return state(run, digests, Begun(run.root, runs.fingerprint(digests, run.seed)).checkpoint.exists())

    def state_as_far_as_known(self, run: Run) -> State:
        """The same, whatever cannot be worked out: then results are taken for what their manifest says that they are,
        and a checkpoint under the name of the run for its own."""
        has_begun = run.place in self._begun.values()
        if not has_begun and not run.result("manifest.json").exists():
            return State(NOT_RUN)  # whatever decides it
        with suppress(UserError):
            return self.state(run)
        with suppress(UserError):
            return state(run, self.identity(run), has_begun)
        return state(run, {}, has_begun)

    @cached_property
    def _begun(self) -> dict[Path, str]:
        return begun.places(self.root)

    def left_behind(self) -> dict[Path, str]:
        """Checkpoints from which no run goes on any more, since what decides it has changed, and the places of their
        runs. One with overrides is never among them."""
        found = {}
        for path, place in self._begun.items():
            parts = place.split("/")
            if len(parts) != 5 or "," in parts[3] or not parts[4].removeprefix("seed").isdecimal():
                continue
            run = Run(*parts[:4], int(parts[4].removeprefix("seed")), root=self.root)
            try:
                self.configuration(run)
            except UserError:  # it is none of the parameters any more
                found[path] = place
                continue
            with suppress(UserError):
                if runs.checkpoint(self.root, self.fingerprint(run)) != path:
                    found[path] = place
        return found
