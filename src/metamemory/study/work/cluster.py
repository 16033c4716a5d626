"""`work --cluster`: the same queue on the machines of a Ray cluster (https://docs.ray.io).

A run is a Ray task with its processors, its memory and its share of a GPU. Code and parameters travel as the runtime
environment of the job, data through Ray's object store. Checkpoints come back whenever there is a new one, results at
the end, and take their places here as imported ones do, with the same checks. Where a node dies, its runs go on from
their last checkpoints on another one.
"""

import os
import shutil
import socket
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from metamemory.errors import UserError
from metamemory.locking import locked
from metamemory.study import runs, source
from metamemory.study.kept import files_of_trained
from metamemory.study.runs import Run
from metamemory.study.today import Today
from metamemory.study.work import remote
from metamemory.study.work.archives import CHECKPOINT, Item, unfinished_item
from metamemory.study.work.arrivals import Lineage, admit
from metamemory.study.work.queue import Job, named
from metamemory.study.work.workers import Event, lock_of
from metamemory.training.files import first_line

MEMORY = 2 * 2**30  # bytes that a run may need
OF_A_GPU = 0.25  # share that a run has, where there are GPUs
TRIES = 5  # nodes that a run may lose
PATIENCE = 10.0  # seconds for a connection
SAME = ("python", "torch", "numpy")  # versions that all nodes must have in common with this machine


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise UserError("work --cluster needs Ray: pip install -e '.[cluster]'") from None
    return ray


class ClusterWorkers:
    """Tasks of a Ray cluster.

    Args:
        address: "auto", or host:port.
        today: what decides each run.
        jobs: how many at a time at most; as many as the cluster has room for where None.
        threads: of each.

    Raises:
        UserError: Ray is not installed; there is no such cluster; it has other versions of Ray, Python or a package.
    """

    def __init__(self, address: str, today: Today, jobs: int | None = None, threads: int = 1):
        self.ray, self.today, self.threads = _ray(), today, threads
        self.stack = ExitStack()
        self._connect(address)
        self.ray_do = self.ray.remote(remote.do)
        self.flag = self.ray.remote(remote.Flag).options(num_cpus=0, max_restarts=-1, **self._here()).remote()
        resources = self.ray.cluster_resources()
        self.gpus = OF_A_GPU if resources.get("GPU") else 0
        self.most = jobs or 10_000
        self._check_versions()
        self.data: dict[str, Any] = {}
        self.lineage = Lineage(today.root)
        self.active: dict[str, dict[str, Any]] = {}
        self.asked_to_stop = False

    @property
    def jobs(self) -> int:
        """How many at a time."""
        resources = self.ray.cluster_resources()
        room = resources.get("CPU", 0) // self.threads
        if self.gpus:
            room = min(room, resources.get("GPU", 0) // self.gpus)
        return max(1, min(self.most, int(room)))

    def _connect(self, address: str) -> None:
        if ":" in address and not address.startswith("ray://"):
            host, _, port = address.rpartition(":")
            try:
                socket.create_connection((host, int(port)), PATIENCE).close()
            except (OSError, ValueError) as error:
                raise UserError(f"--cluster: {address} cannot be reached: {error}") from None
        staged = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="metamemory-")))
        package = source.PACKAGE
        shutil.copytree(package, staged / package.name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(self.today.root / "params.yaml", staged)
        shutil.copytree(self.today.root / "params", staged / "params")
        environment = {"working_dir": str(staged), "env_vars": {"PYTHONPATH": "."}}
        try:
            self.ray.init(address=address, runtime_env=environment, logging_level="ERROR", log_to_driver=False)
        except Exception as error:  # of many kinds: none there, another version of Ray or Python, a firewall
            self.stack.close()
            raise UserError(f"--cluster: {address}: {' '.join(str(error).split())[:300]}") from None
        self.stack.callback(self.ray.shutdown)

    def _here(self) -> dict[str, Any]:
        """That an actor lives on this machine's node, which is there as long as this process."""
        strategy = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        return {"scheduling_strategy": strategy(self.ray.get_runtime_context().get_node_id(), soft=True)}

    def _check_versions(self) -> None:
        ours = remote.versions()
        strategy = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        asked = {
            node["NodeManagerAddress"]: self.ray.remote(remote.versions)
            .options(num_cpus=0, scheduling_strategy=strategy(node["NodeID"], soft=False))
            .remote()
            for node in self.ray.nodes()
            if node["Alive"]
        }
        for node, reference in asked.items():
            try:
                theirs = self.ray.get(reference, timeout=120)
            except Exception as error:
                self.close()
                raise UserError(f"--cluster: node {node} cannot run this code: {first_line(error)}") from None
            for name in SAME:
                if ours[name] != theirs[name]:
                    self.close()
                    raise UserError(f"--cluster: node {node} has {name} {theirs[name]}, and this machine {ours[name]}")

    def room(self, job: Job) -> bool:
        """Whether a job can be started now."""
        return len(self.active) < self.jobs

    def start(self, job: Job, minutes: float) -> None:
        """Give it to the cluster, with its checkpoint if it has one."""
        lock = ExitStack()
        ours = lock.enter_context(locked(lock_of(job.run)))
        self.active[job.run.place] = {"job": job, "lock": lock, "tries": 0, "until": time.monotonic() + 60 * minutes}
        if ours:
            self._submit(job.run.place)
        else:
            self.active[job.run.place]["task"] = None

    def _submit(self, place: str) -> None:
        task = self.active[place]
        run: Run = task["job"].run
        begun = unfinished_item(run, self.today.digests(run))
        options = {"num_cpus": self.threads, "num_gpus": self.gpus, "memory": MEMORY, "max_retries": 0}
        trained = files_of_trained(run, self.today.configuration(run))
        task["task"] = self.ray_do.options(num_returns="streaming", **options).remote(
            {name: getattr(run, name) for name in ("scale", "experiment", "method", "setting", "seed")},
            (task["until"] - time.monotonic()) / 60,
            begun.files[CHECKPOINT] if begun else None,
            begun and runs.fingerprint(begun.digests, run.seed),
            self._data_of(run),
            trained,
            self.flag,
        )

    def _data_of(self, run: Run) -> dict[str, Any]:
        """File of the prepared data set -> its bytes in the object store."""
        images = self.today.images(run)
        if images is None:
            return {}
        folder = self.today.root / "data" / images.name
        found = {}
        for path in sorted(folder.iterdir()):
            key = str(path.relative_to(self.today.root))
            if key not in self.data:
                self.data[key] = self.ray.put(path.read_bytes())
            found[key] = self.data[key]
        return found

    def events(self, seconds: float) -> list[Event]:
        """What has happened; waits for so long at most."""
        tasks = {task["task"]: place for place, task in self.active.items() if task["task"] is not None}
        held = [place for place, task in self.active.items() if task["task"] is None]
        found = [self._end(place, "busy", "another process does it") for place in held]
        if not tasks:
            return found
        ready, _ = self.ray.wait(list(tasks), num_returns=1, timeout=seconds, fetch_local=False)
        for generator in ready:
            found += self._heard(tasks[generator], generator)
        return found

    def _heard(self, place: str, generator: Any) -> list[Event]:
        try:
            kind, value = self.ray.get(next(generator))
        except StopIteration:
            return self._lost(place, "its task ended without a word")
        except Exception as error:  # a node or a process is gone
            return self._lost(place, _reason(error))
        job = self.active[place]["job"]
        if kind == "line":
            return [Event(job, kind, value)]
        if kind == "item":
            return self._home(place, Item(**value))
        return [self._end(place, kind, value)]

    def _home(self, place: str, item: Item) -> list[Event]:
        """A checkpoint or a finished run takes its place."""
        try:
            admit(self.active[place]["job"].run, item, self.today, self.lineage)
        except UserError as error:
            return [self._end(place, "failed", str(error))]
        return []

    def _lost(self, place: str, reason: str) -> list[Event]:
        task = self.active[place]
        task["tries"] += 1
        if self.asked_to_stop or time.monotonic() > task["until"]:
            return [self._end(place, "stopped", "")]
        if task["tries"] > TRIES:
            return [self._end(place, "failed", f"{TRIES} nodes were lost, the last one so: {reason}")]
        self._submit(place)
        return [Event(task["job"], "line", f"{named(task['job'].run)}: goes on elsewhere: {reason}")]

    def _end(self, place: str, kind: str, text: str) -> Event:
        task = self.active.pop(place)
        task["lock"].close()
        return Event(task["job"], kind, text)

    def stop(self) -> None:
        """Ask all to stop at a checkpoint, which comes back."""
        self.asked_to_stop = True
        with suppress(Exception):  # where it is gone, tasks end with their minutes
            self.flag.raise_it.remote()

    def kill(self) -> None:
        """End all at once."""
        for task in self.active.values():
            if task["task"] is not None:
                with suppress(Exception):
                    self.ray.cancel(task["task"], force=True)

    def close(self) -> None:
        """When nothing is to be started any more."""
        for task in getattr(self, "active", {}).values():
            task["lock"].close()
        self.stack.close()

    @property
    def hardware(self) -> str:
        """Of the cluster, in words."""
        nodes = sum(node["Alive"] for node in self.ray.nodes())
        return f"a Ray cluster of {nodes} node{'s' if nodes > 1 else ''} ({os.cpu_count()} cores here)"


def _reason(error: Exception) -> str:
    """The last line of what Ray says, which is the error itself."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[-1].split())[:300] if lines else type(error).__name__
