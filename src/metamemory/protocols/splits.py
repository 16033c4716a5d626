"""The parts of a data set that an experiment trains, validates and tests on."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from metamemory import data
from metamemory.data import ImageSet
from metamemory.protocols import Context


def load_splits(config: Mapping[str, Any], context: Context) -> tuple[ImageSet, dict[str, Tensor]]:
    """The data set that the section `data` names (name, split, size), and the images of each part of its split, on
    the device: uint8 [class, drawing, channel, height, width]."""
    images = data.load(config["data"]["name"], config["data"]["size"], root=context.data)
    split = images.splits[config["data"]["split"]]
    return images, {part: images.images[indices].to(context.device) for part, indices in split.items()}
