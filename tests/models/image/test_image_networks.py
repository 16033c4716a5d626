"""Networks that name images one by one: their sizes are the paper's, and no image sees another."""

import pytest
import torch
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.models import TaskDescription, available, learner_class
from metamemory.nn.conv_lstm import ConvLSTM
from metamemory.nn.zero_state_conv_lstm import ZeroStateConvLSTM
from metamemory.study.methods import method
from metamemory.training.flops import flops_per_step

# Babu et al. 2021, Table 5, and what follows from its widths (to the last digit shown): millions of parameters
PARAMETERS = {
    "vgg11": 9.2,
    "cl_vgg11_050": 20.0,
    "cl_vgg11_035": 9.5,
    "resnet20": 0.27,
    "cl_resnet20_050": 0.56,
    "cl_resnet20_035": 0.32,
}
SMALL = {name: {"filters": 8 if "resnet" in name else 6} for name in PARAMETERS}
WIDTHS_OF_VGG = (1, 2, 4, 4, 8, 8, 8, 8)
WIDTHS_OF_RESNET = (1,) * 7 + (2,) * 6 + (4,) * 6


@pytest.fixture(params=PARAMETERS)
def name(request):
    return request.param


def small(name):
    torch.manual_seed(0)
    return method(name).build(TaskDescription((3, 8, 8), 4), SMALL[name])


def batch(count=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, count, 3, 8, 8, generator=generator), torch.randint(4, (1, count), generator=generator)


def trained(learner, x, y, updates):
    optimiser = torch.optim.SGD(learner.parameters(), 0.05, 0.9)
    learner.train()
    for _ in range(updates):
        loss = fn.cross_entropy(learner(x, torch.full_like(y, -1))[0], y[0])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return learner


def test_these_are_all_of_their_kind():
    found = {name for name in available() if learner_class(name).answers == "image"}
    assert found == {method(name).learner for name in PARAMETERS} == {"vgg", "resnet"}


def test_the_number_of_parameters_is_the_papers(name):
    learner = method(name).build(TaskDescription((3, 32, 32), 10))
    count = sum(each.numel() for each in learner.parameters()) / 1e6
    assert count == pytest.approx(PARAMETERS[name], abs=0.05 if count > 1 else 0.005)


@pytest.mark.parametrize(
    ("name", "base"), [("cl_vgg11_050", 32), ("cl_vgg11_035", 22), ("cl_resnet20_050", 8), ("cl_resnet20_035", 6)]
)
def test_the_number_of_parameters_is_the_closed_formula(name, base):
    """A layer has 4 gates of 3x3 kernels on x and on h, a bias and a gain."""
    widths = [base * each for each in (WIDTHS_OF_VGG if "vgg" in name else WIDTHS_OF_RESNET)]
    layers = list(zip([3, *widths], widths, strict=False))
    head = 10 * widths[-1] + 10
    expected = sum(4 * f * 9 * (c + f) + 8 * f for c, f in layers) + head
    learner = method(name).build(TaskDescription((3, 32, 32), 10))
    assert sum(each.numel() for each in learner.parameters()) == expected
    assert learner.used_parameters == sum(3 * f * (9 * c + 2) for c, f in layers) + head


def test_flops_are_the_closed_formula(name):
    """The plain network's products; of a CL layer three gates of x, none of h, and none to forget."""
    learner = method(name).build(TaskDescription((3, 32, 32), 10))
    gates = 3 if learner.memory else 1
    base = round(learner.share * (64 if "vgg" in name else 16))
    if "vgg" in name:
        widths, sizes = WIDTHS_OF_VGG, (32, 16, 8, 8, 4, 4, 2, 2)
    else:
        widths, sizes = WIDTHS_OF_RESNET, (32,) * 7 + (16,) * 6 + (8,) * 6
    channels, expected = 3, 2 * 10 * base * widths[-1]
    for multiple, size in zip(widths, sizes, strict=True):
        expected += 2 * gates * 9 * channels * multiple * base * size**2
        channels = multiple * base
    assert flops_per_step(learner, (3, 32, 32)) == expected


@torch.no_grad()
def test_images_are_answered_one_by_one(name):
    learner = trained_a_little(name)
    x, _ = batch()
    null = torch.full((1, 12), -1)
    logits = learner(x, null)
    assert logits.shape == (1, 12, 4)
    torch.testing.assert_close(learner(x[:, 3:4], null[:, 3:4])[0, 0], logits[0, 3], rtol=1e-4, atol=1e-5)
    as_steps = learner(x.transpose(0, 1), null.T)  # twelve steps of one episode
    torch.testing.assert_close(as_steps[:, 0], logits[0], rtol=1e-4, atol=1e-5)
    state = learner.initial_state(12)
    one, after = learner.step(x[0], null[0], state)
    torch.testing.assert_close(one, logits[0], rtol=1e-4, atol=1e-5)
    assert after == state == ()
    torch.testing.assert_close(learner.predict(x, state), logits, rtol=1e-4, atol=1e-5)


def trained_a_little(name):
    with torch.enable_grad():
        return trained(small(name), *batch(), updates=3).eval()


class WithTime(torch.nn.Module):
    """A ConvLSTM that begins from its zero state, hidden convolutions and all."""

    def __init__(self, layer: ZeroStateConvLSTM):
        super().__init__()
        filters, in_channels = layer.filters, layer.w_x.shape[1]
        self.layer, self.stride = ConvLSTM(in_channels, filters), layer.stride
        self.layer.load_state_dict(layer.state_dict())

    def forward(self, x):
        h, _ = self.layer(x[None], self.layer.initial_state(len(x), x.shape[-2:]))
        return h[0, ..., :: self.stride, :: self.stride]


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in PARAMETERS if name.startswith("cl_")])
def test_a_network_of_timed_layers_gives_the_same_answers(name):
    learner = trained_a_little(name)
    x, _ = batch()
    expected = learner(x, torch.full((1, 12), -1))
    for module in list(learner.modules()):
        for key, layer in list(module._modules.items()):
            if isinstance(layer, ZeroStateConvLSTM):
                module._modules[key] = WithTime(layer)
    assert not any(isinstance(each, ZeroStateConvLSTM) for each in learner.modules())
    torch.testing.assert_close(learner.eval()(x, torch.full((1, 12), -1)), expected, rtol=1e-4, atol=1e-5)


def test_a_small_batch_can_be_learned_by_heart(name):
    x, y = batch()
    learner = trained(small(name), x, y, updates=100)
    assert (learner(x, torch.full_like(y, -1)).argmax(-1) == y).float().mean() == 1


def test_the_same_seed_gives_the_same_bits(name):
    one, two = (trained(small(name), *batch(), updates=3).state_dict() for _ in range(2))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_the_paper_scale_may_multiply_in_bfloat16(name):
    learner = method(name).build(TaskDescription((3, 8, 8), 4), {**SMALL[name], "precision": "bfloat16"})
    x, y = batch()
    trained(learner, x, y, updates=2)
    assert learner(x, torch.full_like(y, -1)).dtype == torch.float32


def test_the_shortcut_is_every_second_pixel_and_channels_of_zeros():
    learner = small("resnet20").eval()
    with torch.no_grad():
        one, two = learner.blocks[3]
        two.gain.zero_()  # nothing but the shortcut is left of the block
        two.bias.zero_()
        x = torch.rand(2, 8, 8, 8)
        kept = learner.blocks
        learner.blocks, learner.first = kept[3:4], torch.nn.Identity()
        maps = learner.maps(x)
    assert maps.shape == (2, 16, 4, 4)
    assert torch.equal(maps[:, :8], x[..., ::2, ::2]) and not maps[:, 8:].any()


def test_what_leaves_no_filter_is_refused():
    with pytest.raises(UserError, match="0.35 of filters 1 leaves none"):
        method("cl_vgg11_035").build(TaskDescription((3, 8, 8), 4), {"filters": 1})
    with pytest.raises(UserError, match="vgg: unknown setting filtres"):
        method("vgg11").build(TaskDescription((3, 8, 8), 4), {"filtres": 1})


@torch.no_grad()
@pytest.mark.parametrize("name", ["vgg11", "cl_vgg11_050", "resnet20", "cl_resnet20_050"])
def test_layers_are_arranged_as_the_papers_say(name):
    """Only layers are called: where ReLU, pooling, shortcut and mean are is written out. CL networks have no ReLU."""
    torch.manual_seed(0)
    learner = method(name).build(TaskDescription((3, 32, 32), 4), {"filters": 4}).eval()
    relu = (lambda z: z) if name.startswith("cl_") else (lambda z: z.clamp(min=0))
    x = torch.randn(1, 2, 3, 32, 32)
    z = x[0]
    if "vgg" in name:
        for n, layer in enumerate(learner.layers, start=1):
            z = relu(layer(z))
            if n in (1, 2, 4, 6, 8):
                z = z.unfold(2, 2, 2).unfold(3, 2, 2).amax(dim=(-1, -2))
    else:
        z = relu(learner.first(z))
        for n, (one, two) in enumerate(learner.blocks):
            y, shortcut = two(relu(one(z))), z
            if n in (3, 6):
                shortcut = torch.cat([z[..., ::2, ::2], torch.zeros_like(z[..., ::2, ::2])], dim=1)
            z = relu(y + shortcut)
    expected = z.mean(dim=(-2, -1)) @ learner.classifier.weight.T + learner.classifier.bias
    torch.testing.assert_close(learner(x, torch.full((1, 2), -1))[0], expected, rtol=1e-4, atol=1e-5)
