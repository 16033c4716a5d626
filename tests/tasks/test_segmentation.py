"""Episodes of object and distractor are what the protocol says they are, and answers are measured as it says."""

import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from metamemory.errors import UserError
from metamemory.tasks.segmentation import Segmentation, iou, masked, measure_masks


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def pictures():
    """[class 6, picture 10, channel 4, 8, 8] uint8: every picture different; masks of some pixels."""
    colour = torch.randint(0, 256, (6, 10, 3, 8, 8), generator=generator(), dtype=torch.uint8)
    mask = torch.rand(6, 10, 1, 8, 8, generator=generator(1)) < 0.3
    return torch.cat([colour, 255 * mask.to(torch.uint8)], dim=2)


def place(pictures, x):
    """Class and number of the picture x, and its mask."""
    found = ((pictures[:, :, :3].float() / 255 - x).abs().amax(dim=(2, 3, 4)) < 1e-6).nonzero()
    kind, number = found[0].tolist()
    return kind, number, pictures[kind, number, 3] == 255


def test_shapes_and_types(pictures):
    episode = Segmentation(pictures, 9).sample(3, generator())
    assert episode.x.shape == (18, 3, 3, 8, 8) and episode.x.dtype == torch.float32
    for each in (episode.y, episode.y_seen):
        assert each.shape == (18, 3, 8, 8) and each.dtype == torch.float32
    assert episode.thing.shape == (18, 3, 8, 8) and episode.thing.dtype == torch.bool
    assert episode.wanted.shape == episode.shot.shape == (18, 3)
    assert episode.wanted.dtype == torch.bool and episode.shot.dtype == torch.int64


@pytest.mark.parametrize("distractors", [True, False])
@pytest.mark.parametrize("swap", [True, False])
def test_every_step_by_loops(pictures, distractors, swap):
    if swap and not distractors:
        return
    task = Segmentation(pictures, 7, distractors=distractors, swap=swap)
    episode = task.sample(4, generator())
    assert task.length == len(episode.x) == (14 if distractors else 7)
    for b in range(4):
        kinds, met, before = [], set(), torch.full((8, 8), -1.0)
        for t in range(task.length):
            kind, number, thing = place(pictures, episode.x[t, b])
            wanted = episode.wanted[t, b].item()
            assert torch.equal(episode.thing[t, b], thing)
            assert torch.equal(episode.y[t, b], thing.float() if wanted else torch.zeros(8, 8))
            assert torch.equal(episode.y_seen[t, b], before)
            assert episode.shot[t, b] == kinds.count(kind)
            assert (kind, number) not in met
            met.add((kind, number))
            kinds.append(kind)
            before = episode.y[t, b]
        assert sorted(map(kinds.count, set(kinds))) == [7] * (1 + distractors)
        first = {kinds[t] for t in range(7) if episode.wanted[t, b]}
        later = {kinds[t] for t in range(7, task.length) if episode.wanted[t, b]}
        assert len(first) <= 1 and len(later) <= 1
        if distractors:
            (object_,) = first | ({kind for kind in kinds if kind not in later} if swap else later)
            for t, kind in enumerate(kinds):
                assert episode.wanted[t, b] == ((kind == object_) ^ (swap and t >= 7))
        else:
            assert episode.wanted.all()


def test_the_generator_decides_everything(pictures):
    """The first episodes of a seed are pinned: a change of the sampler shows here before it shows in results."""
    task = Segmentation(pictures, 3)
    one, two, other = (task.sample(2, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.x, two.x) and torch.equal(one.y, two.y)
    assert not torch.equal(one.y, other.y)
    digest = hashlib.sha256(one.y.numpy().tobytes() + (one.x * 255).round().byte().numpy().tobytes()).hexdigest()
    assert digest[:16] == "67ecf8eabdf55721"


def test_the_same_things_are_shown_when_roles_are_exchanged(pictures):
    plain, swapped = (Segmentation(pictures, 5, swap=swap).sample(3, generator()) for swap in (False, True))
    assert torch.equal(plain.x, swapped.x) and torch.equal(plain.thing, swapped.thing)
    assert torch.equal(plain.y[:5], swapped.y[:5])
    assert torch.equal(plain.wanted[5:], ~swapped.wanted[5:])


def test_a_mask_moves_with_its_picture(pictures):
    """The red of these pictures is the mask itself."""
    pictures[:, :, 0] = pictures[:, :, 3]
    plain, moved = (Segmentation(pictures, 5, augment=augment).sample(20, generator()) for augment in (False, True))
    assert torch.equal(moved.x[:, :, 0] >= 0.5, moved.thing)
    assert not torch.equal(moved.thing, plain.thing) and torch.equal(moved.wanted, plain.wanted)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), density=st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_measures_by_loops(seed, density):
    answer, thing = torch.rand(2, 3, 4, 4, generator=generator(seed)) < density
    for measured, by_loop in ((iou, iou_by_loop), (masked, masked_by_loop)):
        expected = torch.tensor([by_loop(*each) for each in zip(answer.tolist(), thing.tolist(), strict=True)])
        torch.testing.assert_close(measured(answer, thing), expected, equal_nan=True)


def iou_by_loop(answer, thing):
    both = either = inside = 0
    for answered, true in zip(sum(answer, []), sum(thing, []), strict=True):
        both += answered and true
        either += answered or true
        inside += true
    return both / either if inside else float("nan")


def masked_by_loop(answer, thing):
    left_out = [not answered for answered, true in zip(sum(answer, []), sum(thing, []), strict=True) if true]
    return sum(left_out) / len(left_out) if left_out else float("nan")


def test_measures_by_hand():
    thing = torch.tensor([[1, 1], [0, 0]]).bool()
    answer = torch.tensor([[1, 0], [1, 0]]).bool()
    assert iou(answer, thing).item() == pytest.approx(1 / 3)
    assert masked(answer, thing).item() == 0.5
    blank = torch.zeros(2, 2).bool()
    assert iou(blank, thing) == 0 and masked(blank, thing) == 1  # an answer of nothing masks everything


class Answers(nn.Module):
    """Logits given in advance."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, x, y_seen):
        return self.logits


def test_the_score_by_loops(pictures):
    task = Segmentation(pictures, 4)
    episode = task.sample(3, generator())
    logits = torch.randn(8, 3, 8, 8, generator=generator(5))
    score = task.score(Answers(logits), episode)
    loss, found = 0.0, []
    for b in range(3):
        for t in range(8):
            p = logits[t, b].sigmoid()
            loss -= torch.where(episode.y[t, b] == 1, p, 1 - p).log().mean().item() / 3
            if episode.shot[t, b] >= 1:
                measure = iou_by_loop if episode.wanted[t, b] else masked_by_loop
                found.append(measure((logits[t, b] > 0).tolist(), episode.thing[t, b].tolist()))
    assert score.loss.item() == pytest.approx(loss, rel=1e-5)
    assert score.accuracy.item() == pytest.approx(sum(found) / len(found), rel=1e-5)


@pytest.mark.parametrize("distractors", [True, False])
def test_chance_is_the_toss_of_a_coin(pictures, distractors):
    task = Segmentation(pictures, 9, distractors=distractors)
    episode = task.sample(200, generator())
    coin = torch.rand(episode.y.shape, generator=generator(3)) < 0.5
    assert measure_masks(coin, episode.thing, episode.wanted).mean().item() == pytest.approx(task.chance, abs=0.01)


def test_impossible_tasks_are_refused(pictures):
    with pytest.raises(UserError, match="samples_per_class is 11 and must be from 1 to 10"):
        Segmentation(pictures, 11)
    with pytest.raises(UserError, match="swap is 1 .*without distractors"):
        Segmentation(pictures, 9, distractors=False, swap=True)
