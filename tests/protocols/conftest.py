"""A run on a few images, split into thirds of four classes each."""

import pytest
import torch

from metamemory.data.images import ImageSet
from metamemory.protocols import Context
from metamemory.protocols.conduct import conduct as conduct_run


@pytest.fixture
def context(images, tmp_path):
    """`context(images)`: where a run is done, with an image set of these images."""

    def context(images=images):
        thirds = {split: torch.arange(4) + 4 * i for i, split in enumerate(("train", "validation", "test"))}
        classes = tuple(f"class {number}" for number in range(len(images)))
        image_set = ImageSet("omniglot", None, "0", images, classes, {"thirds": thirds}, "Omniglot")
        return Context(device=torch.device("cpu"), checkpoint=tmp_path / "checkpoint.pt", images=image_set)

    return context


@pytest.fixture
def run(context):
    """`run(protocol, learner, config)`: what a run with seed 0 finds."""

    def run(protocol, learner, config, images=None):
        where = context() if images is None else context(images)
        return conduct_run({**config, "protocol": protocol, "learner": learner}, 0, where)

    return run
