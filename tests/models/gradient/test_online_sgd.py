"""OML, ANML and fine-tuning against loops with torch's own optimiser; the order of the meta-gradient, which public code
of the first two has got wrong."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.models.gradient.anml import ANML
from metamemory.models.gradient.fine_tuning import FineTuning
from metamemory.models.gradient.oml import OML
from metamemory.models.gradient.unet import FineTunedUNet
from metamemory.tasks.continual import Continual
from metamemory.tasks.support_query import SupportQuery
from metamemory.training.flops import flops_per_step

K = 5
SMALL = {
    OML: {"filters": 4, "hidden": 6, "pools": 2, "rate": 0.3},
    ANML: {"filters": 3, "modulating_filters": 3, "pools": 2, "rate": 0.3},
    FineTuning: {"filters": 3, "pools": 2, "rate": 0.3, "inner_steps": 2},
}
BOTH = pytest.mark.parametrize("cls", [OML, ANML])
ALL = pytest.mark.parametrize("cls", [OML, ANML, FineTuning])


def fresh(cls, **settings):
    torch.manual_seed(0)
    return cls((1, 8, 8), K, **{**SMALL[cls], **settings}).double().eval()


def doubled(episode):
    return type(episode)(**{k: v.double() if v.is_floating_point() else v for k, v in vars(episode).items()})


def stream(images, subtasks=2, k_shot=2, batch=2, **settings):
    task = Continual(images, K, subtasks, k_shot, **settings)
    return task, doubled(task.sample(batch, torch.Generator().manual_seed(0)))


def plain(learner):
    """One episode's own network, written with torch's layers: (adapted module, what it is given of a sample)."""
    if isinstance(learner, OML):
        hidden = nn.Linear(learner.hidden.in_features, learner.hidden.out_features)
        hidden.load_state_dict(learner.hidden.state_dict())
        return nn.Sequential(hidden, nn.ReLU()), hidden.out_features, learner.encoder, lambda x: 1.0
    convolutions = nn.Sequential()
    for layer in learner.features[0]:
        if isinstance(layer, nn.Conv2d):
            copy = nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1, bias=False)
            copy.load_state_dict(layer.state_dict())
        elif isinstance(layer, nn.GroupNorm):
            copy = nn.GroupNorm(1, layer.num_channels)
            copy.load_state_dict(layer.state_dict())
        else:
            copy = layer  # nothing to adapt
        convolutions.append(copy)
    cnn = nn.Sequential(convolutions, nn.Flatten())
    if isinstance(learner, ANML):
        return cnn, learner.modulation.out_features, lambda x: x, lambda x: learner.modulation(x).sigmoid()
    return cnn, learner.out_features, lambda x: x, lambda x: 1.0


@ALL
@pytest.mark.parametrize("delay", [1, 2])
def test_a_stream_is_gradient_descent_by_torchs_own_optimiser(images, cls, delay):
    """One sample after the other, when its label comes; then queries from the weights as they are."""
    learner = fresh(cls, delay=delay)
    _, episode = stream(images, subtasks=3, delay=delay)
    answers = learner(episode.x, episode.y_seen)
    _, state = learner.run(episode.x, episode.y_seen, learner.initial_state(2))
    queries = learner.predict(episode.query_x, state)
    for b in range(2):
        network, features, given, gate = plain(learner)
        network = network.double()
        last = nn.Linear(features, K).double()
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        optimiser = torch.optim.SGD([*network.parameters(), *last.parameters()], lr=0.3)

        def answer(x, network=network, last=last, given=given, gate=gate):
            with torch.no_grad():
                e, g = given(x[None]), gate(x[None])
            return last(g * network(e))

        for t in range(len(episode.x)):
            y = episode.y_seen[t, b]
            if y >= 0:
                optimiser.zero_grad()
                fn.cross_entropy(answer(episode.x[t - delay, b]), y[None]).backward()
                optimiser.step()
            torch.testing.assert_close(answers[t, b], answer(episode.x[t, b])[0])
        for q in range(len(episode.query_x)):
            torch.testing.assert_close(queries[q, b], answer(episode.query_x[q, b])[0])


@ALL
def test_steps_without_their_answers_lead_to_the_same_state(images, cls):
    learner = fresh(cls)
    _, episode = stream(images)
    start = learner.initial_state(2)
    for one, other in zip(
        learner.run(episode.x, episode.y_seen, start)[1].theta,
        learner.absorb(episode.x, episode.y_seen, start).theta,
        strict=True,
    ):
        assert torch.equal(one, other)


def slope(loss_of, weights, along, eps=1e-6):
    """Of the loss in a direction, by a difference."""
    losses = []
    with torch.no_grad():
        for moved in (eps, -2 * eps):
            for each, way in zip(weights, along, strict=True):
                each += moved * way
            losses.append(loss_of().item())
        for each, way in zip(weights, along, strict=True):
            each += eps * way
    return (losses[0] - losses[1]) / (2 * eps)


@BOTH
@pytest.mark.parametrize("what", ["frozen", "adapted"])
def test_the_meta_gradient_is_of_second_order_through_the_whole_trajectory(images, cls, what):
    """Along random directions in float64 against a difference of losses, for the weights that are frozen in an episode
    and for the start of those that are adapted; the first order misses both."""
    task, episode = stream(images, subtasks=3)
    found = {}
    for order in (1, 2):
        learner = fresh(cls, order=order)
        adapted = {id(each) for each in learner.start()}
        weights = [each for each in learner.parameters() if (id(each) in adapted) == (what == "adapted")]
        assert weights
        generator = torch.Generator().manual_seed(1)
        along = [torch.randn(each.shape, generator=generator, dtype=torch.float64) for each in weights]
        gradients = torch.autograd.grad(task.score(learner, episode).loss, weights)
        found[order] = sum((gradient * way).sum() for gradient, way in zip(gradients, along, strict=True)).item()
        expected = slope(lambda learner=learner: task.score(learner, episode).loss, weights, along)
    assert found[2] == pytest.approx(expected, rel=1e-4)
    assert found[1] != pytest.approx(expected, rel=0.02)


def nodes(tensor):
    """Names of all nodes of the graph behind a tensor."""
    waiting, seen = [tensor.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [each for each, _ in node.next_functions]
    return [node.name() for node in seen]


@BOTH
@pytest.mark.parametrize("subtasks", [2, 3])
def test_only_the_second_order_goes_back_through_every_backward_pass(images, cls, subtasks):
    """The backward pass through log-softmax is once in the graph for every step whose loss was descended, or never."""
    task, episode = stream(images, subtasks=subtasks)
    count = {}
    for order in (1, 2):
        names = nodes(task.score(fresh(cls, order=order), episode).loss)
        count[order] = sum(name.startswith("LogSoftmaxBackwardData") for name in names)
    # the first step has a null label and is descended all the same, along a gradient of zero
    assert count == {1: 0, 2: len(episode.x)}


@BOTH
def test_values_do_not_depend_on_the_order_or_on_being_trained(images, cls):
    task, episode = stream(images)
    with torch.no_grad():
        losses = [task.score(fresh(cls, order=order), episode).loss for order in (1, 2)]
    losses += [task.score(fresh(cls, order=order), episode).loss.detach() for order in (1, 2)]
    for each in losses:
        torch.testing.assert_close(each, losses[0], rtol=1e-12, atol=0)


@ALL
def test_online_nothing_is_kept_but_the_weights(images, cls):
    """Without gradients from outside, the state has no graph behind it and does not grow."""
    learner = fresh(cls)
    _, episode = stream(images, subtasks=3)
    state = learner.initial_state(2)
    sizes = set()
    with torch.no_grad():
        for x, y in zip(episode.x, episode.y_seen, strict=True):
            _, state = learner.step(x, y, state)
            assert all(each.grad_fn is None for part in state for each in part)
            sizes.add(sum(each.numel() for part in state for each in part))
    assert len(sizes) == 1


@ALL
def test_no_weight_belongs_to_a_label(images, cls):
    """Labels exchanged, answers exchanged; and the same weights answer for more labels."""
    learner = fresh(cls)
    _, episode = stream(images)
    order = torch.tensor([3, 0, 4, 1, 2])
    renamed = torch.where(episode.y_seen >= 0, order[episode.y_seen], -1)
    answers = learner(episode.x, episode.y_seen)
    torch.testing.assert_close(learner(episode.x, renamed)[..., order], answers)
    wider = cls((1, 8, 8), 9, **SMALL[cls]).double().eval()
    wider.load_state_dict(learner.state_dict())
    torch.testing.assert_close(wider(episode.x, episode.y_seen)[0], torch.zeros(2, 9, dtype=torch.float64))


def test_a_closed_gate_keeps_a_sample_out_of_answers_and_updates(images):
    learner = fresh(ANML)
    _, episode = stream(images)
    with torch.no_grad():
        learner.modulation.linear.weight.zero_()
        learner.modulation.linear.bias.fill_(-1e9)
        start = learner.initial_state(2)
        _, state = learner.run(episode.x, episode.y_seen, start)
    *cnn, w, b = state.theta
    assert all(torch.equal(each, other) for each, other in zip(cnn, start.theta, strict=False))
    assert w.abs().max() == 0 and b.abs().max() > 0


def test_meta_training_of_fine_tuning_is_maml(images):
    """Of second order, on all weights, on a support set at once; the stream then has another rate."""
    task, found = SupportQuery(images, 3, 2, 1), {}
    episode = doubled(task.sample(2, torch.Generator().manual_seed(0)))
    for order in (1, 2):
        learner = fresh(FineTuning, order=order)
        weights = list(learner.parameters())
        generator = torch.Generator().manual_seed(1)
        along = [torch.randn(each.shape, generator=generator, dtype=torch.float64) for each in weights]
        gradients = torch.autograd.grad(task.score(learner, episode).loss, weights)
        found[order] = sum((gradient * way).sum() for gradient, way in zip(gradients, along, strict=True)).item()
        expected = slope(lambda learner=learner: task.score(learner, episode).loss, weights, along)
    assert found[2] == pytest.approx(expected, rel=1e-4)
    assert found[1] != pytest.approx(expected, rel=0.02)


@ALL
def test_an_order_that_does_not_exist_is_refused(cls):
    with pytest.raises(UserError, match="order is 3, and must be one of 1, 2"):
        cls((1, 8, 8), K, order=3)


def test_sizes_are_those_of_the_papers():
    oml, anml = OML((1, 28, 28), 20), ANML((1, 28, 28), 20)
    convolutions = [1 * 256 * 9, *[256 * 256 * 9] * 3]
    norms = 4 * 2 * 256
    assert sum(p.numel() for p in oml.parameters()) == sum(convolutions) + norms + 256 * 512 + 512
    gates = 1 * 112 * 9 + 2 * 112 * 112 * 9 + 3 * 2 * 112 + 112 * 9 * 2304 + 2304
    assert anml.modulation.out_features == 2304  # as in the code of Beaulieu et al.
    assert sum(p.numel() for p in anml.parameters()) == sum(convolutions) + norms + gates
    assert flops_per_step(oml, (1, 28, 28)) > 0


def test_what_params_yaml_leaves_to_the_learners():
    """Rates of the authors' code; of second order throughout."""
    oml, anml, tuned = (cls((1, 28, 28), 5) for cls in (OML, ANML, FineTuning))
    assert (oml.rate, oml.order) == (0.03, 2) and (anml.rate, anml.order) == (0.1, 2)
    assert tuned.order == FineTunedUNet((3, 8, 8)).order == 2


def test_meta_training_descends_on_the_whole_support_set():
    torch.manual_seed(0)
    learner = FineTuning((1, 8, 8), 3, filters=3, pools=2, rate=7.0, inner_steps=3, inner_rate=0.3).double()
    x, y = torch.rand(6, 2, 1, 8, 8).double(), torch.randint(3, (6, 2))
    query = torch.rand(4, 2, 1, 8, 8).double()
    found = learner.answer_queries(x, y, query)
    for b in range(2):
        net = nn.Sequential(copy.deepcopy(learner.features), nn.Linear(learner.out_features, 3).double())
        nn.init.zeros_(net[1].weight)
        nn.init.zeros_(net[1].bias)
        optimiser = torch.optim.SGD(net.parameters(), lr=0.3)
        for _ in range(3):
            optimiser.zero_grad()
            fn.cross_entropy(net(x[:, b]), y[:, b]).backward()
            optimiser.step()
        torch.testing.assert_close(found[:, b], net(query[:, b]))
