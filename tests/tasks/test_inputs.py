"""What a task is given and cannot be its data is refused where the task is made, in one line."""

import pytest
import torch

from metamemory.errors import UserError
from metamemory.tasks.binding import Binding
from metamemory.tasks.continual import Continual
from metamemory.tasks.functions import GaussianProcessFunctions
from metamemory.tasks.online_few_shot import OnlineFewShot
from metamemory.tasks.sampling import normalise, require, require_images
from metamemory.tasks.segmentation import Segmentation
from metamemory.tasks.segmentation_support_query import SegmentationSupportQuery
from metamemory.tasks.supervised import Normalisation, Supervised, split_images
from metamemory.tasks.support_query import SupportQuery

TASKS = {
    "online": lambda images: OnlineFewShot(images, 2, 3),
    "support_query": lambda images: SupportQuery(images, 2, 1, 1),
    "continual": lambda images: Continual(images, 2, 2, k_shot=1),
    "binding": lambda images: Binding(images, 2, 5, size=4),
    "segmentation": lambda images: Segmentation(images, 3),
    "segmentation_support_query": lambda images: SegmentationSupportQuery(images, 1, 1),
    "supervised": lambda images: Supervised(images, Normalisation(torch.zeros(1, 1, 1), torch.ones(1, 1, 1))),
    "normalisation": Normalisation.of,
}
MASKED = ("segmentation", "segmentation_support_query")


def good(name: str) -> torch.Tensor:
    return torch.randint(0, 256, (5, 60, 4 if name in MASKED else 1, 8, 8), dtype=torch.uint8)


BAD = {
    "real numbers": (lambda images: images.float() / 255, r"float32 .*uint8.*\(255 \* images\)\.round\(\)"),
    "half precision": (lambda images: images.half(), "float16 .*must be a tensor uint8"),
    "int64": (lambda images: images.long(), "int64 .*uint8"),
    "bool": (lambda images: images > 127, "bool .*uint8"),
    "no channel axis": (lambda images: images[:, :, 0], r"\[5, 60, 8, 8\].*images\[:, :, None\]"),
    "no class axis": (lambda images: images[0], "must be a tensor uint8"),
    "channels last": (lambda images: images.movedim(2, -1), r"channels.*images\.movedim\(-1, 2\)"),
    "no classes": (lambda images: images[:0], "there is nothing in them"),
    "no images": (lambda images: images[:, :0], "there is nothing in them"),
    "no pixels": (lambda images: images[..., :0], "there is nothing in them"),
    "many channels": (lambda images: images.repeat(1, 1, 9, 1, 1), "must have .* channels, on the third axis"),
}


@pytest.mark.parametrize("task", TASKS)
def test_good_images_make_a_task(task):
    TASKS[task](good(task))


@pytest.mark.parametrize("fault", BAD)
@pytest.mark.parametrize("task", TASKS)
def test_images_of_another_type_or_shape_are_refused(task, fault):
    spoil, told = BAD[fault]
    with pytest.raises(UserError, match=told) as error:
        TASKS[task](spoil(good(task)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("images", [good("online").numpy(), good("online").tolist(), None, "images"])
def test_what_is_no_tensor_is_refused(images):
    """By what every constructor asks first; in tests, the types of arguments are looked at before that."""
    with pytest.raises(UserError, match=f"images are {type(images).__name__} and must be a tensor"):
        require_images(images)


@pytest.mark.parametrize("value", [2.0, True, "2", None, float("nan")])
def test_numbers_of_things_are_whole(value):
    with pytest.raises(UserError, match="n_way is .* and must be a whole number"):
        require("n_way", value, 1, 5, "the classes")


@pytest.mark.parametrize("task", MASKED)
def test_a_segmentation_needs_masks(task):
    with pytest.raises(UserError, match="must have 4 channels"):
        TASKS[task](good(task)[:, :, :3])


@pytest.mark.parametrize(
    "made",
    [
        lambda images: OnlineFewShot(images, 2, 3, rotations=True),
        lambda images: SupportQuery(images, 2, 1, 1, augment=True),
        lambda images: Binding(images, 2, 5, size=4),
    ],
)
def test_only_square_images_can_be_rotated_or_shifted(made):
    with pytest.raises(UserError, match="must be square"):
        made(good("online")[..., :6])
    OnlineFewShot(good("online")[..., :6], 2, 3).sample(2, torch.Generator())


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda images: OnlineFewShot(images, 6, 3), "n_way is 6 and must be from 1 to 5"),
        (lambda images: OnlineFewShot(images, 0, 3), r"n_way is 0\b"),
        (lambda images: OnlineFewShot(images, 2, 61), "samples_per_class is 61 and must be from 1 to 60"),
        (lambda images: OnlineFewShot(images, 2, 3, delay=0), "delay is 0 "),
        (lambda images: OnlineFewShot(images, 2, 3, classes=9), "classes is 9 "),
        (lambda images: SupportQuery(images, 2, 60, 1), "k_shot is 60 and must be from 1 to 59"),
        (lambda images: SupportQuery(images, 2, 50, 11), "n_query is 11 and must be from 1 to 10"),
        (lambda images: SupportQuery(images, 2, 1, 0), r"n_query is 0\b"),
        (lambda images: SupportQuery(images, 6, 1, 1), "n_way is 6 "),
        (lambda images: Continual(images, 9, 6), "n_way is 6 "),
        (lambda images: Continual(images, 2, 3), "subtasks is 3 "),
        (lambda images: Continual(images, 2, 2, k_shot=30, n_query=31), "n_query is 31 "),
        (lambda images: Binding(images, 2, 5, size=9), "size is 9 "),
        (lambda images: Binding(images, 2, 5, size=4, labels=1), "labels is 1 "),
        (lambda images: split_images(images, 6), "n_way is 6 "),
        (lambda images: split_images(images[:, :59], 2), "images of a class is 59 "),
    ],
)  # fmt: skip
def test_more_than_there_is_is_refused(made, told):
    with pytest.raises(UserError, match=told) as error:
        made(good("online"))
    assert "\n" not in str(error.value)


def test_normalisation_is_of_the_same_channels():
    with pytest.raises(UserError, match=r"mean of the normalisation is a tensor \[3, 1, 1\]"):
        Supervised(good("supervised"), Normalisation(torch.zeros(3, 1, 1), torch.ones(3, 1, 1)))


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["length_scale", "reach", "noise"])
def test_functions_have_a_scale(name, value):
    scales = {"length_scale": 0.4, "reach": 2.0, "noise": 0.1, name: value}
    with pytest.raises(UserError, match=f"{name} is .* from 1e-12"):
        GaussianProcessFunctions(1, 5, **scales, device=torch.device("cpu"))


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (torch.zeros(1, 8, 8), "images are float32 and must be uint8"),
        (torch.zeros(8, 8, 1, dtype=torch.uint8), r"images are \[8, 8, 1\]: channels are the third axis from the end"),
    ],
)
def test_what_cannot_be_normalised_is_refused(images, told):
    with pytest.raises(UserError, match=told):
        normalise(images)
