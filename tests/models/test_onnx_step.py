"""A learner's step as a graph of plain operations, and in ONNX, is the learner's own over a whole episode."""

import importlib.util
import os
import re
from pathlib import Path

import jaxtyping
import pytest
import torch

from metamemory.__main__ import main
from metamemory.errors import UserError
from metamemory.models import learner_class, onnx_step

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (*onnx_step.PACKAGES, "onnxruntime")
LSTM = "ignore:The tensor attributes self.learner.*_flat_weights:UserWarning"  # which export_step leaves out
LEARNERS = {
    "cl_lstm": {"filters": 3, "hidden": 8, "pool_after": [1, 2]},
    "cnn_lstm": {"filters": 3, "hidden": 8, "pools": 2},
    "lstm": {"hidden": 8},
}


@pytest.fixture(autouse=True)
def unchecked():
    """Types are not checked at calls here: sizes are tensors where torch traces."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def runtime():
    """ONNX's own runtime, which the study does not need."""
    missing = [each for each in PACKAGES if importlib.util.find_spec(each) is None]
    if missing:
        declared = (ROOT / "requirements.in").read_text(encoding="utf-8")
        told = f"not installed: pip install {' '.join(missing)}"
        wanted = os.environ.get("CI") and any(re.search(rf"^{each}\b", declared, re.MULTILINE) for each in missing)
        pytest.fail(told) if wanted else pytest.skip(told)
    return importlib.import_module("onnxruntime")


def made(name):
    """A learner with running statistics of its own, and two episodes."""
    torch.manual_seed(0)
    learner = learner_class(name)((1, 8, 8), 3, **LEARNERS[name])
    x, y_seen = torch.rand(6, 2, 1, 8, 8), torch.randint(-1, 3, (6, 2))
    with torch.no_grad():
        learner(x, y_seen)
        return learner.eval(), x, y_seen, learner(x, y_seen)


def unrolled(step, take, x, y_seen):
    """Answers of all steps, by `take` from x, y_seen and the state."""
    _, _, *state = step.inputs
    answers = []
    for x_t, y_seen_t in zip(x, y_seen, strict=True):
        answer, *state = take(x_t, y_seen_t, *state)
        answers.append(answer)
    return torch.stack(answers)


@pytest.mark.filterwarnings(LSTM)
@pytest.mark.parametrize("name", ["cl_lstm", "lstm"])
def test_the_graph_has_plain_operations_only_and_answers_the_same(name):
    learner, x, y_seen, answers = made(name)
    step = onnx_step.Step(learner, batch=2)
    program = onnx_step._in_plain_operations(step)
    assert not any("metamemory" in str(node.target) for node in program.graph.nodes)
    with torch.no_grad():
        torch.testing.assert_close(unrolled(step, program.module(), x, y_seen), answers, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of other packages
@pytest.mark.parametrize("name", LEARNERS)
def test_a_file_in_onnx_answers_the_same(name, runtime, tmp_path):
    learner, x, y_seen, answers = made(name)
    step = onnx_step.export_step(learner, tmp_path / "step.onnx", batch=2)
    session = runtime.InferenceSession(tmp_path / "step.onnx", providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    assert names == ["x", "y_seen", *step.names]
    assert [each.name for each in session.get_outputs()] == ["answer", *(f"next_{name}" for name in step.names)]

    def take(*inputs):
        found = session.run(None, {name: each.numpy() for name, each in zip(names, inputs, strict=True)})
        return [torch.from_numpy(each) for each in found]

    torch.testing.assert_close(unrolled(step, take, x, y_seen), answers, rtol=0, atol=1e-4)


def test_tensors_of_a_state_are_named_by_their_places():
    learner = learner_class("cl_lstm")((1, 8, 8), 3, **LEARNERS["cl_lstm"])
    names = onnx_step.Step(learner).names
    assert names[:2] == ["state_cl_0_h", "state_cl_0_c"] and names[-2:] == ["state_lstm_0", "state_lstm_1"]


def test_the_learner_itself_is_left_as_it_is():
    learner = learner_class("cl_lstm")((1, 8, 8), 3, **LEARNERS["cl_lstm"], precision="bfloat16")
    step = onnx_step.Step(learner)
    assert learner.training and learner.cl[0].precision == torch.bfloat16
    assert not step.learner.training and step.learner.cl[0].precision == torch.float32
    assert all(each.requires_grad for each in learner.parameters())


@pytest.mark.filterwarnings(LSTM)
def test_what_cannot_be_exported_is_told(tmp_path, monkeypatch, capsys):
    with pytest.raises(UserError, match="nearest_neighbour: its state grows with every step"):
        onnx_step.Step(learner_class("nearest_neighbour")((1, 8, 8), 3))
    monkeypatch.setattr(onnx_step, "REFERENCES", {})
    learner = learner_class("cl_lstm")((1, 8, 8), 3, **LEARNERS["cl_lstm"])
    with pytest.raises(UserError, match="metamemory.conv_lstm.* has no plain reference"), torch.no_grad():
        onnx_step._in_plain_operations(onnx_step.Step(learner))
    monkeypatch.setattr(onnx_step, "PACKAGES", ("no_such_package",))
    monkeypatch.chdir(ROOT)
    assert main(["export", "cl_lstm", "omniglot", "--to", str(tmp_path / "step.onnx")]) == 1
    assert "to export, install what is missing: pip install no_such_package" in capsys.readouterr().err
