"""Episodes of Santoro et al. are what their file says: drawings, placed by loops; counts at random; strings; rows."""

import math

import pytest
import torch

from metamemory.data.images import area_average
from metamemory.errors import UserError
from metamemory.models.memory.mann import MANN
from metamemory.models.recurrent.lstm import LSTM
from metamemory.nn.labels import Characters
from metamemory.tasks.augmentation import affine_warp
from metamemory.tasks.binding import ROTATION, SHIFT, Binding, occurrences_before
from metamemory.tasks.persistent_binding import PersistentBinding
from metamemory.tasks.reconstruction import Reconstruction


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pixel(image, row, column):
    inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
    return image[row, column].item() if inside else 0.0


def placed_by_loops(image, angle, move, size):
    """One image [n, n] in [0, 1], output pixel by output pixel: where it comes from, and the bilinear mean there."""
    n, out = len(image), torch.zeros(size, size)
    for row in range(size):
        for column in range(size):
            # in shares of the image's side, from its middle, to the right and down; what was moved is taken back first
            right = (column + 0.5) / size - 0.5 - move[0]
            down = (row + 0.5) / size - 0.5 - move[1]
            x = math.cos(angle) * right - math.sin(angle) * down
            y = math.sin(angle) * right + math.cos(angle) * down
            x, y = (x + 0.5) * n - 0.5, (y + 0.5) * n - 0.5
            left, top = math.floor(x), math.floor(y)
            for i, weight_y in ((top, 1 - (y - top)), (top + 1, y - top)):
                for j, weight_x in ((left, 1 - (x - left)), (left + 1, x - left)):
                    out[row, column] += weight_y * weight_x * pixel(image, i, j)
    return out


@pytest.mark.parametrize(("n", "size"), [(8, 8), (16, 8), (9, 6)])
def test_images_are_turned_and_moved_as_by_loops(n, size):
    images = torch.randint(256, (3, 2, 1, n, n), generator=generator(), dtype=torch.uint8)
    angles = 7 * torch.rand(3, 2, generator=generator()) - 3
    moves = torch.rand(3, 2, 2, generator=generator(1)) - 0.5
    found = affine_warp(images, angles, moves, size)
    for i in range(3):
        for j in range(2):
            expected = placed_by_loops(
                images[i, j, 0].float() / 255, angles[i, j].item(), moves[i, j].tolist(), size
            )  # fmt: skip
            torch.testing.assert_close(found[i, j, 0], expected, rtol=1e-4, atol=1e-5)


def test_in_place_it_is_the_area_and_a_quarter_is_a_quarter():
    images = torch.randint(256, (5, 1, 16, 16), generator=generator(), dtype=torch.uint8)
    still = torch.zeros(5, 2)
    halved = affine_warp(images, torch.zeros(5), still, 8)
    assert (255 * halved - area_average(images, 8).float()).abs().max() <= 0.5 + 1e-3
    for quarter in range(4):
        turned = affine_warp(images, torch.full((5,), quarter * math.pi / 2), still, 16)
        expected = torch.rot90(images, quarter, dims=(-2, -1)).float() / 255
        torch.testing.assert_close(turned, expected, rtol=0, atol=1e-5)


def test_an_image_goes_where_it_is_moved():
    images = torch.zeros(1, 1, 20, 20, dtype=torch.uint8)
    images[0, 0, 10, 10] = 255
    moved = affine_warp(images, torch.zeros(1), torch.tensor([[0.1, -0.2]]), 20)  # two pixels to the right, four up
    assert moved[0, 0].argmax() == 6 * 20 + 12


@pytest.mark.parametrize("strings", [False, True])
def test_labels_and_instances_by_loops(images, strings):
    task = Binding(images, n_way=4, length=15, strings=strings, size=8)
    episode = task.sample(3, generator())
    assert episode.x.shape == (15, 3, 1, 8, 8) and episode.y.shape == ((15, 3, 5) if strings else (15, 3))
    for b in range(3):
        seen = []
        for t in range(15):
            label = tuple(episode.y[t, b].reshape(-1).tolist())
            assert episode.shot[t, b] == seen.count(label)
            shown = tuple(episode.y_seen[t, b].reshape(-1).tolist())
            assert shown == (seen[-1] if seen else (-1,) * len(label))
            seen.append(label)
        assert len(set(seen)) <= 4


def test_occurrences_by_hand():
    assert occurrences_before(torch.tensor([[2], [0], [2], [2], [1]]), 3).flatten().tolist() == [0, 0, 1, 2, 0]


def test_classes_come_at_random():
    """Numbers of drawings of a class in an episode are those of a binomial distribution, not equal."""
    task = Binding(torch.zeros(12, 20, 1, 2, 2, dtype=torch.uint8), n_way=5, length=50, size=2)
    counts = torch.nn.functional.one_hot(task.sample(2000, generator()).y, 5).sum(dim=0).double()
    assert (counts.mean(dim=0) - 10).abs().max() < 0.3
    assert counts.var().item() == pytest.approx(50 * 0.2 * 0.8, rel=0.05)


def test_a_label_goes_with_a_class_and_drawings_do_not_repeat(images):
    """Without augmentation each x can be looked up."""
    episode = Binding(images, n_way=3, length=12, size=8, augment=False).sample(4, generator())
    for b in range(4):
        class_of_label, met = {}, set()
        for t in range(12):
            distance = (images.float() / 255 - episode.x[t, b]).abs().amax(dim=(2, 3, 4))
            ((character, drawing),) = (distance < 1e-4).nonzero().tolist()
            label = episode.y[t, b].item()
            assert class_of_label.setdefault(label, character) == character
            assert (character, drawing) not in met  # there are ten of a class: none was shown as often here
            met.add((character, drawing))
        assert len(set(class_of_label.values())) == len(class_of_label)


def test_a_few_drawings_of_a_class_come_in_turn(images):
    episode = Binding(images, n_way=3, length=30, size=8, augment=False, images_per_class=2).sample(4, generator())
    for b in range(4):
        for label in episode.y[:, b].unique():
            shown = episode.x[episode.y[:, b] == label, b]
            assert torch.equal(shown[2:], shown[:-2])
            assert len(shown) < 2 or not torch.equal(shown[0], shown[1])


def test_a_class_is_turned_as_a_whole_and_each_drawing_a_bit(images):
    task = Binding(images, n_way=3, length=60, size=8)
    y = torch.randint(3, (60, 5), generator=generator())
    angles, moves = task.random_affine(y, generator())
    quarters = (angles / (math.pi / 2)).round()
    assert (angles - quarters * math.pi / 2).abs().max() <= ROTATION and moves.abs().max() <= SHIFT
    assert len(angles.unique()) == 300 and set(quarters.unique().tolist()) == {0, 1, 2, 3}
    for b in range(5):
        assert all(len(quarters[:, b][y[:, b] == k].unique()) == 1 for k in range(3))


def test_strings_differ_in_an_episode_and_are_even_over_many(images):
    strings = Binding(images, n_way=8, length=8, strings=True, size=8)._strings(3000, generator())
    assert strings.shape == (3000, 8, 5) and strings.min() == 0 and strings.max() == 4
    numbers = (strings * 5 ** torch.arange(5)).sum(dim=-1)
    assert all(len(set(row.tolist())) == 8 for row in numbers)
    share = torch.nn.functional.one_hot(strings, 5).float().mean(dim=(0, 1))
    assert (share - 0.2).abs().max() < 0.01


def test_few_classes_have_labels_out_of_many(images):
    task = Binding(images, n_way=2, length=30, size=8, labels=6)
    episode = task.sample(400, generator())
    shown = [set(episode.y[:, b].tolist()) for b in range(400)]
    assert all(len(each) == 2 for each in shown) and set().union(*shown) == set(range(6))
    for b in range(400):  # instances are those of the class, whatever its label
        first = episode.y[0, b]
        assert (episode.shot[:, b] == torch.where(episode.y[:, b] == first, 1, 0).cumsum(0) - 1)[
            episode.y[:, b] == first
        ].all()
    with pytest.raises(UserError, match="labels is 1 and must be at least 2"):
        Binding(images, n_way=2, length=30, size=8, labels=1)


def test_a_string_is_right_if_all_of_it_is(images):
    task = Binding(images, n_way=2, length=4, strings=True, size=8)
    episode = task.sample(1, generator())
    logits = torch.nn.functional.one_hot(episode.y, 5).float()
    assert task.right(logits, episode.y).all()
    logits[2, 0, 3] = logits[2, 0, 3].roll(1)
    assert task.right(logits, episode.y)[:, 0].tolist() == [True, True, False, True]
    flat = torch.zeros(4, 1, 5, 5)
    assert task.score_logits(flat, episode).loss.item() == pytest.approx(4 * 5 * math.log(5), rel=1e-5)
    assert task.chance == 1 / 3125


def test_impossible_tasks_are_refused(images):
    for wrong, message in (
        ({"n_way": 13}, "n_way is 13"),
        ({"length": 1}, "length is 1"),
        ({"size": 9}, "size is 9 and must be from 1 to 8"),
    ):
        with pytest.raises(UserError, match=message):
            Binding(images, **{"n_way": 5, "length": 5, "size": 8, **wrong})
    with pytest.raises(UserError, match="row is 0"):
        PersistentBinding(Binding(images, 5, 5, size=8), 0)


def test_a_row_is_episodes_one_after_the_other(images):
    episodes = Binding(images, n_way=3, length=7, size=8)
    row = PersistentBinding(episodes, row=4).sample(2, generator())
    apart = episodes.sample(8, generator())
    assert row.x.shape == (28, 2, 1, 8, 8)
    for place in range(4):
        for name in ("x", "y", "y_seen", "shot"):
            found = getattr(row, name)[7 * place : 7 * place + 7]
            assert torch.equal(found, getattr(apart, name)[:, 2 * place : 2 * place + 2])
        assert (row.y_seen[7 * place] == -1).all() and (row.shot[7 * place] == 0).all()


@pytest.mark.parametrize("learner", [MANN, LSTM])
def test_what_stays_from_one_episode_to_the_next(images, learner):
    """Wiped: every episode as on its own. Not wiped: from the second on, answers depend on what was before; of a MANN
    by way of its memory alone."""
    torch.manual_seed(0)
    learner = learner((1, 8, 8), 3, hidden=12)
    episodes = Binding(images, n_way=3, length=7, size=8)
    wiped, kept = PersistentBinding(episodes, 2, wiped=True), PersistentBinding(episodes, 2)
    row = kept.sample(2, generator())
    alone = torch.cat(
        [learner(x, y) for x, y in zip(kept.split_episodes(row.x), kept.split_episodes(row.y_seen), strict=True)]
    )
    torch.testing.assert_close(wiped.answer(learner, row), alone)
    answers = kept.answer(learner, row)
    torch.testing.assert_close(answers[:7], alone[:7])
    assert not torch.allclose(answers[7:], alone[7:], atol=1e-6)
    if isinstance(learner, MANN):
        state = learner.run(row.x[:7], row.y_seen[:7], learner.initial_state(2))[1]
        state = learner.initial_state(2)._replace(memory=state.memory)
        torch.testing.assert_close(answers[7:], learner.run(row.x[7:], row.y_seen[7:], state)[0])


def test_no_gradient_passes_from_an_episode_to_the_one_before(images):
    episodes = Binding(images, n_way=3, length=4, size=8)
    task, learner = PersistentBinding(episodes, 2), LSTM((1, 8, 8), 3, hidden=5)
    row = task.sample(1, generator())
    row.x.requires_grad_()
    task.answer(learner, row)[4:].sum().backward()
    assert (row.x.grad[:4] == 0).all() and (row.x.grad[4:] != 0).any()


def test_strings_in_rows(images):
    task = PersistentBinding(Binding(images, 3, 4, strings=True, size=8), 3)
    learner = MANN((1, 8, 8), Characters(5, 5), hidden=6)
    score = task.score(learner, task.sample(2, generator()))
    assert score.loss.isfinite() and 0 <= score.accuracy <= 1


def test_reconstruction_by_hand(images):
    class Grey(torch.nn.Module):
        def reconstructed(self, x):
            return torch.full_like(x, 0.5)

    task = Reconstruction(Binding(images, 3, 6, size=8))
    episode = task.sample(2, generator())
    score = task.score(Grey(), episode)
    assert score.loss.item() == pytest.approx((episode.x - 0.5).square().sum().item() / 2, rel=1e-5)
    assert score.accuracy < 0


def test_turns_and_moves_are_uniform_over_what_public_code_has(images):
    task = Binding(images, n_way=3, length=60, size=8)
    angles, moves = task.random_affine(torch.randint(3, (60, 50), generator=generator()), generator())
    bits = angles - (angles / (math.pi / 2)).round() * (math.pi / 2)
    for found, most in ((bits, math.pi / 16), (moves[..., 0], 10 / 105), (moves[..., 1], 10 / 105)):
        assert 0.99 * most < found.abs().max() <= most * (1 + 1e-5)
        assert found.var().item() == pytest.approx(most**2 / 3, rel=0.1)


def test_accuracy_is_from_the_second_instance_on(images):
    task = Binding(images, n_way=3, length=12, size=8)
    episode = task.sample(4, generator())
    wrong_at_first = (episode.y + (episode.shot == 0)) % 3
    logits = torch.nn.functional.one_hot(wrong_at_first, 3).float()
    assert task.score_logits(logits, episode).accuracy == 1
