"""Learners that only Santoro's part of the study has, and what their settings refuse."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.models import TaskDescription
from metamemory.models.memory.mann import MANN
from metamemory.models.memory.ntm import NTM
from metamemory.models.metric.autoencoder_neighbour import AutoencoderNeighbour
from metamemory.models.recurrent.feedforward import FeedForward
from metamemory.nn.labels import Characters, Values
from metamemory.nn.memory_network import FeedForwardMemoryNetwork, MemoryNetwork
from metamemory.study.methods import method
from metamemory.training.flops import flops_per_step


@pytest.mark.parametrize("name", ["feedforward", "mann_feedforward"])
@pytest.mark.parametrize(
    ("labels", "y", "outputs"),
    [(Characters(5, 5), torch.randint(5, (4, 2, 5)), 25), (Values(1), torch.rand(4, 2, 1), 2)],
)
def test_labels_of_any_kind(name, labels, y, outputs):
    assert method(name).build(TaskDescription((7,), labels), {"hidden": 6})(torch.rand(4, 2, 7), y).shape == (
        4,
        2,
        outputs,
    )


def test_a_feed_forward_network_remembers_nothing():
    learner = FeedForward((3,), 2, hidden=8)
    x, y = torch.rand(5, 1, 3), torch.randint(2, (5, 1))
    torch.testing.assert_close(learner(x, y)[3:], learner(x[3:], y[3:]))


def test_more_heads_than_slots_are_refused():
    with pytest.raises(UserError, match="heads is 4 and must be from 1 to 3"):
        MANN((3,), 2, slots=3)


@pytest.mark.parametrize("delay", [1, 2])
def test_the_nearest_in_features_by_loops(delay):
    torch.manual_seed(0)
    learner = AutoencoderNeighbour((1, 4, 4), 3, delay, hidden=8, features=5).eval()
    x, y = torch.rand(9, 2, 1, 4, 4), torch.randint(3, (9, 2))
    y_seen = torch.cat([torch.full((delay, 2), -1), y[:-delay]])
    answers = learner(x, y_seen)
    e = learner.encoder(x.flatten(2))
    for b in range(2):
        for t in range(9):
            distances = [(e[t, b] - e[s, b]).square().sum() for s in range(t - delay + 1)]
            for label in range(3):
                of_label = [each for s, each in enumerate(distances) if y[s, b] == label]
                if of_label:
                    torch.testing.assert_close(answers[t, b, label], -min(of_label), rtol=1e-4, atol=1e-6)
                else:
                    assert answers[t, b, label] == -1e9


def test_an_autoencoder_learns_to_draw():
    torch.manual_seed(0)
    learner = AutoencoderNeighbour((1, 6, 6), 3, hidden=32, features=8)
    x = torch.rand(4, 2, 1, 6, 6)
    optimiser = torch.optim.Adam(learner.parameters(), lr=3e-3)
    errors = []
    for _ in range(400):
        error = (learner.reconstructed(x) - x).square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        errors.append(error.item())
    assert learner.reconstructed(x).shape == x.shape and errors[-1] < 0.1 * errors[0]


DIFFERENCES = {  # of public code from the printed equations
    "value": {"written": "value"},
    "own_slots": {"own_slots": True},
    "decay": {"decay": 0.95},
    "initial_memory": {"initial_memory": 1e-6},
    "all": {"written": "value", "own_slots": True, "decay": 0.95, "initial_memory": 1e-6},
}
MANNS = [("mann", MemoryNetwork, 1.0), ("mann_strength", MemoryNetwork, 10.0),
         ("mann_feedforward", FeedForwardMemoryNetwork, 1.0)]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "strength"), MANNS)
def test_what_params_yaml_leaves_to_a_mann_is_the_papers(name, kind, strength):
    """128 slots of 40, 4 heads, 200 units, a decay of 0.99; no strength of the keys, but where it is the point."""
    network = method(name).build(TaskDescription((1, 20, 20), 5)).network
    assert type(network) is kind and network.to_access.in_features == 200
    sizes = network.slots, network.width, network.heads, network.decay, network.strength
    assert sizes == (128, 40, 4, 0.99, strength)
    assert not network.own_slots and network.initial_memory == 0 and network.to_access.out_features == 4 * (40 + 1)


@pytest.mark.parametrize(("name", "kind", "strength"), MANNS)
def test_parameters_and_flops_are_those_of_the_closed_formulas(name, kind, strength):
    h, n, w, r, ways, pixels = 20, 16, 6, 3, 5, 64
    learner = method(name).build(TaskDescription((1, 8, 8), ways), {"hidden": h, "slots": n, "width": w, "heads": r})
    gates = 4 if kind is MemoryNetwork else 1
    before = h + r * w if kind is MemoryNetwork else r * w
    weights = gates * h * (pixels + ways + before) + h * r * (w + 1) + ways * (h + r * w)
    assert sum(each.numel() for each in learner.parameters()) == weights + gates * h + r * (w + 1) + ways
    assert flops_per_step(learner, (1, 8, 8)) == 2 * (weights + 3 * n * w * r)  # what is added, compared and read


@pytest.mark.parametrize("controller", ["lstm", "feedforward"])
def test_a_value_takes_as_many_weights_as_a_key(controller):
    h, n, w, r = 20, 16, 6, 3
    key, value = (
        MANN((1, 8, 8), 5, h, n, w, r, controller=controller, written=written) for written in ("key", "value")
    )
    more = sum(each.numel() for each in value.parameters()) - sum(each.numel() for each in key.parameters())
    assert more == r * w * (h + 1)
    assert flops_per_step(value, (1, 8, 8)) - flops_per_step(key, (1, 8, 8)) == 2 * r * w * h
    assert [*value.state_dict()] == [*key.state_dict()]


@pytest.mark.parametrize("controller", ["lstm", "feedforward"])
@pytest.mark.parametrize("difference", DIFFERENCES)
def test_each_difference_is_one_online_too_and_is_loaded_again(difference, controller, tmp_path):
    """Step by step as at once; answers are others than those of the same weights as printed; and weights that were
    saved give them again, in a learner of the same settings and in no other."""
    torch.manual_seed(0)
    sizes = {"hidden": 7, "slots": 6, "width": 4, "heads": 2, "controller": controller}
    learner = MANN((1, 4, 4), 3, **sizes, **DIFFERENCES[difference])
    x, y_seen = torch.rand(20, 2, 1, 4, 4), torch.randint(-1, 3, (20, 2))
    with torch.no_grad():
        whole, state, steps = learner(x, y_seen), learner.initial_state(2), []
        for x_t, y_seen_t in zip(x, y_seen, strict=True):
            logits, state = learner.step(x_t, y_seen_t, state)
            steps.append(logits)
    torch.testing.assert_close(torch.stack(steps), whole, rtol=1e-4, atol=1e-5)
    save_file(learner.state_dict(), tmp_path / "model.safetensors")
    weights = load_file(tmp_path / "model.safetensors")
    again, printed = MANN((1, 4, 4), 3, **sizes, **DIFFERENCES[difference]), MANN((1, 4, 4), 3, **sizes)
    again.load_state_dict(weights)
    assert torch.equal(again(x, y_seen), whole)
    if "written" in DIFFERENCES[difference]:
        with pytest.raises(RuntimeError, match="to_access"):
            printed.load_state_dict(weights)
    else:
        printed.load_state_dict(weights)
        assert (printed(x, y_seen) - whole).norm() > 1e-6 * whole.norm()


def test_what_cannot_be_written_is_refused():
    with pytest.raises(UserError, match="MANN: written is 'keys', and must be one of key, value"):
        MANN((3,), 2, written="keys")


@torch.no_grad()
@pytest.mark.parametrize(("name", "kind", "strength"), MANNS)
def test_a_mann_answers_from_its_controller_and_from_what_was_read(name, kind, strength):
    torch.manual_seed(0)
    learner = method(name).build(TaskDescription((1, 4, 4), 3), {"hidden": 7, "slots": 6, "width": 4, "heads": 2})
    x, y_seen = torch.rand(9, 2, 1, 4, 4), torch.randint(-1, 3, (9, 2))
    shown = torch.cat([x.flatten(2), fn.one_hot(y_seen + 1, 4)[..., 1:].float()], dim=-1)
    outputs, _ = learner.network(shown, learner.network.initial_state(2))  # h and reads
    assert outputs.shape[-1] == 7 + 2 * 4
    expected = outputs @ learner.classifier.weight.T + learner.classifier.bias
    torch.testing.assert_close(learner(x, y_seen), expected)


def test_a_fresh_controller_remembers():
    bias = MemoryNetwork(5, 100, 6, 4, 2, 0.9, 1.0, forget_bias=3.0).from_input.bias.detach().view(4, 100)
    assert ((bias - torch.tensor([0.0, 3.0, 0.0, 0.0])[:, None]).abs() <= 0.1).all()  # i, f, o, g
    assert NTM((5,), 2, hidden=6, forget_bias=3.0).from_input.bias[6:12].tolist() == [3.0] * 6  # i, f, g, o


@torch.no_grad()
def test_a_feed_forward_network_is_one_hidden_layer():
    learner = FeedForward((3,), 2, hidden=8)
    x, y = torch.rand(5, 2, 3), torch.randint(-1, 2, (5, 2))
    shown = torch.cat([x, (y[..., None] == torch.arange(2)).float()], dim=-1)
    (w_1, b_1, w_2, b_2) = learner.parameters()
    torch.testing.assert_close(learner(x, y), (shown @ w_1.T + b_1).clamp(min=0) @ w_2.T + b_2)


@torch.no_grad()
def test_the_autoencoder_is_that_of_the_paper():
    """Two layers of 200 each way, leaky ReLU (slope 0.01) between, 32 features."""
    learner, z = AutoencoderNeighbour((1, 20, 20), 5), torch.randn(3, 1, 20, 20)
    sizes = [list(each.shape) for each in learner.parameters() if each.dim() == 2]
    assert sizes == [[200, 400], [200, 200], [32, 200], [200, 32], [200, 200], [400, 200]]
    weights, out = list(learner.parameters()), z.flatten(1)
    for n in range(6):
        out = out @ weights[2 * n].T + weights[2 * n + 1]
        if n not in (2, 5):
            out = torch.where(out > 0, out, 0.01 * out)
    torch.testing.assert_close(learner.reconstructed(z), out.sigmoid().view_as(z))
