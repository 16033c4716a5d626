"""A learner's step in ONNX, which other programs than PyTorch run: the state goes in and comes out.

    inputs     x [batch, ...] float32, y_seen [batch, ...] as the learner's labels are written, state_... of before
    outputs    answer [batch, ...], next_state_... for the step after

An episode is a loop around it. Compiled operations are written as their plain references, in float32.

Needs the packages `onnx` and `onnxscript`, which are the extra `onnx` of this one.
"""

import copy
import importlib.util
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from metamemory.errors import UserError
from metamemory.kernels.conv_lstm import conv_lstm_reference
from metamemory.kernels.operators import NAMESPACE
from metamemory.kernels.zero_state import zero_state_gates_reference
from metamemory.models.learner import Learner
from metamemory.nn.precision import multiply_in_float32

PACKAGES = ("onnx", "onnxscript")
REFERENCES = {"conv_lstm": conv_lstm_reference, "zero_state_gates": zero_state_gates_reference}


class Step(nn.Module):
    """`Learner.step` with the tensors of the state one after the other.

    Args:
        learner: is copied, put into evaluation mode, and multiplies in float32.
        batch: episodes at a time.

    Attributes:
        names: of the tensors of the state.
        inputs: x, y_seen and the tensors of the initial state, with which a step can be taken.

    Raises:
        UserError: the learner's state grows with every step.
    """

    def __init__(self, learner: Learner, batch: int = 1):
        super().__init__()
        self.learner = multiply_in_float32(copy.deepcopy(learner).eval())
        for each in self.learner.parameters():
            each.requires_grad_(False)
        paths, self.form = pytree.tree_flatten_with_path(learner.initial_state(batch))
        self.names = ["_".join(["state", *(_name(key) for key in path)]) for path, _ in paths]
        state = [tensor.clone() for _, tensor in paths]  # h and c may begin as one tensor, which export would keep one
        x = torch.zeros(batch, *learner.input_shape)
        self.inputs = (x, learner.labels.null(batch), *state)
        with torch.no_grad():
            _, *after = self(*self.inputs)
        if [each.shape for each in after] != [each.shape for each in state]:
            raise UserError(f"{learner.name}: its state grows with every step, so that no file can hold its step")

    def forward(self, x: Tensor, y_seen: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        answer, after = self.learner.step(x, y_seen, pytree.tree_unflatten(state, self.form))
        return answer, *pytree.tree_leaves(after)


def _name(key: Any) -> str:
    """Of a place in a state: a field's name or an item's number."""
    return str(next(getattr(key, each) for each in ("name", "idx", "key") if hasattr(key, each)))


def export_step(learner: Learner, path: Path, batch: int = 1) -> Step:
    """Write a learner's step to a file in ONNX.

    Returns:
        What was written, as a module of torch.

    Raises:
        UserError: a package is missing; its state grows; it has an operation without a plain reference.
    """
    if missing := [each for each in PACKAGES if importlib.util.find_spec(each) is None]:
        raise UserError(f"to export, install what is missing: pip install {' '.join(missing)}")
    step = Step(learner, batch)
    outputs = ["answer", *(f"next_{name}" for name in step.names)]
    names = {"input_names": ["x", "y_seen", *step.names], "output_names": outputs}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The tensor attributes .*_flat_weights")  # of torch's own LSTM
        program = _in_plain_operations(step)
        written = torch.onnx.export(program, step.inputs, verbose=False, **names)
    path.parent.mkdir(parents=True, exist_ok=True)
    written.save(path, external_data=False)
    return step


def _in_plain_operations(step: Step) -> torch.export.ExportedProgram:
    operations = getattr(torch.ops, NAMESPACE)
    references = {getattr(operations, name).default: plain for name, plain in REFERENCES.items()}
    program = torch.export.export(step, step.inputs)
    with torch._C._AutoDispatchBelowAutograd():  # above it an operation is replaced by its own autograd function
        program = program.run_decompositions({**torch.export.default_decompositions(), **references})
    left = {str(node.target) for node in program.graph.nodes if str(node.target).startswith(f"{NAMESPACE}.")}
    if left:
        name = step.learner.name
        raise UserError(f"{name}: {', '.join(sorted(left))} has no plain reference to export (onnx_step.py)")
    return program
