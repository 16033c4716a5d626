"""Learning in context: three kinds of tests, and what each is made of."""

import pytest
import torch

from metamemory.data.images import ImageSet
from metamemory.errors import UserError
from metamemory.models import build
from metamemory.protocols.in_context import InContextProtocol
from metamemory.protocols.protocol import Context

CONFIG = {
    "learner": "nearest_neighbour",
    "protocol": "in_context",
    "data": {"name": "one", "size": 6, "other": "two"},
    "task": {"n_way": 2, "steps": 20, "features": 16, "tasks": 3, "fixed_labels": 0.5},
    "training": {"episodes": 8},
    "evaluation": {"episodes": 8, "batch_size": 4},
}


def image_set(name, classes, per_class, **more):
    """Of each class, images that are nearly the same."""
    torch.manual_seed(classes)
    images = torch.randint(40, 216, (classes, 1, 1, 6, 6)) + torch.randint(-9, 10, (classes, per_class, 1, 6, 6))
    names = tuple(map(str, range(classes)))
    return ImageSet(name, None, "", images.to(torch.uint8), names, {}, name.upper(), **more)


@pytest.fixture
def protocol(tmp_path):
    images = image_set("one", 4, 60, other=image_set("two", 7, 5))
    return InContextProtocol(CONFIG, 0, Context(torch.device("cpu"), tmp_path / "kept.pt", images=images))


def test_each_kind_of_test_has_its_tasks(protocol):
    same, new, other = (protocol.test(kind) for kind in ("same_tasks", "new_tasks", "other_data"))
    train = protocol.task("train")
    assert torch.equal(same.task(2)[0], train.task(2)[0]) and same.tasks == 3
    assert not torch.equal(new.task(2)[0], train.task(2)[0]) and new.tasks is None
    assert len(other.images) == 7 and other.tasks is None
    assert {each.fixed_labels for each in (same, new, other, protocol.validation)} == {0.0}
    assert train.images.shape[1] == 45 and same.images.shape[1] == 10 and protocol.validation.images.shape[1] == 5


def test_accuracy_is_of_the_last_steps_and_of_every_one(protocol):
    found = protocol.evaluate(build("nearest_neighbour", protocol.description, {}).eval())
    assert [row["kind"] for row in found.scores] == [0, 1, 2]
    for row, (kind, by_step) in zip(found.scores, found.example["by_step"].items(), strict=True):
        assert row["accuracy"] > 0.9 > row["accuracy_at_first"]
        assert sum(by_step[-4:]) / 4 == pytest.approx(row["accuracy"], abs=1e-3)
        assert found.metrics[f"accuracy_{kind}"] == pytest.approx(row["accuracy"], abs=1e-5)
    assert protocol.facts_of_data()["data"]["title"] == "ONE, then TWO"


def test_without_another_data_set_it_says_so(tmp_path):
    context = Context(torch.device("cpu"), tmp_path / "kept.pt", images=image_set("one", 4, 60))
    with pytest.raises(UserError, match="data.other is missing"):
        _ = InContextProtocol(CONFIG, 0, context).others
