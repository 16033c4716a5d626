"""Trained on one data set, tested on another (Munkhdalai and Yu 2017, appendix B and Figure 5).

A learner is trained on support sets and queries as usual, and the best of its validations, on classes of the same data
set, is kept. The test is on images of a data set that it has never seen.
"""

from functools import cached_property
from typing import Any

from torch import Tensor

from metamemory.data.images import ImageSet
from metamemory.errors import UserError
from metamemory.protocols.sections import Sections
from metamemory.protocols.support_query import OF_EPISODES, SCORES_PLOT, SupportQueryProtocol
from metamemory.settings import Declared, Several
from metamemory.tasks.supervised import split_images

__all__ = ["SCORES_PLOT", "OtherImagesProtocol"]


class OtherImagesProtocol(SupportQueryProtocol):
    """As `SupportQueryProtocol`, but for the images of tests: those for testing of all classes of `data.other`."""

    @cached_property
    def splits(self) -> dict[str, Tensor]:
        other = other_images(self.images)
        test = split_images(other.images, len(other.images)).test
        return {**super().splits, "test": test.to(self.context.device)}

    def facts_of_data(self) -> dict[str, Any]:
        return facts_of_both(super().facts_of_data(), self.images)


def other_images(images: ImageSet) -> ImageSet:
    """The second data set.

    Raises:
        UserError: there is none; its images are of another shape than those of the first.
    """
    if images.other is None:
        raise UserError("data.other is missing; name a second data set, as `data: {name: omniglot, other: mnist}`")
    shapes = [list(each.images.shape[2:]) for each in (images, images.other)]
    if shapes[0] != shapes[1]:
        raise UserError(
            f"data.other is {images.other.name}, whose images are {shapes[1]} (channel, height, width), but those of "
            f"{images.name} {shapes[0]}; choose two alike"
        )
    return images.other


def facts_of_both(found: dict[str, Any], images: ImageSet) -> dict[str, Any]:
    """Facts of data with both in the title."""
    return {"data": {**found["data"], "title": f"{images.title}, then {other_images(images).title}"}}


SETTINGS = Sections(task=OF_EPISODES, own={"test": Declared(Several(OF_EPISODES))})
