"""A run beside a busy process: how much of its lone speed it keeps, on two processors. A part of `make bench`.

CL+LSTM of the laptop scale trains on five-way episodes of 45 steps, with two threads that wait for each other in
different ways (`metamemory.study.neighbours`), with one, and as two runs side by side of one thread each. Every round
has each variant once alone and once beside a process of another program that never rests; one variant works at a time.
Reported are medians over rounds, of rates and of the ratios within a round. Whatever else the machine does disturbs
them, so it is measured too; a window in which that was more than `QUIET` processors is done again, at most twice.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from load import busy_seconds, cpu_seconds
from windows import READY, tell, train_when_told

QUIET = 0.1  # processors that other programs may take
LONGEST = 120.0  # seconds that a neighbour can be busy
LEAD_IN = 2.0  # seconds of each window that do not count, in which a run gets used to its neighbour

# name: threads, runs side by side, environment
VARIANTS = {
    "two threads, as OpenMP has it": (2, 1, {}),
    "two threads that spin 1,000 times": (2, 1, {"GOMP_SPINCOUNT": "1000"}),
    "two threads, bound": (2, 1, {"OMP_PROC_BIND": "true"}),
    "one thread": (1, 1, {}),
    "two runs of one thread": (1, 2, {}),
}
TARGETS = {  # variant: share of the lone speed of two threads "as OpenMP has it", alone and beside
    "two threads, bound": {"alone": 0.95, "beside": 0.45},
}


def train() -> None:
    """A run: trains for as many seconds as a line of its input says, and answers with its episodes a second."""
    import torch
    from torch.nn import functional as fn

    from metamemory.kernels.memory import keep_freed_memory
    from metamemory.models import build
    from metamemory.models.learner import TaskDescription
    from metamemory.study.parameters import Parameters, project_root

    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    keep_freed_memory()
    config = Parameters(project_root()).configuration("laptop", "online_few_shot", "cl_lstm", "omniglot", {})
    n_way, size = config["task"]["n_way"], config["data"]["size"]
    length, batch = n_way * config["task"]["samples_per_class"], config["training"]["batch_size"]
    learner = build(config["learner"], TaskDescription((1, size, size), n_way), config["model"])
    optimiser = torch.optim.Adam(learner.parameters())
    x, y = torch.rand(length, batch, 1, size, size), torch.randint(n_way, (length, batch))

    def updates(seconds: float) -> float:
        began, count = time.perf_counter(), 0
        while not count or time.perf_counter() - began < seconds:
            loss = fn.cross_entropy(learner(x, y).flatten(0, 1), y.flatten())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            count += 1
        return count * batch / (time.perf_counter() - began)

    train_when_told(updates)


def be_busy(parent: int) -> None:
    """The neighbour: never rests as long as the process that began it lives, and `LONGEST` seconds at most."""
    end = time.monotonic() + LONGEST
    while os.getppid() == parent and time.monotonic() < end:
        sum(range(1000))


@dataclass
class Runs:
    """The runs of a variant, side by side, and what has been measured of them.

    Attributes:
        rates: episodes a second of all runs together, "alone" and "beside" the neighbour, one number a round.
        others: processors that other programs took, likewise.
    """

    processes: list[subprocess.Popen]
    rates: dict[str, list[float]] = field(default_factory=lambda: {"alone": [], "beside": []})
    others: dict[str, list[float]] = field(default_factory=lambda: {"alone": [], "beside": []})

    @classmethod
    def of(cls, threads: int, runs: int, environment: dict[str, str]) -> "Runs":
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
        inherited |= {"OMP_NUM_THREADS": str(threads)} | environment
        command = [sys.executable, __file__, "--train"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        return cls([subprocess.Popen(command, env=inherited, **pipes) for _ in range(runs)])

    def ready(self) -> None:
        for process in self.processes:
            assert process.stdout.readline() == READY, "a run could not begin"

    def window(self, seconds: float, neighbour: subprocess.Popen | None) -> tuple[float, float]:
        """Rate of all runs, and processors that other programs took."""
        own = [process.pid for process in [*self.processes, *([neighbour] if neighbour else [])]]
        began, all_before, own_before = time.monotonic(), busy_seconds(), sum(map(cpu_seconds, own))
        for process in self.processes:
            tell(process, LEAD_IN, seconds)
        rate = sum(float(process.stdout.readline()) for process in self.processes)
        spent = busy_seconds() - all_before - (sum(map(cpu_seconds, own)) - own_before)
        return rate, max(0.0, spent / (time.monotonic() - began))

    def measure(self, seconds: float, where: str) -> None:
        """A window, done again if it was disturbed; the quietest counts."""
        tries = []
        for _ in range(3):
            neighbour = None
            if where == "beside":  # in a session of its own, as another program is
                command = [sys.executable, __file__, "--busy", str(os.getpid())]
                neighbour = subprocess.Popen(command, start_new_session=True)
            try:
                tries.append(self.window(seconds, neighbour)[::-1])
            finally:
                if neighbour:
                    neighbour.kill()
                    neighbour.wait()
            if tries[-1][0] <= QUIET:
                break
        others, rate = min(tries)
        self.rates[where].append(rate)
        self.others[where].append(others)

    def end(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
            process.communicate()


def rows(measured: dict[str, Runs]) -> list[dict]:
    """One row a variant: its rates, and both as shares of the lone rate of two threads as OpenMP has it."""
    reference = measured[next(iter(VARIANTS))].rates["alone"]
    found = []
    for name, runs in measured.items():
        row = {"what": name}
        for where in ("alone", "beside"):
            row[where] = round(statistics.median(runs.rates[where]), 1)
            shares = sorted(rate / lone for rate, lone in zip(runs.rates[where], reference, strict=True))
            row[f"{where} / lone"] = round(statistics.median(shares), 3)
            row[f"{where} / lone, range"] = [round(shares[0], 3), round(shares[-1], 3)]
            row[f"others {where}"] = round(statistics.median(runs.others[where]), 2)
        kept = sorted(b / a for a, b in zip(runs.rates["alone"], runs.rates["beside"], strict=True))
        row["beside / alone"] = round(statistics.median(kept), 3)
        row["target"] = TARGETS.get(name, {})
        found.append(row)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="A run beside a busy process.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a window that counts")
    parser.add_argument("--to", type=Path, default=Path("results/speed/neighbours.json"), help="file to write")
    parser.add_argument("--train", action="store_true", help="be a run (used by the script itself)")
    parser.add_argument("--busy", type=int, metavar="PARENT", help="be the neighbour (likewise)")
    options = parser.parse_args()
    if options.train:
        return train()
    if options.busy:
        return be_busy(options.busy)
    if not Path("/proc/stat").exists():
        sys.exit("error: benchmarks/neighbours.py reads /proc, which only Linux has")
    with suppress(OSError, AttributeError):  # two processors are what is asked about
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    measured = {name: Runs.of(*variant) for name, variant in VARIANTS.items()}
    try:
        for runs in measured.values():
            runs.ready()
        for _ in range(options.rounds):
            for runs in measured.values():
                runs.measure(options.seconds, "alone")
                runs.measure(options.seconds, "beside")
    finally:
        for runs in measured.values():
            runs.end()
    write(options, rows(measured))


def write(options: argparse.Namespace, found: list[dict]) -> None:
    import torch

    from metamemory.study.recording import hardware

    torch.set_num_threads(2)
    report = {
        "shape": "CL+LSTM of the laptop scale, five-way episodes of 45 steps",
        "hardware": hardware(torch.device("cpu")),
        "processors": len(os.sched_getaffinity(0)),
        "torch": torch.__version__,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "rows": found,
    }
    options.to.parent.mkdir(parents=True, exist_ok=True)
    options.to.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for row in found:
        print(
            f"{row['what']:36} alone {row['alone']:6.1f}/s = {row['alone / lone']:.2f}   beside {row['beside']:6.1f}/s"
            f" = {row['beside / lone']:.2f}   others took {row['others alone']:.2f}, {row['others beside']:.2f}"
        )
    print(f"{report['hardware']}, torch {report['torch']}; written to {options.to}")


if __name__ == "__main__":
    main()
