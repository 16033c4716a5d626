"""Time and memory of a step of every learner at full size, beside what `papers.babu2021.cost` counts; see `make bench`.

A *forward* step answers a sample from a frozen state; an *adapted* step is shown the label of the sample before, learns
from it, and answers. Memory is that of the tensors that are made in an adapted step: the most that live at once, beyond
the weights and the state that it begins with, which are given apart.
"""

import argparse
import json
import statistics
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from metamemory.models.learner import Learner
from metamemory.papers.babu2021.cost import INPUT_SHAPE, N_WAY, learners, size
from metamemory.study.runs import hardware

REPEATS = 25


class Live(TorchDispatchMode):
    """Watches the storages that operations make, as long as they live.

    Attributes:
        peak: the most bytes that lived at once.
    """

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.met: set[int] = set()

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        given = {each.untyped_storage()._cdata for each in tree_iter((arguments, options)) if isinstance(each, Tensor)}
        made = function(*arguments, **(options or {}))
        for each in tree_iter(made):
            if isinstance(each, Tensor) and each.untyped_storage()._cdata not in given | self.met:
                self._watch(each.untyped_storage())
        return made

    def _watch(self, storage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self.met.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self.met.discard(key)
        self.now -= size


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """Median, after a few that do not count."""
    times = []
    for number in range(repeats + 3):
        began = time.perf_counter()
        work()
        if number >= 3:
            times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


@torch.no_grad()
def measure(learner: Learner, repeats: int) -> dict[str, float]:
    """Of one stream, from its second step on, when a sample waits for its label."""
    learner.eval()
    x, label = torch.rand(1, *INPUT_SHAPE), torch.tensor([N_WAY - 1])
    _, state = learner.step(x, torch.tensor([-1]), learner.initial_state(1))
    found = {
        "milliseconds_forward": round(milliseconds(lambda: learner.predict(x[None], state), repeats), 3),
        "milliseconds_adapted": round(milliseconds(lambda: learner.step(x, label, state), repeats), 3),
        "parameter_bytes": size(tuple(learner.parameters())),
        "state_bytes": size(state),
    }
    with Live() as live:
        learner.step(x, label, state)
    return found | {"peak_bytes": live.peak}


def main() -> None:
    """Measure all and write the report."""
    parser = argparse.ArgumentParser(description="Time and memory of a step of every learner.")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="counted steps")
    parser.add_argument("--to", type=Path, default=Path("results/speed/cost.json"), help="file to write")
    options = parser.parse_args()

    torch.manual_seed(0)
    found = {}
    for name, learner in learners().items():
        found[name] = measure(learner, options.repeats)
        print(f"{name:14} {found[name]['milliseconds_adapted']:9.2f} ms, {found[name]['peak_bytes'] / 1e6:9.2f} MB")
    report = {
        "hardware": hardware(torch.device("cpu")),
        "torch": torch.__version__,
        "repeats": options.repeats,
        "learners": found,
    }
    options.to.parent.mkdir(parents=True, exist_ok=True)
    options.to.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"{report['hardware']}, torch {report['torch']}; written to {options.to}")


if __name__ == "__main__":
    main()
