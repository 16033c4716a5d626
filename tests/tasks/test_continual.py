"""Subtasks in order, labels one step late with the last of them shown, queries of all; what is retained, by hand."""

import hashlib
from typing import NamedTuple

import pytest
import torch
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.models.learner import Learner
from metamemory.models.metric.opn import OPN
from metamemory.tasks.continual import Continual

BLANK = -2  # where a blank is shown


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def found(images, x):
    """(class, drawing) of each of [n, ...] images, by looking through all: every drawing is unique."""
    places = []
    for each in x:
        hits = [
            (character, drawing)
            for character in range(images.shape[0])
            for drawing in range(images.shape[1])
            if torch.allclose(images[character, drawing].float() / 255, each)
        ]
        places.append(hits[0] if hits else (BLANK, BLANK))
    return places


@pytest.mark.parametrize("delay", [1, 3])
def test_an_episode_is_what_the_protocol_says(images, delay):
    """Step by step in plain loops: each subtask's drawings are its own, labels are late, the last of them is shown."""
    n_way, n, k, q = 9, 4, 3, 2
    task = Continual(images, n_way, n, k, q, delay)
    episode = task.sample(5, generator())
    assert episode.x.shape == (n * k + delay, 5, 1, 8, 8) and episode.query_x.shape == (n * q, 5, 1, 8, 8)
    assert task.steps == n * k + delay and task.length == n * k + delay + n * q and task.chance == 1 / n
    assert (episode.y == -1).all() and episode.y_seen.dtype == episode.query_y.dtype == torch.int64
    for b in range(5):
        stream, queries = found(images, episode.x[:, b]), found(images, episode.query_x[:, b])
        seen, asked = episode.y_seen[:, b].tolist(), episode.query_y[:, b].tolist()
        labels = asked[:n]
        assert len(set(labels)) == n and set(labels) <= set(range(n_way))
        assert stream[n * k :] == [(BLANK, BLANK)] * delay
        for step, (character, _) in enumerate(stream[: n * k]):
            assert character == stream[step - step % k][0]  # of its subtask's class
            assert seen[step + delay] == labels[step // k]
        assert seen[:delay] == [-1] * delay
        for number, (character, _) in enumerate(queries):
            assert character == stream[number % n * k][0] and asked[number] == labels[number % n]
        drawn = stream[: n * k] + queries
        assert len(set(drawn)) == len(drawn)  # no drawing twice, so that no query was shown before
        assert len({character for character, _ in drawn}) == n


def test_labels_of_short_tasks_are_chosen_from_all(images):
    labels = Continual(images, n_way=10, subtasks=3, k_shot=1).sample(3000, generator()).query_y
    counts = torch.stack([torch.bincount(of_subtask, minlength=10) for of_subtask in labels]) / 3000
    assert (counts - 0.1).abs().max() < 0.03


def test_the_generator_decides_everything(images):
    """The first episodes of a seed are pinned: a change of the sampler shows here before it shows in results."""
    task = Continual(images, 5, 3, 2, 1)
    one, two, other = (task.sample(2, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.x, two.x) and torch.equal(one.query_y, two.query_y) and not torch.equal(one.x, other.x)
    digest = hashlib.sha256()
    for each in (one.x, one.query_x):
        digest.update((each * 255).round().byte().numpy().tobytes())
    digest.update(one.query_y.numpy().tobytes())
    assert digest.hexdigest()[:16] == "57f8bfb430c997a5"


class Tape(NamedTuple):
    """What was shown: pixels [T, B, D] and labels [T, B]."""

    x: torch.Tensor
    y_seen: torch.Tensor


class Recorder(Learner):
    """Remembers the last `span` steps and answers with the label of the nearest drawing of them, whose label came one
    step later."""

    def __init__(self, n_way, span=10**6):
        super().__init__()
        self.n_way, self.span = n_way, span

    def initial_state(self, batch):
        return Tape(torch.zeros(0, batch, 64), torch.zeros(0, batch, dtype=torch.int64))

    def run(self, x, y_seen, state):
        tape = Tape(torch.cat([state.x, x.flatten(2)])[-self.span :], torch.cat([state.y_seen, y_seen])[-self.span :])
        return torch.zeros(*x.shape[:2], self.n_way), tape

    def predict(self, query_x, state):
        distance = (query_x.flatten(2)[:, None] - state.x[:-1]).square().sum(-1)  # [Q, T, B]
        label = state.y_seen[1:].gather(0, distance.argmin(dim=1))
        return fn.one_hot(label, self.n_way).float()


def easy(images):
    """Drawings of a class that hardly differ, so that the nearest neighbour is right."""
    return images[:, :1].repeat(1, 10, 1, 1, 1) // 2 + torch.arange(10, dtype=torch.uint8).view(1, 10, 1, 1, 1)


def test_who_remembers_all_is_right_and_who_remembers_the_end_is_right_there(images):
    task = Continual(easy(images), n_way=8, subtasks=6, k_shot=3, n_query=2)
    episode = task.sample(4, generator())
    assert task.score(Recorder(8), episode).accuracy == 1
    forgets = Recorder(8, span=2 * 3 + 1)  # the last two subtasks and the blank
    assert task.score(forgets, episode).accuracy == pytest.approx(2 / 6)


def test_what_is_retained_is_what_a_shorter_task_would_have_left(images):
    """Each moment from the start, in a loop, on a task cut off there: the same share of right answers."""
    task = Continual(images, n_way=8, subtasks=6, k_shot=3, n_query=2)
    episode = task.sample(4, generator())
    learner = Recorder(8, span=9)
    moments = (1, 2, 5, 6)
    known = task.retained(learner, episode, moments)
    assert known.shape == (4, 6, 4)
    for at, seen in enumerate(moments):
        x = torch.cat([episode.x[: seen * 3], torch.zeros(1, 4, 1, 8, 8)])
        state = learner.absorb(x, episode.y_seen[: seen * 3 + 1], learner.initial_state(4))
        for subtask in range(6):
            if subtask >= seen:
                assert known[at, subtask].isnan().all()
                continue
            numbers = [subtask, subtask + 6]
            right = learner.predict(episode.query_x[numbers], state).argmax(-1) == episode.query_y[numbers]
            assert torch.equal(known[at, subtask], right.double().mean(dim=0))


def test_halting_leaves_the_stream_as_it_was(images):
    task = Continual(images, n_way=8, subtasks=6, k_shot=3, n_query=1)
    episode = task.sample(4, generator())
    torch.manual_seed(0)
    learner = OPN((1, 8, 8), 8, filters=4).eval()
    often, once = (task.retained(learner, episode, moments)[-1] for moments in (range(1, 7), (6,)))
    assert torch.equal(often, once)
    assert once.mean() == pytest.approx(task.score(learner, episode).accuracy.item())


def test_the_loss_is_summed_over_queries(images):
    class Constant(Recorder):
        def predict(self, query_x, state):
            return torch.zeros(*query_x.shape[:2], self.n_way)

    task = Continual(images, n_way=8, subtasks=3, k_shot=2, n_query=2)
    score = task.score(Constant(8), task.sample(4, generator()))
    assert score.loss.item() == pytest.approx(6 * torch.log(torch.tensor(8.0)).item())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"subtasks": 6}, "subtasks is 6 and must be from 1 to 5 .n_way: a label for each"),
        ({"n_way": 20, "subtasks": 13}, "n_way is 13 and must be from 1 to 12"),
        ({"k_shot": 10}, "k_shot is 10 and must be from 1 to 9"),
        ({"n_query": 9}, "n_query is 9 and must be from 1 to 8"),
        ({"delay": 0}, "delay is 0 and must be at least 1"),
    ],
)
def test_impossible_tasks_are_refused(images, wrong, message):
    with pytest.raises(UserError, match=message):
        Continual(images, **{"n_way": 5, "subtasks": 3, "k_shot": 2, "n_query": 3, **wrong})


def test_with_one_drawing_a_class_the_query_is_what_the_stream_showed(images):
    episode = Continual(images, 9, 3, k_shot=2, n_query=1, images_per_class=1).sample(4, generator())
    for b in range(4):
        stream, queries = found(images, episode.x[:-1, b]), found(images, episode.query_x[:, b])
        assert stream == [drawing for drawing in queries for _ in range(2)]
