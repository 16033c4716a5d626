"""The benchmark's plain loop does the same work as the fast path, and its report is written."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest
import torch

from metamemory.models.memory.mann import MANN
from metamemory.models.recurrent.cl_lstm import CLLSTM
from metamemory.papers.babu2021.cost import gpu_table
from metamemory.study.parameters import project_root

_spec = importlib.util.spec_from_file_location("speed", project_root() / "benchmarks" / "speed.py")
speed = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(speed)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(speed, "STEPS", 5)
    monkeypatch.setattr(speed, "BATCH", 2)
    monkeypatch.setattr(speed, "FILTERS", 4)
    monkeypatch.setattr(speed, "STREAM", 20)
    monkeypatch.setattr(speed, "LONG", 60)


def test_the_plain_loop_is_the_same_model():
    torch.manual_seed(0)
    fast, plain = CLLSTM((1, 28, 28), 5, filters=4, normalise=False), speed.PlainCLLSTM()
    with torch.no_grad():
        for conv, layer in zip(plain.cl, fast.cl, strict=True):
            conv.weight.copy_(torch.cat([layer.w_x, layer.w_h], dim=1))
            conv.bias.copy_(layer.bias)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(plain.lstm, name).copy_(getattr(fast.lstm, f"{name}_l0"))
        plain.classifier.load_state_dict(fast.classifier.state_dict())
    x, y_seen = torch.rand(5, 2, 1, 28, 28), torch.randint(-1, 5, (5, 2))
    torch.testing.assert_close(fast(x, y_seen), plain(x, y_seen), rtol=1e-5, atol=1e-6)


def test_the_plain_memory_network_is_the_same_model():
    torch.manual_seed(0)
    fast, plain = MANN((1, 20, 20), 5), speed.PlainMANN()
    with torch.no_grad():
        n_reads, n_keys = speed.HEADS * speed.WIDTH, speed.HEADS * speed.WIDTH

        def as_torch_orders(weight):  # i, f, g, o
            i, f, o, g = weight.chunk(4)
            return torch.cat([i, f, g, o])

        plain.cell.weight_ih.copy_(
            as_torch_orders(
                torch.cat([fast.network.from_input.weight, fast.network.from_state.weight[:, -n_reads:]], dim=1)
            )
        )
        plain.cell.weight_hh.copy_(as_torch_orders(fast.network.from_state.weight[:, :-n_reads]))
        plain.cell.bias_ih.copy_(as_torch_orders(fast.network.from_input.bias))
        plain.cell.bias_hh.zero_()
        for part, name in ((slice(n_keys), "keys"), (slice(n_keys, None), "gates")):
            getattr(plain, name).weight.copy_(fast.network.to_access.weight[part])
            getattr(plain, name).bias.copy_(fast.network.to_access.bias[part])
        plain.classifier.load_state_dict(fast.classifier.state_dict())
    x, y_seen = torch.rand(12, 2, 1, 20, 20), torch.randint(-1, 5, (12, 2))
    torch.testing.assert_close(fast(x, y_seen), plain(x, y_seen), rtol=1e-4, atol=1e-5)


def test_the_plain_form_of_a_learned_rule_is_the_same():
    torch.manual_seed(0)
    rule = speed.Blur((1, 6, 6), 5, hidden=(7, 6), minibatch=8).eval()
    x, y = torch.randn(24, 3, 1, 6, 6), torch.randint(5, (24, 3))
    torch.testing.assert_close(speed.plain_blur(rule, x, y, x[:9]), rule.answer_queries(x, y, x[:9]))


def test_the_plain_form_of_synapses_that_are_lstms_is_the_same():
    torch.manual_seed(0)
    rule = speed.VSML((1, 3, 3), 4, minibatch=6).eval()
    x, y = torch.randn(6, 2, 9), torch.randint(4, (6, 2))
    torch.testing.assert_close(speed.PlainVSML(rule)(x, y), rule.answer_stream(x.unflatten(2, (1, 3, 3)), y))


def test_a_report_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(speed, "learners", lambda: ["lstm", "nearest_neighbour"])
    to = str(tmp_path / "r" / "cpu.json")
    monkeypatch.setattr(sys, "argv", ["speed.py", "--rounds", "1", "--long", "3", "--to", to])
    speed.main()
    report = json.loads((tmp_path / "r" / "cpu.json").read_text(encoding="utf-8"))
    assert len(report["ratios"]) == 17 and all(row["ratio"] > 0 for row in report["ratios"])
    assert report["online"]["lstm"]["kilobytes_early"] == report["online"]["lstm"]["kilobytes_late"]
    grows = report["online"]["nearest_neighbour"]
    assert 1.5 * grows["kilobytes_early"] < grows["kilobytes_late"]
    assert all(0.05 < each < 8 for each in report["long_episode"]["gigabytes"].values())
    assert "plain loop / fast" in capsys.readouterr().out


def test_every_learner_of_the_comparison_takes_steps():
    for name in speed.learners():
        assert speed.online(name)["milliseconds_late"] > 0, name


def test_training_is_timed_beside_cl_lstm():
    for name in speed.learners():
        found = speed.training(name, rounds=1)
        assert found == {} if name == "nearest_neighbour" else found["training"] > 0, name
    assert 0.2 < speed.training("cl_lstm", rounds=3)["training"] < 5  # of itself


SMALL = (  # Triton decides when it is imported whether it interprets: a process of its own
    "import sys; sys.path.insert(0, 'benchmarks'); import gpu, speed; "
    "gpu.BATCH, gpu.MATRIX, gpu.SIDE_BATCH = 1, 64, 2; gpu.LEAD_IN = 0; "
    "gpu.WINDOWS, speed.STEPS, speed.FILTERS = 1, 5, 4; gpu.main()"
)
INTERPRETED = importlib.util.find_spec("triton") is not None


def on_a_processor(to, *words):
    command = [sys.executable, "-c", SMALL, "--anyway", "--rounds", "1", "--to", str(to), *words]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=project_root(), env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return json.loads(to.read_text(encoding="utf-8")), done.stdout


def test_what_a_gpu_is_asked_runs_anywhere(tmp_path):
    """But for graphs; kernels through Triton's interpreter."""
    report, said = on_a_processor(tmp_path / "results/speed/gpu.json", "--runs", "1", "2", "--seconds", "0.01")
    ways = {*report["iterations"], *report["not_measured"]}
    assert len(ways) == 8 and sum("graph" in way for way in ways) == 3
    for way in ways:
        assert ("graph" in way or "Triton" in way and not INTERPRETED) == (way in report["not_measured"]), report
    assert all(each["low"] <= each["plain / this"] <= each["high"] for each in report["iterations"].values())
    assert all(each["episodes_per_second"] > 0 for each in report["side_by_side"].values())
    assert list(report["side_by_side"]) == ["1", "2"] and report["peak_tflops"] > 0 and "share of the peak" in said
    table = gpu_table(tmp_path)
    assert (
        "gates by torch's formulas, bfloat16" in table and "a CUDA graph: not measured (there are CUDA graphs" in table
    )


def test_what_there_is_no_time_for_is_named(tmp_path):
    report, said = on_a_processor(tmp_path / "gpu.json", "--runs", "1", "--minutes", "0")
    assert set(report["not_measured"].values()) == {"no time was left"} and len(report["not_measured"]) == 9
    assert report["iterations"] == report["side_by_side"] == {} and "no time was left" in said


def test_without_a_gpu_nothing_is_measured(tmp_path):
    command = [sys.executable, "benchmarks/gpu.py", "--to", str(tmp_path / "gpu.json")]
    if torch.cuda.is_available():
        pytest.skip("there is one")
    done = subprocess.run(command, cwd=project_root(), capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 1 and done.stderr == "error: benchmarks/gpu.py needs a GPU that torch can use\n"
    assert gpu_table(tmp_path).startswith("Not measured: ")
