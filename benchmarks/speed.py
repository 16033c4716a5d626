"""Speed of the study's operations against plain references, side by side in one run: `make bench`.

Every round times each variant once, in turn, so that a machine whose speed drifts slows all of them alike; what
is reported is the median over rounds of the ratio within a round. A training iteration is forward, backward and
nothing else; weights and inputs are the same for all variants of a row.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.kernels import least_recently_used
from metamemory.kernels.least_recently_used import Memory
from metamemory.kernels.memory import keep_freed_memory
from metamemory.models import available, build
from metamemory.models.cl_lstm import CLLSTM
from metamemory.models.mann import MANN
from metamemory.nn.labels import one_hot
from metamemory.study.runs import hardware
from metamemory.tasks.online_few_shot import OnlineFewShot

STEPS, BATCH, SIZE, FILTERS, N_WAY = 25, 8, 28, 64, 5
STREAM = 10_000  # steps
LONG = 1_000  # steps of an episode in which learners are compared
MANN_STEPS, MANN_BATCH, MANN_SIZE, SLOTS, WIDTH, HEADS = 50, 16, 20, 128, 40, 4
PIXELS = {1: 28, 2: 14, 3: 7, 4: 3}  # side of the maps of each CL layer


class PlainCLLSTM(nn.Module):
    """CL+LSTM as it is commonly written: for each step, for each layer, one convolution of cat(x, h)."""

    def __init__(self):
        super().__init__()
        channels = (1 + N_WAY, FILTERS, FILTERS, FILTERS)
        self.cl = nn.ModuleList(nn.Conv2d(c + FILTERS, 4 * FILTERS, 3, padding=1) for c in channels)
        self.lstm = nn.LSTMCell(FILTERS * 9 + N_WAY, 256)
        self.classifier = nn.Linear(256, N_WAY)

    def forward(self, x: Tensor, y_seen: Tensor) -> Tensor:
        batch = x.shape[1]
        state = [(x.new_zeros(batch, FILTERS, side, side),) * 2 for side in PIXELS.values()]
        top = None
        logits = []
        for t in range(len(x)):
            label = fn.one_hot(y_seen[t] + 1, N_WAY + 1)[:, 1:].float()
            z = torch.cat([x[t], label[:, :, None, None].expand(-1, -1, SIZE, SIZE)], dim=1)
            for n, conv in enumerate(self.cl):
                h, c = state[n]
                i, f, o, g = conv(torch.cat([z + skip if n == 3 else z, h], dim=1)).chunk(4, dim=1)  # noqa: F821
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
                state[n] = h, c
                z = fn.max_pool2d(h, 2) if n < 3 else h
                if n == 1:
                    skip = fn.max_pool2d(z, 2)  # noqa: F841
            top = self.lstm(torch.cat([z.flatten(1), label], dim=1), top)
            logits.append(self.classifier(top[0]))
        return torch.stack(logits)


class PlainMANN(nn.Module):
    """MANN as it is commonly written: for each step an LSTM cell, the heads, and the formulas of the access."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(MANN_SIZE**2 + N_WAY + HEADS * WIDTH, 200)
        self.keys, self.gates = nn.Linear(200, HEADS * WIDTH), nn.Linear(200, HEADS)
        self.classifier = nn.Linear(200 + HEADS * WIDTH, N_WAY)

    def forward(self, x: Tensor, y_seen: Tensor) -> Tensor:
        batch = x.shape[1]
        state = (x.new_zeros(batch, 200),) * 2
        reads = x.new_zeros(batch, HEADS, WIDTH)
        memory = Memory(x.new_zeros(batch, WIDTH, SLOTS), x.new_zeros(batch, HEADS, SLOTS), x.new_zeros(batch, SLOTS))
        logits = []
        for t in range(len(x)):
            label = one_hot(y_seen[t], N_WAY)
            state = self.cell(torch.cat([x[t].flatten(1), label, reads.flatten(1)], dim=1), state)
            keys = self.keys(state[0]).tanh().view(batch, HEADS, WIDTH)
            gates = self.gates(state[0]).sigmoid()
            reads, memory, _ = least_recently_used.access_reference(keys, gates, memory, 0.99)
            logits.append(self.classifier(torch.cat([state[0], reads.flatten(1)], dim=1)))
        return torch.stack(logits)


class InputLSTM(nn.Module):
    """An LSTM of the controller's size on the same inputs, by torch itself."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(MANN_SIZE**2 + N_WAY, 200)

    def forward(self, x: Tensor, y_seen: Tensor) -> Tensor:
        return self.lstm(torch.cat([x.flatten(2), one_hot(y_seen, N_WAY)], dim=-1))[0]


def convolutions_alone(precision: torch.dtype) -> Callable[[], None]:
    """The convolutions of one training iteration and nothing else, batched over time where they can be."""

    def maps(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=precision).contiguous(memory_format=torch.channels_last)

    layers = []
    for layer, side in PIXELS.items():
        channels = 1 + N_WAY if layer == 1 else FILTERS
        x, hs = maps(STEPS * BATCH, channels, side, side), maps(STEPS * BATCH, FILTERS, side, side)
        d_u = maps(STEPS * BATCH, 4 * FILTERS, side, side)
        w_x, w_h = maps(4 * FILTERS, channels, 3, 3), maps(4 * FILTERS, FILTERS, 3, 3)
        layers.append((x, hs, d_u, w_x, w_h, layer > 1))  # the first layer's input needs no gradient

    def iteration():
        for x, hs, d_u, w_x, w_h, needs_input_gradient in layers:
            fn.conv2d(x, w_x, padding=1)
            for h in hs.split(BATCH):
                fn.conv2d(h, w_h, padding=1)
            for d in d_u.split(BATCH):
                fn.grad.conv2d_input((BATCH, *hs.shape[1:]), w_h, d, padding=1)
            fn.grad.conv2d_weight(hs, w_h.shape, d_u, padding=1)
            fn.grad.conv2d_weight(x, w_x.shape, d_u, padding=1)
            if needs_input_gradient:
                fn.grad.conv2d_input(x.shape, w_x, d_u, padding=1)

    return iteration


def training_iteration(learner: nn.Module, x: Tensor, y_seen: Tensor) -> Callable[[], None]:
    def iteration():
        learner.zero_grad(set_to_none=True)
        learner(x, y_seen).square().sum().backward()

    return iteration


def sampling() -> Callable[[], None]:
    images = torch.zeros(1028, 20, 1, SIZE, SIZE, dtype=torch.uint8)
    task, generator = OnlineFewShot(images, N_WAY, STEPS // N_WAY), torch.Generator().manual_seed(0)
    return lambda: task.sample(BATCH, generator)


def streaming(age: int) -> Callable[[], None]:
    """Online use: steps at batch 1 that go on after `age` steps have been taken."""
    learner = CLLSTM((1, 14, 14), N_WAY, filters=16, hidden=128, pool_after=(1, 2)).eval()
    x, null, state = torch.rand(1, 1, 14, 14), torch.full((1,), -1), learner.initial_state(1)

    @torch.no_grad()
    def steps(count: int = STREAM // 50) -> None:
        nonlocal state
        for _ in range(count):
            _, state = learner.step(x, null, state)

    steps(age)
    return steps


def online(name: str) -> dict[str, float]:
    """Milliseconds of a step at batch 1 and kilobytes of state, of a learner at full size: at the start of an episode
    and after `LONG` steps."""
    learner = build(name, (1, SIZE, SIZE), N_WAY, 1, {}).eval()
    state, found = learner.initial_state(1), {}

    @torch.no_grad()
    def milliseconds(steps: int) -> float:
        nonlocal state
        times = []
        for t in range(steps):
            x, label = torch.rand(1, 1, SIZE, SIZE), torch.tensor([t % N_WAY])
            began = time.perf_counter()
            _, state = learner.step(x, label, state)
            times.append(1000 * (time.perf_counter() - began))
        return statistics.median(times)

    for moment, before in (("early", 5), ("late", LONG - 55)):
        milliseconds(before)
        found[f"milliseconds_{moment}"] = round(milliseconds(25), 3)
        found[f"kilobytes_{moment}"] = round(_bytes(state) / 1000, 1)
    return found


def _bytes(state: object) -> int:
    if isinstance(state, Tensor):
        return state.numel() * state.element_size()
    return sum(map(_bytes, state))


def measure(variants: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each variant in each round, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, iteration in variants.items():
            began = time.perf_counter()
            iteration()
            if number:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed against plain references, side by side.")
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds")
    parser.add_argument("--to", type=Path, default=Path("results/speed/cpu.json"), help="file to write")
    options = parser.parse_args()

    keep_freed_memory()
    torch.manual_seed(0)
    x, y_seen = torch.rand(STEPS, BATCH, 1, SIZE, SIZE), torch.randint(-1, N_WAY, (STEPS, BATCH))

    def fast(precision: str) -> Callable[[], None]:
        return training_iteration(CLLSTM((1, SIZE, SIZE), N_WAY, normalise=False, precision=precision), x, y_seen)

    images = torch.rand(MANN_STEPS, MANN_BATCH, 1, MANN_SIZE, MANN_SIZE)
    labels = torch.randint(-1, N_WAY, (MANN_STEPS, MANN_BATCH))
    seconds = measure(
        {
            "plain loop, float32": training_iteration(PlainCLLSTM(), x, y_seen),
            "fast, float32": fast("float32"),
            "fast, bfloat16": fast("bfloat16"),
            "convolutions alone, float32": convolutions_alone(torch.float32),
            "convolutions alone, bfloat16": convolutions_alone(torch.bfloat16),
            "MANN, plain loop": training_iteration(PlainMANN(), images, labels),
            "MANN, fast": training_iteration(MANN((1, MANN_SIZE, MANN_SIZE), N_WAY), images, labels),
            "LSTM of torch": training_iteration(InputLSTM(), images, labels),
            "sampling a batch": sampling(),
            "online step, late": streaming(age=STREAM),
            "online step, early": streaming(age=0),
        },
        options.rounds,
    )
    rows = []
    for what, above, below in (
        ("CL+LSTM training iteration: plain loop / fast, float32", "plain loop, float32", "fast, float32"),
        ("fast, float32 / its convolutions alone", "fast, float32", "convolutions alone, float32"),
        ("fast: float32 / bfloat16", "fast, float32", "fast, bfloat16"),
        ("fast, bfloat16 / its convolutions alone", "fast, bfloat16", "convolutions alone, bfloat16"),
        ("MANN training iteration: plain loop / fast", "MANN, plain loop", "MANN, fast"),
        ("MANN, fast / torch's LSTM of the controller's size", "MANN, fast", "LSTM of torch"),
        ("sampling a batch / fast, bfloat16", "sampling a batch", "fast, bfloat16"),
        (f"online step at batch 1: after {STREAM:,} / at the start", "online step, late", "online step, early"),
    ):
        ratios = sorted(a / b for a, b in zip(seconds[above], seconds[below], strict=True))
        rows.append({"what": what, "ratio": statistics.median(ratios), "low": ratios[0], "high": ratios[-1]})
        print(f"{what:62} {rows[-1]['ratio']:7.3f}   ({ratios[0]:.3f} to {ratios[-1]:.3f})")
    report = {
        "shape": f"{STEPS} steps, batch {BATCH}, {SIZE}x{SIZE}, {FILTERS} filters, {N_WAY}-way; "
        f"MANN: {MANN_STEPS} steps, batch {MANN_BATCH}, {MANN_SIZE}x{MANN_SIZE}, {SLOTS} slots of {WIDTH}, "
        f"{HEADS} heads, 200 units",
        "hardware": hardware(torch.device("cpu")),
        "torch": torch.__version__,
        "rounds": options.rounds,
        "online": {name: online(name) for name in available() if name != "counting"},
        "ratios": [{key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()} for row in rows],
        "median_seconds": {name: round(statistics.median(each), 5) for name, each in seconds.items()},
    }
    options.to.parent.mkdir(parents=True, exist_ok=True)
    options.to.write_text(json.dumps(report, indent=1) + "\n")
    print(f"{report['hardware']}, torch {report['torch']}; written to {options.to}")


if __name__ == "__main__":
    main()
