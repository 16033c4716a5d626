"""What a step costs: operations counted on the meta device, beside the figures of Babu et al. 2021, section 4.3.

There are two kinds of step. In a *forward* step a sample is answered. In an *adapted* step the learner also learns from
the sample before it, whose label is shown. To a learner whose state is its memory both are the same. One that adapts by
gradient descent needs a forward and a backward pass for the sample that it learns from, of which the forward one, by
the same weights, is that of its answer. The paper counts three forward passes ("a forward and backward pass together
incurring three times the operations in a forward pass alone"); here the products are counted, and the backward pass
goes through the weights that are adapted and no further. (The code of this study computes the forward pass twice, since
a label may come more than one step late; `flops_per_step` in the manifests has it so.)

1 multiply-add is 2 FLOPs; products of convolutions and matrices count, all else does not.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from metamemory.models import TaskDescription, available, build, learner_class
from metamemory.models.gradient.online_sgd import OnlineSGD
from metamemory.models.learner import Learner
from metamemory.papers.babu2021.reported import ADAPTED, FORWARD, TABLE_1
from metamemory.study.claims import Claim
from metamemory.study.methods import title
from metamemory.study.parameters import Parameters, project_root
from metamemory.study.speed import measured
from metamemory.study.tables import markdown
from metamemory.training.flops import flops_of, flops_per_step

INPUT_SHAPE, N_WAY = (1, 28, 28), 5  # of the comparison, as far as the paper's figures tell
SIDE_BY_SIDE = {"episodes_per_second": "{:,.0f}", "tflops": "{:,.0f}", "share of the peak": "{:.0%}"}  # columns
NAMES = {"fine_tuning": "4-layer CNN, 256 filters, fine-tuned"}


class Cost(NamedTuple):
    """Numbers of a learner: its parameters; FLOPs of a forward and of an adapted step of one episode."""

    parameters: int
    forward: int
    adapted: int


def count(learner: Learner, input_shape: tuple[int, int, int]) -> Cost:
    """At the beginning of an episode; a learner that keeps samples costs more as it goes on."""
    query = torch.empty(1, 1, *input_shape, device="meta")
    forward = flops_of(learner, lambda ghost: ghost.predict(query, ghost.initial_state(1)))
    adapted = flops_per_step(learner, input_shape)
    if descends(learner):  # the answer by the adapted weights, once
        adapted -= forward - flops_of(learner, lambda ghost: ghost.prepare(query))
    return Cost(sum(each.numel() for each in learner.parameters()), forward, adapted)


def descends(learner: Learner) -> bool:
    """Whether it adapts by gradient descent at every step of a stream."""
    return isinstance(learner, OnlineSGD)


def public_oml(channels: int = 1, n_way: int = N_WAY) -> nn.Sequential:
    """The network called OML in the public code of Beaulieu et al. 2020: six convolutions of 256 filters, of which the
    fourth and the sixth skip every other pixel, and two fully connected layers. There it has three channels and 1,000
    labels."""
    layers: list[nn.Module] = []
    for stride in (1, 1, 1, 2, 1, 2):
        layers += [nn.Conv2d(channels, 256, 3, stride), nn.ReLU()]
        channels = 256
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2304, 1024), nn.ReLU(), nn.Linear(1024, n_way))


def of_network(network: nn.Sequential, input_shape: tuple[int, int, int], adapted: int = 0) -> int:
    """FLOPs of one sample through a network, and back through the last `adapted` of its modules."""

    def call(ghost: nn.Sequential) -> None:
        with torch.no_grad():
            features = ghost[: len(ghost) - adapted](torch.empty(1, *input_shape, device="meta"))
        if adapted:
            ghost[len(ghost) - adapted :](features).sum().backward()

    return flops_of(network, call, gradients=True)


def at_full_size(method: str, task: TaskDescription | None = None) -> Learner:
    """The learner of a method with its own settings and else the defaults, which are of full size; by default for the
    task of the comparison."""
    found = Parameters(project_root()).method(method)
    return build(found.learner, task or TaskDescription(INPUT_SHAPE, N_WAY), found.model)


def learners() -> dict[str, Learner]:
    """Every method that answers with labels and has something to train, at full size."""
    parameters = Parameters(project_root())
    methods = {method for experiment in parameters.experiments for method in parameters.methods(experiment)}
    names = sorted(methods.union(available()))
    built = {
        name: at_full_size(name) for name in names if learner_class(parameters.method(name).learner).answers == "label"
    }
    return {name: learner for name, learner in built.items() if list(learner.parameters())}


def counted_table() -> str:
    """Parameters and FLOPs of every learner; the paper's figures beside those it names."""
    rows = []
    costs = {name: (learner, count(learner, INPUT_SHAPE)) for name, learner in learners().items()}
    for name, (learner, cost) in sorted(costs.items(), key=lambda item: item[1][1].adapted):
        rule = f"{3 * cost.forward / 1e9:.3f}" if descends(learner) else f"{cost.forward / 1e9:.3f}"
        rows.append(
            [
                NAMES.get(name, title(name)),
                f"{cost.parameters / 1e6:.2f}",
                f"{cost.forward / 1e9:.3f}",
                _giga(FORWARD.get(name)),
                f"{cost.adapted / 1e9:.3f}",
                rule,
                _giga(ADAPTED.get(name)),
            ]
        )
    header = [
        "method",
        "parameters, M",
        "forward, G",
        "paper",
        "adapted, counted, G",
        "adapted, rule of three, G",
        "paper",
    ]
    return markdown(header, rows)


def _giga(flops: float | None) -> str:
    return "–" if flops is None else f"{flops / 1e9:.2f}"


def room_table(delays: Sequence[int] = (1, 2, 5, 10)) -> str:
    """Bytes of the state of each learner of Table 1 after a step, by the delay of the labels."""
    rows = []
    for name in TABLE_1["omniglot"]:
        sizes = (_state_size(at_full_size(name, TaskDescription(INPUT_SHAPE, N_WAY, delay))) for delay in delays)
        rows.append([title(name), *(f"{each / 1e3:,.1f}" for each in sizes)])
    return markdown(["method", *(f"delay {delay}, kB" for delay in delays)], rows)


@torch.no_grad()
def _state_size(learner: Learner) -> int:
    ghost, null = learner.to("meta").eval(), torch.full((1,), -1, device="meta")
    return size(ghost.step(torch.empty(1, *INPUT_SHAPE, device="meta"), null, ghost.initial_state(1))[1])


def size(part: Any) -> int:
    """Bytes of all tensors in a nest of tuples."""
    return part.numel() * part.element_size() if isinstance(part, Tensor) else sum(map(size, part))


def claims() -> list[Claim]:
    """The paper's figures of cost, and whether they follow from a design; each is decided by counting. Those of adapted
    steps, which are three times a rounded figure, are held to one digit less."""
    ours = {name: count(at_full_size(name), INPUT_SHAPE) for name in FORWARD}
    six = of_network(public_oml(), INPUT_SHAPE)
    six_adapted = of_network(public_oml(), INPUT_SHAPE, adapted=3)
    return [
        Claim(what, f"{paper / 1e9:.2f}", [(here / 1e9, paper / 1e9)], digits=digits)
        for what, paper, digits, here in (
            ("CL+LSTM, every step", FORWARD["cl_lstm"], 2, ours["cl_lstm"].forward),
            ("4-layer CNN, forward", FORWARD["fine_tuning"], 2, ours["fine_tuning"].forward),
            ("4-layer CNN, adapted", ADAPTED["fine_tuning"], 1, ours["fine_tuning"].adapted),
            ("OML, forward, four layers as the paper's text has it", FORWARD["oml"], 2, ours["oml"].forward),
            ("OML, forward, six layers as in public code, one channel", FORWARD["oml"], 2, six),
            ("the same, adapted, by the rule of three", ADAPTED["oml"], 1, 3 * six),
            ("the same, adapted, its last two layers alone", ADAPTED["oml"], 1, six_adapted),
        )
    ]


CLAIM_COLUMNS = ("claim", "paper, GFLOPs", "this study, GFLOPs", "verdict")


def measured_table(root: Path = Path(".")) -> str:
    """Time and memory of a step on this hardware, written by `make bench`; a hint where it has not been run."""
    report = measured("cost", root)
    if report is None:
        return "Not measured here: `make bench`."
    rows = [
        [
            NAMES.get(name, title(name)),
            *(f"{each[key]:,.2f}" for key in ("milliseconds_forward", "milliseconds_adapted")),
            *(f"{each[key] / 1e6:,.2f}" for key in ("parameter_bytes", "state_bytes", "peak_bytes")),
        ]
        for name, each in sorted(report["learners"].items(), key=lambda item: item[1]["milliseconds_adapted"])
    ]
    header = ["method", "forward, ms", "adapted step, ms", "weights, MB", "state, MB", "made in an adapted step, MB"]
    return (
        f"{markdown(header, rows)}\n\nOne stream, {INPUT_SHAPE[1]}×{INPUT_SHAPE[2]}, {N_WAY}-way, full size; medians "
        f"of {report['repeats']} steps. {report['hardware']}, torch {report['torch']}."
    )


def speed_table(root: Path = Path(".")) -> str:
    """The ratios that `make bench` measured, with where and on what; a hint where it has not been run."""
    report = measured("cpu", root)
    if report is None:
        return "Speed has not been measured here: `make bench`."
    signs = str.maketrans({"<": "≤", ">": "≥", "=": None})
    rows = [
        [row["what"], f"{row['ratio']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}", row["target"].translate(signs)]
        for row in report["ratios"]
    ]
    memory = report["long_episode"]["gigabytes"]
    return (
        f"{markdown(['time of … / time of …', 'ratio', 'lowest to highest', 'aim'], rows)}\n\n"
        f"Median ratio of {report['rounds']} rounds, each variant once a round. {report['shape']}; "
        f"{report['hardware']}, torch {report['torch']}. A process that trains CL+LSTM of that size on an episode of "
        f"{report['long_episode']['steps']} steps takes {memory['float32']:.1f} GB, with products in bfloat16 "
        f"{memory['bfloat16']:.1f} GB."
    )


def gpu_table(root: Path = Path(".")) -> str:
    """What `benchmarks/gpu.py` measured: a training iteration in each way, and runs side by side; what it did not
    measure, it says."""
    report = measured("gpu", root)
    if report is None:
        return "Not measured: `python benchmarks/gpu.py`, which takes four minutes of a GPU."
    of_ways = [
        [name, _told(each, "milliseconds", "{:.1f}"), _ratio(each), _told(each, "share of the peak", "{:.0%}")]
        for name, each in report["iterations"].items()
    ]
    of_runs = [
        [count, *(_told(each, key, form) for key, form in SIDE_BY_SIDE.items())]
        for count, each in report["side_by_side"].items()
    ]
    tables = [markdown(["", "ms", "plain loop, bfloat16 / this (aim: ≥ 6)", "share of the peak"], of_ways)]
    tables.append(
        f"A training iteration on {report['batch']} episodes ({report['shape']}): forward and backward. "
        f"{report['hardware']}, torch {report['torch']}; medians of {report['rounds']} rounds, lowest to highest in "
        "brackets. The peak is that of a product of two large matrices in bfloat16."
    )
    if of_runs:
        header = ["runs side by side", "episodes/s together", "TFLOP/s (aim: ≥ 200)", "share of the peak"]
        tables += [markdown(header, of_runs), f"Whole updates on {report['side_batch']} episodes, a process a run."]
    else:
        tables.append("Runs side by side: not measured.")
    tables += [f"{name}: not measured ({why})." for name, why in report["not_measured"].items()]
    return "\n\n".join(tables)


def _told(values: Mapping[str, float], key: str, form: str) -> str:
    return form.format(values[key]) if key in values else "not measured"


def _ratio(values: Mapping[str, float]) -> str:
    """With its range, where that was kept."""
    spread = f" ({values['low']:.2f} to {values['high']:.2f})" if "low" in values else ""
    return f"{values['plain / this']:.2f}{spread}"


def online_table(root: Path = Path(".")) -> str:
    """What each learner costs at full size, as `make bench` measured it: training, as a multiple of CL+LSTM's time; a
    step online, as an episode grows to 1,000 steps."""
    report = measured("cpu", root)
    if report is None:
        return "Not measured here: `make bench`."
    rows = [
        [
            title(name),
            f"{each['training']:.2f}" if "training" in each else "–",
            *(f"{each[f'milliseconds_{moment}']:.2f}" for moment in ("early", "late")),
            *(f"{each[f'kilobytes_{moment}']:,.1f}" for moment in ("early", "late")),
        ]
        for name, each in sorted(report["online"].items(), key=lambda item: item[1]["milliseconds_early"])
    ]
    training = "training, times CL+LSTM"
    header = [
        "method",
        training,
        "ms a step, early",
        "ms, after 1,000 steps",
        "state, kB, early",
        "kB, after 1,000 steps",
    ]
    return (
        f"{markdown(header, rows)}\n\n28×28, 5-way, full size. Training: forward and backward of a batch of episodes "
        f"({report['shape'].partition(';')[0]}), median of {report['rounds']} rounds beside CL+LSTM, both in float32; "
        f"– where it was not measured, or there is nothing to train. Steps: one stream, batch 1. {report['hardware']}."
    )
