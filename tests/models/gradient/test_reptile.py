"""Reptile against torch's own Adam, task by task; that what moves its weights is the way to where the steps lead."""

import pytest
import torch
from torch.nn import functional as fn

from metamemory.models.gradient.reptile import Reptile
from metamemory.tasks.support_query import SupportQuery
from metamemory.training.update import Training, optimiser_of, set_rate, update

SHAPE = (1, 12, 12)


def episodes(batch=3, support=6, queries=4, seed=0):
    """Images, and labels 0, 1, 3 of four."""
    generator = torch.Generator().manual_seed(seed)
    x, query = (torch.rand(n, batch, *SHAPE, generator=generator, dtype=torch.float64) for n in (support, queries))
    names = torch.tensor([0, 1, 3])
    y, query_y = (names[torch.arange(n) % 3][:, None].expand(-1, batch) for n in (support, queries))
    return x, y, query, query_y


def small(**settings):
    torch.manual_seed(0)
    sizes = {"inner_steps": 3, "inner_batch": 4, "test_steps": 5, "test_batch": 4, "inner_rate": 0.01}
    return Reptile(SHAPE, 4, filters=3, **{**sizes, **settings}).double()


class Plain(torch.nn.Module):
    """The network of torch's own layers, with the weights of a learner."""

    def __init__(self, learner):
        super().__init__()
        self.layers = torch.nn.Sequential()
        for weight, gain, bias in zip(learner.net.weights, learner.net.gains, learner.net.biases, strict=True):
            convolution = torch.nn.Conv2d(weight.shape[1], weight.shape[0], 3, 2, 1, bias=False)
            norm = torch.nn.BatchNorm2d(weight.shape[0], track_running_stats=False)
            self.layers.extend([convolution, norm, torch.nn.ReLU()])
            for own, given in ((convolution.weight, weight), (norm.weight, gain), (norm.bias, bias)):
                own.data = given.detach().clone()
        head = torch.nn.Linear(learner.net.out_features, 4)
        head.weight.data, head.bias.data = (each.detach().clone() for each in learner.net.head())
        self.layers.extend([torch.nn.Flatten(), head])

    def forward(self, x):
        return self.layers(x)


def descended(learner, x, y, steps, size):
    """A copy of the network after Adam's steps on one task, without other tasks before."""
    own = Plain(learner)
    adam = torch.optim.Adam(own.parameters(), lr=0.01, betas=(0.0, 0.999))
    there = [0, 1, 3]
    for step in range(steps):
        chosen = [(step * size + each) % len(x) for each in range(size)]
        target = torch.tensor([there.index(each) for each in y[chosen].tolist()])
        adam.zero_grad()
        fn.cross_entropy(own(x[chosen])[:, there], target).backward()
        adam.step()
    return own


@pytest.mark.parametrize("transductive", [True, False])
def test_answers_are_those_of_torchs_own_adam(transductive):
    """Not transductive: each query beside the support set, its statistics among theirs."""
    learner, (x, y, query, _) = small(transductive=transductive).eval(), episodes()
    answers = learner.answer_queries(x, y, query)
    assert learner.transductive is transductive and not answers.requires_grad
    for b in range(x.shape[1]):
        own = descended(learner, x[:, b], y[:, b], 5, 4)
        if transductive:
            expected = own(query[:, b])
        else:
            expected = torch.stack([own(torch.cat([x[:, b], each[None]]))[-1] for each in query[:, b]])
        torch.testing.assert_close(answers[:, b], expected)


@pytest.mark.parametrize("factor", [1.0, -3.0])
def test_the_gradient_is_the_way_back_from_where_the_steps_lead(factor):
    """The weights less the mean of the tasks' ends, whatever becomes of the answers."""
    learner, (x, y, query, query_y) = small(), episodes()
    ends = [list(descended(learner, x[:, b], y[:, b], 3, 4).parameters()) for b in range(x.shape[1])]
    loss = factor * fn.cross_entropy(learner.answer_queries(x, y, query).flatten(0, 1), query_y.flatten())
    weights = list(learner.start())
    for number, gradient in enumerate(torch.autograd.grad(loss, weights)):
        mean = torch.stack([end[number] for end in ends]).mean(dim=0)
        torch.testing.assert_close(gradient, weights[number].detach() - mean)
        assert gradient.abs().max() > 1e-3


def test_an_update_moves_the_weights_by_epsilon(images):
    """By the training's own update: from W to W + epsilon (W~ - W), epsilon falling to 0."""
    task = SupportQuery(images, 3, 3, 1, labels=4)
    settings = Training(20, 2, "sgd", learning_rate=1.0, momentum=0.0, warmup=0, cooldown=1.0, clip_norm=1e9)
    assert [settings.rate(episodes, True) for episodes in (0, 10, 20)] == [1.0, 0.5, 0.0]
    for epsilon in (1.0, 0.5):
        torch.manual_seed(0)
        learner = Reptile((1, 8, 8), 4, filters=3, inner_steps=3, inner_batch=4)
        before = [each.detach().clone() for each in learner.start()]
        episode = task.sample(2, torch.Generator().manual_seed(1))
        with torch.no_grad():
            ends = learner._trained(episode.support_x, episode.support_y)
        learner.steps_taken.zero_()
        for number in range(len(before)):
            getattr(learner, f"v_{number}").zero_()
        optimiser = optimiser_of(learner, settings, 0.0)
        set_rate(optimiser, epsilon)
        update(learner, task, settings, optimiser, torch.Generator().manual_seed(1))
        for weight, was, end in zip(learner.start(), before, ends, strict=True):
            torch.testing.assert_close(weight, was + epsilon * (end.mean(dim=0) - was))


def test_the_second_moment_goes_on_from_task_to_task_and_is_put_back_in_tests():
    learner, (x, y, query, _) = small(), episodes(batch=1)
    adam_of = Plain(learner)
    adam = torch.optim.Adam(adam_of.parameters(), lr=0.0, betas=(0.0, 0.999))
    for step in range(6):  # two tasks of three steps on the same samples, from the same weights; theta moves in them
        chosen = [(step % 3 * 4 + each) % 6 for each in range(4)]
        if step % 3 == 0:
            moved = Plain(learner)
        gradients = torch.autograd.grad(
            fn.cross_entropy(moved(x[chosen, 0])[:, [0, 1, 3]], torch.tensor([0, 1, 2])[torch.tensor(chosen) % 3]),
            list(moved.parameters()),
        )
        for each, gradient in zip(adam_of.parameters(), gradients, strict=True):
            each.grad = gradient
        adam.step()
        with torch.no_grad():
            for own, gradient, shared in zip(moved.parameters(), gradients, adam_of.parameters(), strict=True):
                v = adam.state[shared]["exp_avg_sq"] / (1 - 0.999 ** (step + 1))
                own -= 0.01 * gradient / (v.sqrt() + 1e-8)
    for _ in range(2):
        learner.answer_queries(x, y, query)
    assert learner.steps_taken == 6
    for number, shared in enumerate(adam_of.parameters()):
        torch.testing.assert_close(getattr(learner, f"v_{number}"), adam.state[shared]["exp_avg_sq"])
    kept = {name: each.clone() for name, each in learner.state_dict().items()}
    learner.eval().answer_queries(x, y, query)
    assert all(torch.equal(each, kept[name]) for name, each in learner.state_dict().items())


@torch.no_grad()
def test_a_query_is_answered_on_its_own_unless_declared_otherwise():
    x, y, query, _ = episodes()
    changed = query.clone()
    changed[0, 0] += 1
    for transductive in (True, False):
        learner = small(transductive=transductive).eval()
        moved = (learner.answer_queries(x, y, changed) - learner.answer_queries(x, y, query)).abs().amax(dim=-1)
        assert moved[0, 0] > 1e-6 and (moved[1:, 0] > 1e-6).all() == transductive and moved[:, 1:].max() < 1e-12
