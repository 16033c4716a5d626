"""An update as one CUDA graph, for a GPU: its hundreds of small kernels are launched at once, from memory that stays in
place."""

import sys

import torch
from torch import Generator

from metamemory.models.learner import Learner
from metamemory.tasks.episode import Score, Task
from metamemory.training.update import Training, update

EAGER = 3  # updates before a capture, in which kernels are compiled and chosen and buffers come to be


class CapturedUpdate:
    """`update`, captured again for each task; the updates before a capture are launched one kernel at a time."""

    def __init__(self):
        self.task: Task | None = None
        self.count = 0
        self.possible = True

    def __call__(
        self,
        learner: Learner,
        task: Task,
        settings: Training,
        optimiser: torch.optim.Optimizer,
        generator: Generator,
    ) -> Score:
        """As `update`; the optimiser must be capturable, with its learning rate in a tensor."""
        if task is not self.task:
            self.task, self.count = task, 0
        self.count += 1
        arguments = (learner, task, settings, optimiser, generator)
        if not self.possible or self.count <= EAGER:
            return self._aside(arguments)
        if self.count == EAGER + 1:
            try:
                self._capture(arguments)
            except RuntimeError as error:  # a learner that asks the device for a value in the middle of a step
                print(f"training without a CUDA graph: {str(error).splitlines()[0]}", file=sys.stderr)
                self.possible = False
                return update(*arguments)
        self.graph.replay()
        return self.score

    def _aside(self, arguments: tuple) -> Score:
        """Update on a stream of its own, as in a capture."""
        here, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(here)
        with torch.cuda.stream(side):
            score = update(*arguments)
        here.wait_stream(side)
        return score

    def _capture(self, arguments: tuple) -> None:
        *_, optimiser, generator = arguments
        self.graph = torch.cuda.CUDAGraph()
        self.graph.register_generator_state(generator)
        optimiser.zero_grad(set_to_none=True)  # so that gradients lie in the graph's own memory
        with torch.cuda.graph(self.graph):
            self.score = update(*arguments)
