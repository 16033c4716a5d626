"""Counted operations against closed formulas, and the figures that the paper gives."""

import importlib.util
import json
import sys

import matplotlib.pyplot as plt
import pytest
import torch

from metamemory.models import TaskDescription, build
from metamemory.papers import claims_of
from metamemory.papers.babu2021 import cost, cost_figures
from metamemory.papers.babu2021.reported import ADAPTED, FORWARD
from metamemory.study.methods import title
from metamemory.study.parameters import project_root

SHAPE = (1, 28, 28)
_spec = importlib.util.spec_from_file_location("cost_benchmark", project_root() / "benchmarks" / "cost.py")
benchmark = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(benchmark)


def convolution(inputs, outputs, side, kernel=3):
    return 2 * inputs * outputs * kernel**2 * side**2


def conv4(filters, sides):
    channels = (1, *[filters] * (len(sides) - 1))
    return [convolution(c, filters, side) for c, side in zip(channels, sides, strict=True)]


def counted(name, n_way=5, **settings):
    return cost.count(build(name, TaskDescription(SHAPE, n_way), settings), SHAPE)


def test_a_convolutional_lstm_learns_and_answers_in_the_same_step():
    found = counted("cl_lstm")
    layers = [convolution(6 + 64, 256, 28), *(convolution(64 + 64, 256, side) for side in (14, 7, 3))]
    lstm, classifier = 2 * (64 * 9 + 5 + 256) * 4 * 256, 2 * 256 * 5
    assert found.forward == found.adapted == sum(layers) + lstm + classifier
    assert round(found.forward / 1e9, 2) == FORWARD["cl_lstm"] / 1e9 == 0.40


def test_the_four_layer_cnn_costs_three_forward_passes_less_the_gradient_of_the_image():
    found = counted("fine_tuning")
    layers, head = conv4(256, (28, 14, 7, 3)), 2 * 256 * 5
    assert found.forward == sum(layers) + head
    assert round(found.forward / 1e9, 2) == FORWARD["fine_tuning"] / 1e9 == 0.30
    assert found.adapted == 3 * (sum(layers) + head) - layers[0]
    assert round(found.adapted / 1e9, 1) == ADAPTED["fine_tuning"] / 1e9 == 0.9


def test_oml_goes_back_through_its_prediction_layers_only():
    found = counted("oml")
    encoder, hidden, last = sum(conv4(256, (28, 14, 7, 3))), 2 * 256 * 512, 2 * 512 * 5
    assert found.forward == encoder + hidden + last
    assert found.adapted == encoder + 2 * hidden + 3 * last  # features are not moved: no gradient for them


def test_anml_goes_back_through_all_but_its_gates():
    found = counted("anml")
    layers, last = conv4(256, (28, 14, 7, 3)), 2 * 2304 * 5
    gates = conv4(112, (28, 14, 7)) + [2 * 112 * 9 * 2304]
    assert found.forward == sum(layers) + last + sum(gates)
    assert found.adapted == 3 * (sum(layers) + last) - layers[0] + sum(gates)


def test_the_figure_has_each_learner_of_the_comparison_and_the_papers_numbers():
    bars = cost_figures.bars()
    assert [name for name, _, _ in bars.values()] == [*FORWARD, "oml"]
    assert all(forward <= adapted for _, forward, adapted in bars.values())
    assert bars[cost_figures.SIX][1] > 4 * bars["OML, four layers"][1]
    (axes,) = (figure := cost_figures.steps()).axes
    assert len(axes.patches) == 2 * len(bars)
    shown = sorted(x for line in axes.lines for x in line.get_xdata())
    named = [name for name, _, _ in bars.values()]
    assert shown == sorted(each[name] / 1e9 for each in (FORWARD, ADAPTED) for name in named if name in each)
    plt.close(figure)


def test_the_papers_figure_for_oml_is_that_of_six_layers(tmp_path):
    """28 pixels, no padding: 26, 24, 22, then 10 by a stride of 2, 8, and 3."""
    sides = (26, 24, 22, 10, 8, 3)
    convolutions = [convolution(1 if n == 0 else 256, 256, side) for n, side in enumerate(sides)]
    hidden, last = 2 * 2304 * 1024, 2 * 1024 * 5
    assert cost.of_network(cost.public_oml(), SHAPE) == sum(convolutions) + hidden + last
    assert round((sum(convolutions) + hidden + last) / 1e9, 2) == FORWARD["oml"] / 1e9 == 1.46
    adapted = cost.of_network(cost.public_oml(), SHAPE, adapted=3)
    assert adapted == sum(convolutions) + 2 * hidden + 3 * last
    verdicts = [line.split("|")[-2].strip() for line in claims_of(cost)(tmp_path).splitlines()[2:]]
    assert verdicts == ["reproduced"] * 3 + ["not reproduced"] + ["reproduced"] * 2 + ["not reproduced"]


def test_every_learner_is_in_the_table():
    table = cost.counted_table()
    for name in cost.learners():
        assert cost.NAMES.get(name, title(name)) in table


def test_what_was_not_measured_says_so(tmp_path):
    assert "make bench" in cost.measured_table(tmp_path)


@pytest.mark.parametrize(
    ("work", "peak"),
    [
        (lambda x: (x + 1).view(10, 100), 4000),  # a view takes nothing
        (lambda x: (x + 1) + 1, 8000),
        (lambda x: ((x + 1) + 1) + 1, 8000),  # the first is gone when the third comes
        (lambda x: x.add_(1), 0),
    ],
)
def test_memory_is_that_of_the_tensors_that_live_at_once(work, peak):
    x = torch.zeros(1000)
    with benchmark.Live() as live:
        work(x)
    assert live.peak == peak and live.now == 0


def test_a_report_of_times_is_written_and_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(
        benchmark, "learners", lambda: {"lstm": build("lstm", TaskDescription(SHAPE, 5), {"hidden": 8})}
    )
    to = tmp_path / "results" / "speed" / "cost.json"
    monkeypatch.setattr(sys, "argv", ["cost.py", "--repeats", "2", "--to", str(to)])
    benchmark.main()
    found = json.loads(to.read_text(encoding="utf-8"))["learners"]["lstm"]
    assert found["state_bytes"] == 2 * 8 * 4 and found["milliseconds_adapted"] > 0 and found["peak_bytes"] > 0
    assert "| LSTM " in cost.measured_table(tmp_path)


def test_room_for_what_waits_grows_with_the_delay_of_those_that_store_it():
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in cost.room_table((1, 10)).splitlines()[2:]]
    room = {name: [float(each.replace(",", "")) for each in sizes] for name, *sizes in rows}
    assert room["LSTM"] == [1.6, 1.6] and room["CL+LSTM"][0] == room["CL+LSTM"][1]
    # nine more embeddings of 64 numbers of 4 bytes
    assert room["OPN"][1] - room["OPN"][0] == pytest.approx(9 * 64 * 4 / 1e3, abs=0.1)
