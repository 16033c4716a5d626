"""Meta Networks against the plain loop of the benchmark, example by example; generators and attention against NumPy."""

import importlib.util

import numpy as np
import pytest
import torch
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.models.fast_weights.meta_networks import MetaNetworks, attention
from metamemory.nn import fast_weights
from metamemory.nn.fast_weights import ExampleGenerator, SlowNetwork, TaskGenerator, convolutional
from metamemory.study.parameters import project_root

_spec = importlib.util.spec_from_file_location("speed", project_root() / "benchmarks" / "speed.py")
speed = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(speed)

SHAPE = (1, 6, 6)
EVERY = [*(f"conv{number}" for number in range(1, 6)), "linear", "softmax"]
SMALL = {"filters": 4, "hidden": 5, "generator_hidden": 3}


def built(n_way=4, seed=5, **settings):  # with this seed ReLUs let something through in every layer
    torch.manual_seed(seed)
    learner = MetaNetworks(SHAPE, n_way, **{"initialisation": "lecun", **SMALL, **settings})
    with torch.no_grad():
        for generator in (*learner.m.values(), *learner.d.values()):
            for parameter in generator.parameters():  # biases that are not zero
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return learner.double()


def episode(labels=(0, 1, 2, 3), k_shot=1, n_query=3, batch=2, seed=0):
    """Support [S, batch, ...], its labels in random order, queries; another order of labels in each task."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.tensor(labels).repeat(k_shot)
    y = torch.stack([y[torch.randperm(len(y), generator=generator)] for _ in range(batch)], dim=1)
    x, queries = (torch.rand(n, batch, *SHAPE, generator=generator, dtype=torch.float64) for n in (len(y), n_query))
    return x, y, queries


def plain(learner, x, y, queries):
    return torch.stack(
        [speed.plain_meta_networks(learner, x[:, b], y[:, b], queries[:, b]) for b in range(x.shape[1])], dim=1
    )


def gradients(learner, logits):
    """Of the loss of a random answer."""
    target = torch.randint(3, logits.shape[:2], generator=torch.Generator().manual_seed(5))
    loss = fn.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="sum")
    found = torch.autograd.grad(loss, list(learner.parameters()), allow_unused=True)
    return {name: each for (name, _), each in zip(learner.named_parameters(), found, strict=True)}


CASES = {
    "the paper's": ({}, {}),
    "every layer": ({"augmented": EVERY}, {}),
    "a layer in the middle": ({"augmented": ["conv2", "softmax"]}, {}),
    "MetaNet-": ({"task_weights": "none"}, {}),
    "MetaNet+": ({"task_weights": "both", "augmented": EVERY}, {}),
    "second order": ({"order": 2}, {}),
    "second order, every layer, MetaNet+": ({"order": 2, "augmented": EVERY, "task_weights": "both"}, {}),
    "second order, reads r": ({"order": 2, "reads": "embedding"}, {}),
    "reads r": ({"reads": "embedding"}, {}),
    "perceptron": ({"network": "perceptron", "augmented": ["linear1", "linear", "softmax"]}, {}),
    "contrastive": ({"representation_loss": "contrastive", "chunks": None}, {"k_shot": 2}),
    "contrastive, second order": ({"representation_loss": "contrastive", "order": 2}, {"k_shot": 2}),
    "chunks of several": ({"chunks": 3}, {"k_shot": 2}),
    "a step a sample": ({"chunks": None}, {"k_shot": 2}),
    "some of its labels": ({"n_way": 6}, {"labels": (0, 2, 5)}),
    "another number of classes": ({"n_way": 6, "ways": 4}, {"labels": (0, 2, 5)}),
    "the number of classes": ({"n_way": 6, "ways": 3, "order": 2}, {"labels": (0, 2, 5)}),
    "fast weights alone": ({"parts": "fast", "seed": 4}, {}),
    "slow weights alone": ({"parts": "slow"}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_of_the_plain_loop(case):
    settings, of_episode = CASES[case]
    learner, drawn = built(**settings).eval(), episode(**of_episode)
    found, expected = learner.answer_queries(*drawn), plain(learner, *drawn)
    there = expected > -1e8
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)
    assert there.any() and (found[~there] == -1e9).all()
    found, expected = gradients(learner, found), gradients(learner, expected)
    assert sum(each is not None and each.any().item() for each in expected.values()) >= 7
    for name, each in expected.items():
        zeros = torch.zeros_like(learner.get_parameter(name))
        pair = (zeros if each is None else each for each in (found[name], each))
        torch.testing.assert_close(*pair, rtol=1e-6, atol=1e-9, msg=name)


@torch.no_grad()
def test_generators_by_numpy_coordinate_by_coordinate():
    torch.manual_seed(0)
    m, d = (kind(5, 7.0, "lecun").double() for kind in (ExampleGenerator, TaskGenerator))
    g = torch.tensor([[0.0, 1e-9, -1e-5, 8e-4], [-2e-3, 0.5, -1.0, 30.0], [1e-3, 0.1, -3.0, -1e-4]]).double()
    w = {name: each.numpy() for name, each in (*m.named_parameters("m"), *d.named_parameters("d"))}

    def read(value):
        size = np.log(abs(value) + 2.0**-23) / 7
        return np.array([max(size, -1.0), np.clip(value * np.e**7, -1, 1)])

    def sigmoid(value):
        return 1 / (1 + np.exp(-value))

    for column in range(4):
        h, c = np.zeros(5), np.zeros(5)
        for row in range(3):
            inputs = read(g[row, column].item())
            one = np.maximum(w["m.first.weight"] @ inputs + w["m.first.bias"], 0)
            two = np.maximum(w["m.second.weight"] @ one + w["m.second.bias"], 0)
            assert m(g)[row, column].item() == pytest.approx((w["m.last.weight"] @ two + w["m.last.bias"]).item())
            a = w["d.input.weight"] @ inputs + w["d.input.bias"] + w["d.recurrent.weight"] @ h
            i, f, new, o = np.split(a, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(new)
            h = sigmoid(o) * np.tanh(c)
        assert d(g)[column].item() == pytest.approx((w["d.last.weight"] @ h + w["d.last.bias"]).item())


def test_large_gradients_are_read_by_size_and_sign_and_small_ones_by_value():
    """As in Andrychowicz et al. 2016, but for what is added to a gradient before its logarithm."""
    g = torch.tensor([np.e**-7 * 1.01, -0.5, 20.0, 1e-5, -1e-4, 0.0]).double()
    size, sign = fast_weights.preprocess(g, 7.0)
    torch.testing.assert_close(size[:3], g[:3].abs().log() / 7, rtol=0, atol=2e-5)
    assert sign[:3].tolist() == [1.0, -1.0, 1.0] and (size[3:] == -1).all()
    torch.testing.assert_close(sign[3:], np.e**7 * g[3:])


@torch.no_grad()
def test_attention_by_numpy():
    torch.manual_seed(0)
    index, r = torch.randn(2, 4, 5).double(), torch.randn(2, 3, 5).double()
    found = attention(index, r)
    for b, q, s in np.ndindex(2, 3, 4):
        one, other = index[b, s].numpy(), r[b, q].numpy()
        cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
        assert found[b, q, s].item() == pytest.approx(cosine, rel=1e-5)
    assert attention(torch.zeros(1, 1, 3), torch.zeros(1, 1, 3)).item() == 0


def nodes(tensor):
    """Names of all nodes of the graph behind a tensor."""
    waiting, seen = [tensor.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [each for each, _ in node.next_functions]
    return [node.name() for node in seen]


def test_the_order_of_derivatives():
    """Order 1: the graph has no backward pass in it, and what only gradients know of learns nothing. Order 2: the loss
    behind a gradient has one, and the meta-gradient is that of finite differences."""
    first, second = built(order=1), built(order=2)
    second.load_state_dict(first.state_dict())
    drawn = episode()
    values = [each.answer_queries(*drawn) for each in (first, second)]
    torch.testing.assert_close(*values)
    backwards = [sum("BackwardBackward" in name for name in nodes(each)) for each in values]
    assert backwards[0] == 0 and backwards[1] > 0
    of_first, of_second = (gradients(*pair) for pair in zip((first, second), values, strict=True))
    assert of_first["embedding.weights.softmax"] is None and of_second["embedding.weights.softmax"].any()
    name, weight = "base.weights.linear", second.base.weights["linear"]
    assert not torch.allclose(of_first[name], of_second[name])
    target = torch.randint(3, values[0].shape[:2], generator=torch.Generator().manual_seed(5)).flatten()

    def loss():
        return fn.cross_entropy(second.answer_queries(*drawn).flatten(0, 1), target, reduction="sum").item()

    eps = 1e-6
    for place in ((0, 0), (1, 2), (3, 1)):
        kept = weight.data[place].item()
        ends = []
        for shift in (eps, -eps):
            weight.data[place] = kept + shift
            ends.append(loss())
        weight.data[place] = kept
        assert of_second[name][place].item() == pytest.approx((ends[0] - ends[1]) / 2 / eps, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("order", [1, 2])
def test_evaluation_keeps_no_graph_and_answers_as_training_does(order):
    learner, drawn = built(order=order), episode()
    expected = learner.answer_queries(*drawn)
    with torch.no_grad():
        found = learner.answer_queries(*drawn)
    assert not found.requires_grad
    torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_no_query_or_task_sees_another():
    learner = built()
    x, y, queries = episode()
    logits = learner.answer_queries(x, y, queries)
    torch.testing.assert_close(learner.answer_queries(x, y, queries[1:2])[0], logits[1])
    torch.testing.assert_close(learner.answer_queries(x[:, 1:], y[:, 1:], queries[:, 1:])[:, 0], logits[:, 1])
    assert not learner.transductive


@torch.no_grad()
def test_each_class_of_an_episode_takes_the_next_output_whatever_labels_it_has():
    learner = built(n_way=7)
    x, y, queries = episode()
    names = torch.tensor([1, 3, 4, 6])
    found = learner.answer_queries(x, names[y], queries)
    torch.testing.assert_close(found[..., names], learner.answer_queries(x, y, queries)[..., :4])
    assert (found[..., [0, 2, 5]] == -1e9).all()


def test_a_last_layer_for_other_numbers_of_classes_is_never_trained():
    learner = built(n_way=4, ways=3)
    before = learner.other_softmax.clone()
    optimiser = torch.optim.SGD(learner.parameters(), lr=0.1)
    x, y, queries = episode(labels=(0, 1, 3))
    learner.answer_queries(x, y, queries)[..., [0, 1, 3]].square().sum().backward()
    assert learner.base.weights["softmax"].grad.any()
    optimiser.step()
    assert torch.equal(learner.other_softmax, before) and "other_softmax" in learner.state_dict()
    with torch.no_grad():  # with four classes the trained one says nothing
        four, kept = episode(), learner.eval().answer_queries(*episode())
        learner.base.weights["softmax"].add_(1.0)
        torch.testing.assert_close(learner.answer_queries(*four), kept)
    with pytest.raises(UserError, match="trained with 4 classes in an episode, but ways is 3"):
        learner.train().answer_queries(*four)


@torch.no_grad()
@pytest.mark.parametrize("reads", ["image", "embedding"])
@pytest.mark.parametrize("variant", ["embedding", "none", "both"])
@pytest.mark.parametrize("delay", [1, 2])
def test_a_stream_is_a_growing_support_set(variant, delay, reads):
    """Each answer is that to a query after what has been labelled so far; every label keeps its own output."""
    learner = built(n_way=3, delay=delay, task_weights=variant, chunks=None, augmented=EVERY, reads=reads).eval()
    x, y, queries = episode(labels=(0, 1, 2), k_shot=2)
    shown = torch.cat([torch.full((delay, 2), -1), y])
    steps = torch.cat([x, torch.zeros(delay, *x.shape[1:], dtype=x.dtype)])
    logits, state = learner.run(steps, shown, learner.initial_state(2))
    torch.testing.assert_close(learner.predict(queries, state), learner.answer_queries(x, y, queries))
    for b in range(2):
        whole = [t for t in range(3, 7) if set(y[:t, b].tolist()) == {0, 1, 2}]
        for t in whole:  # labels of the first t samples are shown by step t + delay - 1
            now = slice(t + delay - 1, t + delay)
            expected = learner.answer_queries(x[:t, b : b + 1], y[:t, b : b + 1], steps[now, b : b + 1])
            torch.testing.assert_close(logits[now, b : b + 1], expected)


def test_parameters_are_as_many_as_the_closed_formula_says():
    """The authors' network for five classes: 152,448 slow weights in each of two, 4,724 of generators."""
    learner = MetaNetworks((1, 28, 28), 5, augmented=EVERY)
    network = 9 * 64 + 4 * 9 * 64 * 64 + 64 * 64 + 64 * 5
    lstm, mlp = 4 * 20 * (2 + 20) + 4 * 20 + 21, 2 * 20 + 20 + 20 * 20 + 20 + 21
    assert sum(each.numel() for each in learner.parameters()) == 2 * network + 2 * (lstm + mlp) == 309_620


def test_pooling_rounds_up_and_the_last_three_layers_are_augmented():
    assert [layer.shape[1] for layer in convolutional((1, 28, 28), 64, 64, 5)] == [1, 64, 64, 64, 64, 64]
    assert convolutional((3, 84, 84), 32, 288, 5)[-1].shape == (288, 32 * 3 * 3)
    learner = MetaNetworks((1, 28, 28), 5)
    assert [layer.name for layer in learner.base.augmented] == ["conv5", "linear", "softmax"]
    assert [layer.name for layer in learner.embedding.augmented] == ["conv5", "linear"]
    network = SlowNetwork(convolutional((1, 28, 28), 4, 4, 5), 5, ["conv5"], "uniform")
    assert network.lower(torch.rand(2, 3, 1, 28, 28)).shape == (2, 3, 4, 2, 2)


def test_initial_weights():
    torch.manual_seed(0)
    uniform = MetaNetworks((1, 28, 28), 5).base.weights["conv3"]
    assert -0.1 <= uniform.min() < -0.099 and 0.099 < uniform.max() < 0.1
    normal = MetaNetworks((1, 28, 28), 5, initialisation="lecun").base.weights["conv3"]
    assert normal.var().item() == pytest.approx(1 / 576, rel=0.05)


@pytest.mark.parametrize(
    "settings, message",
    [
        (
            {"augmented": ["conv5", "conv6"]},
            "augmented is .'conv5', 'conv6'., and must be a list, each one of conv1, conv2",
        ),
        (
            {"network": "perceptron", "augmented": ["conv5"]},
            "meta_networks: no layer 'conv5' to augment; there are linear1, linear, ",
        ),
        ({"order": 3}, "order is 3, and must be one of 1, 2"),
        ({"ways": 5}, "meta_networks: ways is 5 and must be from 1 to 4, the labels"),
    ],
)
def test_settings_that_there_are_not_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        built(**settings)


def test_what_cannot_be_done_is_refused():
    with pytest.raises(UserError, match="needs two samples of a class; set k_shot to 2"):
        built(representation_loss="contrastive").answer_queries(*episode())


def test_another_network_has_random_weights_and_the_same_generators():
    learner, drawn = built().eval(), episode()
    state = torch.get_rng_state()
    wide, again = (learner.with_other_network(filters=9, seed=3) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)  # nothing else is drawn otherwise
    assert wide.base.weights["conv3"].shape[0] == 9 and learner.base.weights["conv3"].shape[0] == 4
    found = wide.answer_queries(*drawn)
    torch.testing.assert_close(found, again.answer_queries(*drawn))
    torch.testing.assert_close(found, plain(wide, *drawn), rtol=1e-8, atol=1e-9)
    assert not torch.allclose(found, learner.answer_queries(*drawn))
    learner.m["conv"].last.bias.data.add_(1.0)  # the copies are their own
    torch.testing.assert_close(wide.answer_queries(*drawn), found)
    with pytest.raises(UserError, match="only a convolutional base learner has filters"):
        built(network="perceptron").with_other_network(filters=2, seed=0)


@pytest.mark.parametrize("variant", ["embedding", "none", "both"])
def test_it_learns_to_name_classes_it_has_not_seen(variant):
    """Noisy images of three patterns, others in each task: it begins at chance."""
    torch.manual_seed(0)
    learner = MetaNetworks(SHAPE, 3, network="perceptron", hidden=16, generator_hidden=8, task_weights=variant)
    optimiser = torch.optim.Adam(learner.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)

    def drawn():
        prototypes = (torch.rand(3, 8, *SHAPE, generator=generator) > 0.5).float()
        y, query_y = torch.arange(3)[:, None].expand(3, 8), torch.arange(3).repeat(2)[:, None].expand(6, 8)
        noise = 0.3 * torch.randn(9, 8, *SHAPE, generator=generator)
        return prototypes + noise[:3], y, prototypes.repeat(2, 1, 1, 1, 1) + noise[3:], query_y

    right = []
    for _ in range(175):
        x, y, queries, query_y = drawn()
        logits = learner.answer_queries(x, y, queries)
        right.append((logits.argmax(-1) == query_y).float().mean().item())
        optimiser.zero_grad()
        fn.cross_entropy(logits.flatten(0, 1), query_y.flatten()).backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 10.0)
        optimiser.step()
    assert np.mean(right[:10]) < 0.6 and np.mean(right[-30:]) > 0.85


@pytest.mark.parametrize("network", ["convolutional", "perceptron"])
def test_for_another_problem_slow_weights_are_new_and_the_rule_is_the_same(network):
    learner = MetaNetworks((1, 8, 8), 3, network=network, filters=3, hidden=4, generator_hidden=4)
    state = torch.get_rng_state()
    other, again = learner.for_another_problem(1), learner.for_another_problem(1)
    assert torch.get_rng_state().equal(state)
    assert other.m is learner.m and other.d is learner.d
    for name, weights in other.state_dict().items():
        assert weights.equal(again.state_dict()[name]), name
        if name.startswith(("base.", "embedding.")):
            assert weights.shape == learner.state_dict()[name].shape and not weights.equal(learner.state_dict()[name])
    assert set(other.state_dict()) == set(learner.state_dict())
    assert other.base.augmented == learner.base.augmented


def test_centred_fast_weights_sum_to_zero_in_each_unit():
    """Those of one sign, as drawn, may let nothing through, and then nothing is ever learned of them."""
    x, y, queries = episode()
    learner = built(centred=True, task_weights="none")
    found, plain = learner.inside(x, y, queries), built(task_weights="none").inside(x, y, queries)
    for name, each in found.fast.items():
        inputs = tuple(range(1 - learner.base.weights[name].dim(), 0))
        assert each.mean(dim=inputs).abs().max() < 1e-12 and each.abs().max() > 1e-6, name
        assert torch.allclose(each, plain.fast[name] - plain.fast[name].mean(dim=inputs, keepdim=True)), name
    learner = built(centred=True, task_weights="both")
    for name, each in learner.inside(x, y, queries).task.items():
        assert each.mean(dim=tuple(range(1 - learner.embedding.weights[name].dim(), 0))).abs().max() < 1e-12, name
    learner.answer_queries(x, y, queries).square().sum().backward()
    for generator in (*learner.m.values(), *learner.d.values()):
        assert generator.last.bias.grad.abs().max() < 1e-9  # what all weights have in common counts for nothing
        assert generator.last.weight.grad.abs().max() > 0
