"""Two tasks in a row: what comes first, where the second begins, and which labels are shown."""

import pytest
import torch

from metamemory.errors import UserError
from metamemory.tasks.supervised import Normalisation
from metamemory.tasks.two_tasks import TwoTasks

ONE = torch.full((4, 10, 1, 6, 6), 10, dtype=torch.uint8)
OTHER = torch.full((5, 10, 1, 6, 6), 200, dtype=torch.uint8)


def drawn(batch=64, **settings):
    task = TwoTasks(ONE, OTHER, **{"n_way": 2, "samples_per_class": 3, **settings})
    return task, task.sample(batch, torch.Generator().manual_seed(0))


def of_other(episode):
    """Whether an image is of the second data set, [time, batch]."""
    return episode.x[:, :, 0, 0, 0] > 0.5


@pytest.mark.parametrize("order, first", [("one_first", False), ("other_first", True)])
def test_one_data_set_comes_after_the_other(order, first):
    task, episode = drawn(order=order)
    assert len(episode.y) == task.length == 12 and task.switch == 6
    assert (of_other(episode)[:6] == first).all() and (of_other(episode)[6:] != first).all()


def test_either_comes_first_and_all_episodes_change_at_once():
    _, episode = drawn(left_out=4)
    first = of_other(episode)[0]
    assert first.any() and not first.all()
    assert len(episode.y) == 8
    changes = (of_other(episode)[1:] != of_other(episode)[:-1]).sum(dim=1)
    assert sorted(changes.tolist()) == [0] * 6 + [64]


def test_steps_are_left_out_of_both_tasks_in_turn():
    task = TwoTasks(ONE, OTHER, 2, 3, left_out=4, order="one_first")
    generator = torch.Generator().manual_seed(0)
    lengths = {int((~of_other(task.sample(1, generator))).sum()) for _ in range(60)}
    assert lengths == {2, 3, 4, 5, 6}


@pytest.mark.parametrize("delay", [1, 3])
def test_labels_come_late_over_the_change_and_shots_begin_anew(delay):
    _, episode = drawn(delay=delay)
    assert torch.equal(episode.y_seen[delay:], episode.y[:-delay]) and (episode.y_seen[:delay] == -1).all()
    for half in (slice(0, 6), slice(6, 12)):
        y, shot = episode.y[half], episode.shot[half]
        for t in range(6):
            assert torch.equal(shot[t], (y[: max(t + 1 - delay, 0)] == y[t]).sum(dim=0))


def test_few_images_come_again_in_both_tasks():
    torch.manual_seed(0)
    images = torch.randint(256, (4, 10, 1, 6, 6), dtype=torch.uint8)
    episode = TwoTasks(images, images, 2, 5, images_per_class=1).sample(3, torch.Generator().manual_seed(0))
    for half in (slice(0, 10), slice(10, 20)):
        assert all(len(episode.x[half, b].flatten(1).unique(dim=0)) == 2 for b in range(3))
    assert len(TwoTasks(images, images, 2, 5, classes=3).other.images) == 3


def test_a_task_cannot_be_left_out_whole():
    with pytest.raises(UserError, match="left_out is 6 and must be from 0 to 5"):
        drawn(left_out=6)


def test_images_are_normalised_by_their_data_set():
    generator = torch.Generator().manual_seed(0)
    one = torch.randint(0, 90, (4, 10, 3, 6, 6), dtype=torch.uint8, generator=generator)
    other = torch.randint(120, 256, (5, 10, 3, 6, 6), dtype=torch.uint8, generator=generator)
    by = (Normalisation.of(one), Normalisation.of(other))
    plain = TwoTasks(one, other, 2, 3, order="one_first").sample(64, torch.Generator().manual_seed(0))
    normal = TwoTasks(one, other, 2, 3, order="one_first", normalisations=by).sample(
        64, torch.Generator().manual_seed(0)
    )
    for steps, (mean, deviation) in ((slice(6), by[0]), (slice(6, None), by[1])):
        expected = (plain.x[steps] * 0.25 + 0.5 - mean) / deviation
        torch.testing.assert_close(normal.x[steps], expected, rtol=0, atol=1e-5)
        assert abs(normal.x[steps].mean()) < 0.02 and normal.x[steps].std() == pytest.approx(1, abs=0.02)
    assert torch.equal(plain.y_seen, normal.y_seen)
