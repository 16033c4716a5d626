"""The targets of a cloned back-propagation are derivatives, as autograd finds them."""

import torch

from metamemory.tasks.backpropagation import Backpropagation


def test_targets_are_the_derivatives_of_what_a_synapse_says():
    task = Backpropagation(torch.device("cpu"))
    episode = task.sample(500, torch.Generator().manual_seed(0))
    x, w, b = (each.clone().requires_grad_() for each in (episode.x, episode.w, episode.b))
    y = x.tanh() * w + b
    of_x, of_w, of_b = torch.autograd.grad((y * episode.e).sum(), (x, w, b))
    wanted = task.wanted(episode)
    for found, target in ((y, wanted.y), (of_x, wanted.back), (-of_w, wanted.of_w), (-of_b, wanted.of_b)):
        torch.testing.assert_close(found, target)


class Exact(torch.nn.Module):
    """A learner that computes them."""

    def __init__(self, rate, error=0.0):
        super().__init__()
        self.rate, self.error = rate, error

    def synapse(self, x, e, w, b):
        t = x.tanh()
        return t * w + b + self.error, (1 - t**2) * w * e, w - self.rate * e * t, b - self.rate * e


def test_scores_say_how_near_the_targets_are():
    task = Backpropagation(torch.device("cpu"), rate=0.1)
    episode = task.sample(1000, torch.Generator().manual_seed(0))
    right = task.score(Exact(0.1), episode)
    assert right.loss < 1e-8 and right.accuracy == 1
    off = task.score(Exact(0.1, error=0.5), episode)
    torch.testing.assert_close(off.loss, torch.tensor(0.25), rtol=1e-4, atol=0.0)
    assert off.accuracy == 0.75
    assert task.score(Exact(0.05), episode).accuracy < 0.75
