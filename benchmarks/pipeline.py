"""What DVC itself needs at twice the stages of the pipelines that are recorded: a part of `make bench`.

A project is made in a temporary folder: every experiment of this one twice, with as many stages as its dvc.lock has.
Its commands do nothing but write small files. Three forms of it are measured:

    digests      as `study/pipeline.py` writes them: a dvc.lock an experiment; a stage depends on a file of digests
    files        the same, but a stage depends on 25 source files
    one lock     as it was before: the same, and all stages in one dvc.yaml

For each: seconds of `dvc status`, of a `dvc repro` with nothing to do, and of each further stage that has run, in the
longest pipeline; for the first also of a pass over all stages. Seconds of the processor beside those of the clock: they
are what a quiet machine would need.
"""

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import yaml

from metamemory.study import locks, pipeline
from metamemory.study.parameters import Parameters, project_root
from metamemory.study.runs import ENDINGS, hardware

FILES = 25  # source files that a stage depended on
FURTHER = 4  # stages that are run beyond the first, to tell what each of them takes
COMMAND = """\
# sh run EXPERIMENT --notebook --scale S --method M --setting T --seed K
place=$4/$1/$6/$8/seed${10}
mkdir -p "runs/$place" "results/${place%/*}"
echo "$place" > "runs/$place/model.safetensors"
for ending in ENDINGS; do printf '{"a": 1}\\n' > "results/$place.$ending"; done
"""


class Copy:
    """A project of many stages whose commands do nothing.

    Args:
        root: an empty folder.
        times: how often each experiment is in it.
        largest: stages of an experiment, at most.
    """

    def __init__(self, root: Path, times: int, largest: int):
        self.root, here = root, project_root()
        for name in ("src", "params", ".dvc"):
            shutil.copytree(here / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "tmp", "cache"))
        for name in ("params.yaml", ".dvcignore", ".gitignore"):
            shutil.copy(here / name, root / name)
        for name, text in {"data/images.bin": "0" * 100_000, "book/intro.md": "# Book\n"}.items():
            (root / name).parent.mkdir()
            (root / name).write_text(text, encoding="utf-8")
        (root / "run").write_text(COMMAND.replace("ENDINGS", " ".join(ENDINGS)), encoding="utf-8")
        self._multiply(times, largest)
        pipeline.write_pipelines(root)
        pipeline.write_digests(root)
        for path in root.glob("notebooks/*/*/dvc.yaml"):
            path.write_text(
                path.read_text(encoding="utf-8").replace("python -m metamemory run", "sh run"), encoding="utf-8"
            )
        book = "mkdir -p book/_build/html && echo > book/_build/html/index.html"
        top = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))
        top["stages"]["digests"]["cmd"], top["stages"]["book"]["cmd"] = "true", book
        (root / "dvc.yaml").write_text(yaml.safe_dump(top), encoding="utf-8")
        subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
        self.dvc("add", "--quiet", "data")

    def _multiply(self, times: int, largest: int) -> None:
        """Write parameters with each experiment so often, and with as many seeds as give the stages recorded."""
        here = project_root()
        parameters = Parameters(here)
        front = yaml.safe_load((self.root / "params.yaml").read_text(encoding="utf-8"))
        for paper in list(front["papers"]):
            for again in range(times):
                ending = f"_{again}" if again else ""
                values = yaml.safe_load((here / "params" / f"{paper}.yaml").read_text(encoding="utf-8"))
                experiments = {}
                for name, section in values["experiments"].items():
                    lock = here / "notebooks" / paper / name / "dvc.lock"
                    recorded = len(locks.read_stages(lock)) if lock.exists() else 1
                    runs = len(section["methods"]) * len(section["settings"])
                    seeds = max(1, round(min(recorded, largest) / runs))
                    experiments[name + ending] = {"protocol": parameters.protocol(name), **section}
                    experiments[name + ending]["seeds"] = list(range(seeds))
                    notebook = self.root / f"notebooks/{paper}{ending}/{name}{ending}/{name}{ending}.ipynb"
                    notebook.parent.mkdir(parents=True)
                    notebook.write_text(json.dumps({"cells": [{"source": [f"# {name}"]}]}), encoding="utf-8")
                if again:
                    front["papers"].append(paper + ending)
                    values.pop("methods", None)  # are known from the first of them
                values["experiments"] = experiments
                (self.root / "params" / f"{paper}{ending}.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        (self.root / "params.yaml").write_text(yaml.safe_dump({**front, "scale": "laptop"}), encoding="utf-8")

    def dvc(self, *words: str) -> dict[str, float]:
        """Run a command of DVC; its seconds on the clock and of the processor."""
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        command = [sys.executable, "-m", "dvc", *words]
        subprocess.run(command, cwd=self.root, env=environment, check=True, stdout=subprocess.DEVNULL)
        seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {"seconds": round(seconds, 2), "processor_seconds": round(cpu, 2)}

    @property
    def locks(self) -> dict[Path, dict[str, Any]]:
        return {path: locks.read_stages(path) for path in sorted(self.root.glob("notebooks/*/*/dvc.lock"))}

    def depend_on_files(self) -> None:
        """Let each stage depend on source files where it depended on its digests, and its entry in dvc.lock with it."""
        files = sorted(self.root.glob("src/metamemory/*/*.py"))[:FILES]
        entries = []
        for path in files:
            content = path.read_bytes()
            entry = {"hash": "md5", "md5": hashlib.md5(content).hexdigest(), "size": len(content)}
            entries.append({"path": str(path.relative_to(self.root)), **entry})
        for path, stages in self.locks.items():
            (stage,) = (file := yaml.safe_load(path.with_suffix(".yaml").read_text(encoding="utf-8")))[
                "stages"
            ].values()
            stage["deps"] = [*stage["deps"][1:], *(each["path"] for each in entries)]
            path.with_suffix(".yaml").write_text(yaml.safe_dump(file, sort_keys=False), encoding="utf-8")
            for each in stages.values():
                kept = [entry for entry in each["deps"] if not entry["path"].startswith(f"{pipeline.DIGESTS}/")]
                each["deps"] = [*kept, *entries]
            _write_lock(path, stages)

    def join(self) -> None:
        """Move all stages to one dvc.yaml and one dvc.lock at the top."""
        top = yaml.safe_load((self.root / "dvc.yaml").read_text(encoding="utf-8"))
        recorded = locks.read_stages(self.root / "dvc.lock")
        for path, stages in self.locks.items():
            file = yaml.safe_load(path.with_suffix(".yaml").read_text(encoding="utf-8"))
            for stage in file["stages"].values():
                del stage["wdir"]
            top["stages"] |= file["stages"]
            recorded |= stages
            path.unlink()
            path.with_suffix(".yaml").unlink()
        experiments: dict[str, Any] = {}
        for path in (self.root / "params").iterdir():
            experiments |= yaml.safe_load(path.read_text(encoding="utf-8"))["experiments"]
        (self.root / "params" / "all.yaml").write_text(yaml.safe_dump({"experiments": experiments}), encoding="utf-8")
        (self.root / "dvc.yaml").write_text(
            yaml.safe_dump({"vars": ["params/all.yaml"], **top}, sort_keys=False), encoding="utf-8"
        )
        _write_lock(self.root / "dvc.lock", recorded)


def _write_lock(path: Path, stages: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False, width=80), encoding="utf-8")


def measure(copy: Copy, targets: list[str]) -> dict[str, Any]:
    """One form of the project, in which all stages have run.

    Args:
        copy: the project.
        targets: as many stages of its longest pipeline as are run, and one more.
    """
    every = [copy.root / "dvc.lock", *copy.locks]
    first = copy.dvc("repro", "--single-item", "--force", targets[0])
    more = copy.dvc("repro", "--single-item", "--force", *targets)
    return {
        "bytes_of_locks": sum(path.stat().st_size for path in every),
        "longest_lock": max(path.stat().st_size for path in every),
        "status": copy.dvc("status"),
        "idle_repro": copy.dvc("repro"),
        "finished_stage": {name: round((more[name] - first[name]) / (len(targets) - 1), 2) for name in first},
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=2, help="how often each experiment is there")
    parser.add_argument("--largest", type=int, default=1000, help="stages of an experiment, at most")
    parser.add_argument("--output", type=Path, default=project_root() / "results" / "speed" / "pipeline.json")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder) / "project", options.times, options.largest)
        report: dict[str, Any] = {
            "hardware": hardware(torch.device("cpu")),
            "dvc": metadata.version("dvc"),
            "load": [round(each, 1) for each in os.getloadavg()],  # other processes that wanted a core meanwhile
        }
        began = copy.dvc("repro")
        stages = {path: len(each) for path, each in copy.locks.items()}
        report |= {"stages": sum(stages.values()), "pipelines": len(stages), "longest": max(stages.values())}
        report["pass"] = began
        longest = max(stages, key=stages.get)
        names = list(copy.locks[longest])[: FURTHER + 1]
        of_pipeline = [f"{longest.relative_to(copy.root).with_suffix('.yaml')}:{name}" for name in names]
        report["forms"] = {"digests": measure(copy, of_pipeline)}
        copy.depend_on_files()
        report["forms"]["files"] = measure(copy, of_pipeline)
        copy.join()
        report["forms"]["one lock"] = measure(copy, names)
        report["load_after"] = [round(each, 1) for each in os.getloadavg()]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
