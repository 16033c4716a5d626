"""CL+LSTM's training on a GPU, in each way that there is code for: `python benchmarks/gpu.py`, four minutes.

A training iteration is forward and backward on `BATCH` episodes; every way is timed in turn with the plain loop
in bfloat16 autocast, and what counts is the median ratio within a round. Then whole updates, sampling and optimiser
included, of runs side by side, each a process of its own, as `work --jobs` has them: episodes a second of all together.
Shares are of the rate at which the card multiplies two large matrices in bfloat16.

Each number is written as soon as it is there, so that a card that is taken away has measured what it had time for; what
was not measured is named, with the reason. Without a GPU all but the graphs runs on the processor, and tells nothing of
speed: that is what tests do.
"""

import argparse
import gc
import json
import os
import selectors
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import speed
import torch
from windows import READY, tell, train_when_told

from metamemory.kernels import gates
from metamemory.models.recurrent.cl_lstm import CLLSTM
from metamemory.study.recording import hardware
from metamemory.tasks.online_few_shot import OnlineFewShot
from metamemory.training.files import first_line, write_text
from metamemory.training.flops import flops_per_step
from metamemory.training.graph import CapturedUpdate
from metamemory.training.update import Training, optimiser_of, update

BATCH, MATRIX = 64, 8192  # episodes; side of the matrices whose product shows the peak
BASE = "plain loop, bfloat16"
# name: which loop, the type that convolutions multiply in, and whether an iteration is one CUDA graph
WAYS = {
    BASE: ("plain", "bfloat16", False),
    "plain loop, float32": ("plain", "float32", False),
    "plain loop, bfloat16, a CUDA graph": ("plain", "bfloat16", True),
    "gates by torch's formulas, bfloat16": ("formulas", "bfloat16", False),
    "gates in Triton, float32": ("triton", "float32", False),
    "gates in Triton, bfloat16": ("triton", "bfloat16", False),
    "gates in Triton, float32, a CUDA graph": ("triton", "float32", True),
    "gates in Triton, bfloat16, a CUDA graph": ("triton", "bfloat16", True),
}
SIDE_BY_SIDE, SIDE_BATCH = (1, 2, 4, 8), 16  # runs; episodes of an update
WINDOWS, LEAD_IN = 3, 1.0  # that runs are counted in; seconds before each that do not count
LOOK_EVERY = 20  # updates between two looks at the device, as in training
WARM_UP = 3  # iterations before a capture
IN_TIME = 20.0  # seconds that must be left for another measurement to begin


class Report:
    """What has been measured so far, on disk at any moment."""

    def __init__(self, path: Path, minutes: float, facts: dict[str, Any]):
        self.path, self.end = path, time.monotonic() + 60 * minutes
        self.values = {**facts, "iterations": {}, "side_by_side": {}, "not_measured": {}}

    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()

    def add(self, section: str, name: str, measure: Callable[[], dict[str, float]]) -> None:
        """Measure something, if there is time; whatever goes wrong with it stops nothing else."""
        try:
            if self.left() < IN_TIME:
                raise TimeoutError("no time was left")
            self.values[section][name] = {key: float(f"{value:.5g}") for key, value in measure().items()}
            shown = "  ".join(f"{key} {value:g}" for key, value in self.values[section][name].items())
        except Exception as error:  # out of memory, a kernel that does not compile, a graph that cannot be captured
            self.values["not_measured"][name] = shown = first_line(error)
        print(f"{name:42} {shown}", flush=True)
        self.write()

    def write(self) -> None:
        write_text(self.path, json.dumps(self.values, indent=1) + "\n")


@contextmanager
def gates_by(way: str) -> Iterator[None]:
    """Update gates by Triton kernels, or by the formulas of torch, whatever would be chosen."""
    if way == "triton":
        from metamemory.kernels import gates_triton

        chosen = gates_triton.forward, gates_triton.backward
    else:
        chosen = gates.forward_reference, gates.backward_reference
    kept = gates.forward, gates.backward
    gates.forward, gates.backward = chosen
    try:
        yield
    finally:
        gates.forward, gates.backward = kept


def iteration(way: str, precision: str, device: torch.device) -> Callable[[], None]:
    """Forward and backward of CL+LSTM in one of the ways; the inputs and the size are the same for all."""
    x = torch.rand(speed.STEPS, BATCH, 1, speed.SIZE, speed.SIZE, device=device)
    y_seen = torch.randint(-1, speed.N_WAY, (speed.STEPS, BATCH), device=device)
    if way == "plain":
        alone = speed.training_iteration(speed.PlainCLLSTM().to(device), x, y_seen)

        def work() -> None:
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                alone()
    else:
        size = (1, speed.SIZE, speed.SIZE)
        learner = CLLSTM(size, speed.N_WAY, speed.FILTERS, normalise=False, precision=precision)
        alone = speed.training_iteration(learner.to(device), x, y_seen)

        def work() -> None:
            with gates_by(way):
                alone()

    return work


def captured(work: Callable[[], None]) -> Callable[[], None]:
    """The same as one CUDA graph."""
    here, side = torch.cuda.current_stream(), torch.cuda.Stream()
    side.wait_stream(here)
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            work()
    here.wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    graph.keeps = work  # weights and inputs have to stay where they are
    return graph.replay


def finished(work: Callable[[], object], device: torch.device) -> Callable[[], None]:
    """The work, until the device has done it."""

    def done() -> None:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return done


def measured_iteration(
    name: str, base: Callable[[], None], peak: float, device: torch.device, rounds: int
) -> dict[str, float]:
    """How long a way takes, and the base / it; low and high are over rounds."""
    way, precision, graph = WAYS[name]
    if graph and device.type != "cuda":
        raise NotImplementedError("there are CUDA graphs on GPUs only")
    work = base if name == BASE else iteration(way, precision, device)
    pair = {"base": finished(base, device), "this": finished(captured(work) if graph else work, device)}
    seconds = speed.measure(pair, rounds)
    ratios = sorted(a / b for a, b in zip(seconds["base"], seconds["this"], strict=True))
    took = statistics.median(seconds["this"])
    return {
        "milliseconds": 1000 * took,
        "plain / this": statistics.median(ratios) if name != BASE else 1.0,
        "low": ratios[0] if name != BASE else 1.0,
        "high": ratios[-1] if name != BASE else 1.0,
        "tflops": operations() * BATCH / took / 1e12,
        "share of the peak": operations() * BATCH / took / peak,
    }


def measure_iterations(report: Report, peak: float, device: torch.device, rounds: int) -> None:
    """Each way after the other; of two at a time weights and maps are in memory."""
    base = iteration(*WAYS[BASE][:2], device)
    for name in WAYS:
        report.add("iterations", name, lambda name=name: measured_iteration(name, base, peak, device, rounds))
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()


def operations() -> float:
    """Of the training on one episode: backward counts as two forward passes."""
    size = (1, speed.SIZE, speed.SIZE)
    return 3 * speed.STEPS * flops_per_step(CLLSTM(size, speed.N_WAY, speed.FILTERS), size)


def peak_of(device: torch.device, rounds: int) -> float:
    """Floating-point operations a second of the product of two large matrices in bfloat16."""
    matrix = torch.randn(MATRIX, MATRIX, device=device, dtype=torch.bfloat16)
    seconds = speed.measure({"product": finished(lambda: matrix @ matrix, device)}, rounds)["product"]
    return 2 * MATRIX**3 / statistics.median(seconds)


def train(steps: int, batch: int, filters: int) -> None:
    """A run: trains for as many seconds as a line of its input says, and answers with its episodes a second."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    on_gpu = device.type == "cuda"
    torch.manual_seed(0)
    images = torch.randint(0, 256, (100, 20, 1, speed.SIZE, speed.SIZE), dtype=torch.uint8).to(device)
    task = OnlineFewShot(images, speed.N_WAY, max(1, steps // speed.N_WAY))
    precision = "bfloat16" if on_gpu else "float32"
    learner = CLLSTM((1, speed.SIZE, speed.SIZE), speed.N_WAY, filters, precision=precision).to(device)
    settings = Training(episodes=10**9, batch_size=batch)
    optimiser = optimiser_of(learner, settings, torch.full((), 1e-3, device=device) if on_gpu else 1e-3)
    advance, generator = CapturedUpdate() if on_gpu else update, torch.Generator(device).manual_seed(0)

    def updates(seconds: float) -> float:
        began, count = time.perf_counter(), 0
        while not count or time.perf_counter() - began < seconds:
            for _ in range(LOOK_EVERY if on_gpu else 1):
                score = advance(learner, task, settings, optimiser, generator)
                count += 1
            score.loss.item()  # waits for the device
        return count * batch / (time.perf_counter() - began)

    train_when_told(updates)


class Runs:
    """Runs side by side, each a process that trains when it is told to."""

    def __init__(self, count: int, batch: int):
        sizes = json.dumps([speed.STEPS, batch, speed.FILTERS])
        command = [sys.executable, __file__, "--train", sizes]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "encoding": "utf-8"}
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.processes = [subprocess.Popen(command, env=environment, **pipes) for _ in range(count)]
        self.waiting = list(self.processes)

    def ready(self, seconds: float) -> None:
        """Wait until all can train."""
        while self.waiting:
            answer = _line(self.waiting[0], seconds)
            if answer != READY:
                raise RuntimeError(f"a run could not begin: it says {answer.strip()!r}")
            del self.waiting[0]

    def rate(self, count: int, seconds: float, patience: float) -> float:
        """Episodes a second of the first runs, all together."""
        for process in self.processes[:count]:
            tell(process, LEAD_IN, seconds)
        return sum(float(_line(process, patience)) for process in self.processes[:count])

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()


def _line(process: subprocess.Popen, seconds: float) -> str:
    """What it answers, which is one line.

    Raises:
        TimeoutError: it takes longer.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(max(0.0, seconds)):
            raise TimeoutError("no time was left")
    return process.stdout.readline()


def measured_side_by_side(runs: Runs, count: int, seconds: float, peak: float, report: Report) -> dict[str, float]:
    runs.ready(report.left())
    rates = [runs.rate(count, seconds, report.left()) for _ in range(WINDOWS)]
    rate = statistics.median(rates)
    achieved = rate * operations()
    return {
        "episodes_per_second": rate,
        "low": min(rates),
        "high": max(rates),
        "tflops": achieved / 1e12,
        "share of the peak": achieved / peak,
    }


def benchmark(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Measure all; returns what was written."""
    facts = {
        "shape": f"CL+LSTM, {speed.STEPS} steps, {speed.SIZE}x{speed.SIZE}, {speed.FILTERS} filters, {speed.N_WAY}-way",
        "hardware": hardware(device),
        "torch": torch.__version__,
        "rounds": options.rounds,
        "batch": BATCH,
        "side_batch": SIDE_BATCH,
    }
    report = Report(options.to, options.minutes, facts)
    torch.manual_seed(0)
    peak = peak_of(device, options.rounds)
    report.values["peak_tflops"] = float(f"{peak / 1e12:.5g}")
    measure_iterations(report, peak, device, options.rounds)
    runs = Runs(max(options.runs), SIDE_BATCH)
    try:
        for count in options.runs:
            report.add(
                "side_by_side",
                str(count),
                lambda count=count: measured_side_by_side(runs, count, options.seconds, peak, report),
            )
    finally:
        runs.end()
    return report.values


def main() -> None:
    parser = argparse.ArgumentParser(description="CL+LSTM's training on a GPU, in each way that there is code for.")
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds of an iteration")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a window in which runs side by side are counted")
    parser.add_argument("--minutes", type=float, default=4.0, help="that all may take")
    parser.add_argument("--runs", type=int, nargs="+", default=list(SIDE_BY_SIDE), help="side by side")
    parser.add_argument("--to", type=Path, default=Path("results/speed/gpu.json"), help="file to write")
    parser.add_argument("--anyway", action="store_true", help="without a GPU too, which says nothing of speed")
    parser.add_argument("--train", type=json.loads, metavar="SIZES", help="be a run (used by the script itself)")
    options = parser.parse_args()
    if options.train:
        with suppress(KeyboardInterrupt, BrokenPipeError):
            train(*options.train)
        return
    if not torch.cuda.is_available() and not options.anyway:
        sys.exit("error: benchmarks/gpu.py needs a GPU that torch can use")
    found = benchmark(options, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    print(f"{found['hardware']}, torch {found['torch']}; written to {options.to}")


if __name__ == "__main__":
    main()
