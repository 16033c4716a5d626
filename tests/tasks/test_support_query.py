"""A support set and queries: the same classes, other images, labels reshuffled in every episode."""

import hashlib
import math

import pytest
import torch

from metamemory.errors import UserError
from metamemory.tasks.support_query import SupportQuery


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Constant(torch.nn.Module):
    """Answers every query with the label 1, with the given confidence, whatever it is shown."""

    def __init__(self, logit):
        super().__init__()
        self.logit = logit

    def answer_queries(self, support_x, support_y, query_x):
        return torch.tensor([0.0, self.logit, 0.0]).expand(*query_x.shape[:2], 3)


def test_shapes_and_types(images):
    task = SupportQuery(images, n_way=4, k_shot=2, n_query=3)
    episode = task.sample(5, generator())
    assert episode.support_x.shape == (8, 5, 1, 8, 8) and episode.query_x.shape == (12, 5, 1, 8, 8)
    assert episode.support_x.dtype == episode.query_x.dtype == torch.float32
    assert episode.support_y.shape == (8, 5) and episode.support_y.dtype == torch.int64
    assert episode.query_y.shape == (12, 5) and episode.query_y.dtype == torch.int64
    assert task.length == 20 and task.chance == 0.25


def test_a_label_means_the_same_class_in_both_sets_and_no_drawing_comes_twice(images):
    """Every drawing is unique, so each can be looked up."""
    episode = SupportQuery(images, n_way=4, k_shot=2, n_query=3).sample(6, generator())
    x, y = torch.cat([episode.support_x, episode.query_x]), torch.cat([episode.support_y, episode.query_y])
    for b in range(6):
        class_of_label, met = {}, set()
        for sample, label in zip(x[:, b], y[:, b].tolist(), strict=True):
            found = ((images.float() / 255 - sample).abs().amax(dim=(2, 3, 4)) < 1e-6).nonzero()
            character, drawing = found[0].tolist()
            assert class_of_label.setdefault(label, character) == character
            met.add((character, drawing))
        assert len(met) == 20 and len(set(class_of_label.values())) == 4
        assert episode.support_y[:, b].bincount().tolist() == [2] * 4
        assert episode.query_y[:, b].bincount().tolist() == [3] * 4


def test_labels_are_reshuffled_in_every_episode(images):
    """Over episodes a class has every label about equally often: no label can be learned by heart."""
    episode = SupportQuery(images[:5], n_way=5, k_shot=1, n_query=1).sample(2000, generator())
    of_first_class = (images[0, :, None, None].float() / 255 - episode.support_x).abs().amax(dim=(-1, -2, -3)) < 1e-6
    counts = torch.bincount(episode.support_y[of_first_class.any(0)], minlength=5) / 2000
    assert (counts - 0.2).abs().max() < 0.04


def test_the_generator_decides_everything(images):
    """The first episodes of a seed are pinned: a change of the sampler shows here before it shows in results."""
    task = SupportQuery(images, n_way=3, k_shot=1, n_query=2)
    one, two, other = (task.sample(2, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.support_x, two.support_x) and torch.equal(one.query_x, two.query_x)
    assert not torch.equal(one.support_x, other.support_x)
    digest = hashlib.sha256()
    for each in (one.support_x, one.query_x):
        digest.update((each * 255).round().byte().numpy().tobytes())
    assert digest.hexdigest()[:16] == "43db8ac864c80da7"


def test_the_loss_is_summed_over_queries_and_accuracy_is_their_mean(images):
    task = SupportQuery(images, n_way=3, k_shot=1, n_query=2)
    score = task.score(Constant(2.0), task.sample(4, generator()))
    total = math.exp(2) + 2
    assert score.loss.item() == pytest.approx(2 * (2 * math.log(total) + math.log(total) - 2))
    assert score.accuracy.item() == pytest.approx(1 / 3)


def test_rotations_make_four_classes_of_one(images):
    task = SupportQuery(images[:1], n_way=4, k_shot=1, n_query=1, rotations=True)
    episode = task.sample(1, generator())
    turned = [{tuple(torch.rot90(image, k).flatten().tolist()) for image in images[0, :, 0]} for k in range(4)]
    for x in (episode.support_x, episode.query_x):
        shown = [tuple((each * 255).round().long().flatten().tolist()) for each in x[:, 0, 0]]
        assert sorted(k for each in shown for k in range(4) if each in turned[k]) == [0, 1, 2, 3]


def test_with_labels_of_a_learner_order_and_labels_are_random(images):
    """Every place of the support set has every label about equally often, and each class its own."""
    task = SupportQuery(images, n_way=3, k_shot=2, n_query=1, labels=5)
    episode = task.sample(4000, generator())
    counts = torch.nn.functional.one_hot(episode.support_y, 5).float().mean(dim=1)
    assert (counts - 0.2).abs().max() < 0.03
    per_label = torch.nn.functional.one_hot(episode.support_y, 5).sum(dim=0)  # [batch, label]
    assert set(per_label.unique().tolist()) == {0, 2} and (per_label > 0).sum(dim=1).eq(3).all()
    for b in range(10):  # every image is unique, so that its class can be looked up
        kinds = {}
        samples = zip(
            torch.cat([episode.support_x, episode.query_x])[:, b],
            torch.cat([episode.support_y, episode.query_y])[:, b].tolist(),
            strict=True,
        )
        for x, label in samples:
            found = ((images.float() / 255 - x).abs().amax(dim=(2, 3, 4)) < 1e-6).nonzero()[0, 0].item()
            assert kinds.setdefault(label, found) == found
        assert len(set(kinds.values())) == 3


def test_labels_do_not_change_what_is_drawn(images):
    plain, named = (SupportQuery(images, 3, 1, 2, labels=labels).sample(4, generator(3)) for labels in (None, 7))
    assert torch.equal(plain.query_x, named.query_x)
    flat = (each.support_x.flatten(2).sum(dim=-1).sort(dim=0).values for each in (plain, named))
    assert torch.equal(*flat)


def test_answers_are_among_the_labels_of_the_support_set(images):
    """Constant is sure of label 1; where the support set does not have it, all labels that it has are as likely."""
    task = SupportQuery(images, n_way=2, k_shot=1, n_query=1, labels=3)
    episode = task.sample(50, generator())
    logits = task.answer(Constant(9.0), episode)
    for b in range(50):
        there = set(episode.support_y[:, b].tolist())
        assert {label for label in range(3) if logits[0, b, label] > -torch.inf} == there
        expected = 9 + math.log1p(math.exp(-9)) if 1 in there else math.log(2)
        if 1 not in there:
            assert -logits[0, b].log_softmax(dim=-1).max().item() == pytest.approx(expected, abs=1e-4)
    assert task.score(Constant(9.0), episode).loss.isfinite()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_way": 13}, "n_way is 13 and must be from 1 to 12"),
        ({"k_shot": 10}, "k_shot is 10 and must be from 1 to 9"),
        ({"n_query": 9}, "n_query is 9 and must be from 1 to 8"),
        ({"n_query": 0}, "n_query is 0"),
        ({"labels": 4}, "labels is 4 and must be at least 5"),
    ],
)
def test_impossible_tasks_are_refused(images, wrong, message):
    with pytest.raises(UserError, match=message):
        SupportQuery(images, **{"n_way": 5, "k_shot": 2, "n_query": 3, **wrong})
