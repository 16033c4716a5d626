"""Learners that are built on compiled operations, traced, exported, compiled, in autocast, in float64, without values:
as they are by themselves. What torch does with a learner is not to depend on how its layers are computed."""

import copy
import io
import pickle

import jaxtyping
import pytest
import torch
from torch._subclasses import FakeTensorMode

from metamemory.kernels import native
from metamemory.models import CLLSTM, learner_class

MANN_SIZES = {"hidden": 12, "slots": 9, "width": 5, "heads": 2}
PUBLIC_CODE = {"written": "value", "own_slots": True, "initial_memory": 1e-6, "decay": 0.95}
CL = {"filters": 6, "hidden": 12, "pool_after": [1, 2]}
IMAGE = {"filters": 4}
LEARNERS = {
    "cl_lstm": ("cl_lstm", (1, 8, 8), CL),
    "cl_lstm, statistics of a sample": ("cl_lstm", (1, 8, 8), CL | {"statistics": "sample"}),
    "cl_lstm, products in bfloat16": ("cl_lstm", (1, 8, 8), CL | {"precision": "bfloat16"}),
    "mann": ("mann", (1, 8, 8), MANN_SIZES),
    "mann, as public code has it": ("mann", (1, 8, 8), MANN_SIZES | PUBLIC_CODE),
    "mann, feed-forward": ("mann", (1, 8, 8), MANN_SIZES | {"controller": "feedforward"}),
    "cl_unet": ("cl_unet", (3, 16, 16), {"filters": 2}),
    "vgg": ("vgg", (3, 32, 32), IMAGE),
    "cl_vgg": ("vgg", (3, 32, 32), IMAGE | {"memory": True}),
    "cl_resnet": ("resnet", (3, 32, 32), IMAGE | {"memory": True}),
}
# torch's own, of its older parts and of those that look into Python
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
    pytest.mark.filterwarnings("ignore:The tensor attributes self.lstm._flat_weights:UserWarning"),
]


@pytest.fixture(autouse=True)
def unchecked():
    """Types are not checked at calls here: sizes are tensors where torch traces."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(params=LEARNERS)
def case(request):
    return made(request.param)


def made(name):
    """A learner in evaluation, whose running statistics are not what they began as; and two episodes for it."""
    torch.manual_seed(0)
    family, shape, settings = LEARNERS[name]
    learner = learner_class(family)(shape, 2 if family == "cl_unet" else 3, **settings)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(4, 2, *shape, generator=generator)
    mask = (torch.rand(4, 2, *shape[1:], generator=generator) > 0.5).float()
    y = mask if family == "cl_unet" else torch.randint(-1, 3, (4, 2), generator=generator)
    with torch.no_grad():
        learner.train()(torch.rand(4, 2, *shape, generator=generator), y)
    return learner.eval(), x, y


def gradients(learner, x, y):
    used = [each for each in learner.parameters() if each.requires_grad]
    return torch.autograd.grad(learner(x, y).float().square().mean(), used, allow_unused=True)


def in_bfloat16(learner):
    return any(getattr(each, "precision", None) == torch.bfloat16 for each in learner.modules())


def distance(one, other):
    """Of all gradients together, relative to their size."""
    pairs = [(a.double(), b.double()) for a, b in zip(one, other, strict=True) if b is not None]
    return sum((a - b).square().sum() for a, b in pairs).sqrt() / sum(b.square().sum() for _, b in pairs).sqrt()


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_traced(case, training):
    """Then saved and loaded, and asked about other inputs. In training too: but for its statistics a trace is a
    function."""
    learner, x, y = case
    learner.train(training)
    traced = torch.jit.trace(copy.deepcopy(learner), (x, y), check_trace=False)
    saved = io.BytesIO()
    torch.jit.save(traced, saved)
    loaded = torch.jit.load(io.BytesIO(saved.getvalue()))
    other = 1 - x
    expected = copy.deepcopy(learner)(other, y)
    assert torch.equal(loaded(other, y), expected) and not torch.equal(loaded(x, y), expected)
    assert distance(gradients(loaded, x, y), gradients(copy.deepcopy(learner), x, y)) < 1e-5


def test_exported(case):
    learner, x, y = case
    exported = torch.export.export(learner, (x, y))
    assert torch.equal(exported.module()(1 - x, y), learner(1 - x, y))


def test_with_tensors_that_have_no_values(case):
    learner, x, y = case
    expected = learner(x, y)
    ghost = copy.deepcopy(learner).to("meta")
    found = ghost(x.to("meta"), y.to("meta"))
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        found = learner(mode.from_tensor(x), mode.from_tensor(y))
    assert (found.shape, found.dtype, found.device) == (expected.shape, expected.dtype, expected.device)


def lstm_runs_in_bfloat16():
    """Whether torch's own does, which some processors cannot."""
    with torch.autocast("cpu", torch.bfloat16):
        try:
            torch.nn.LSTM(2, 2)(torch.ones(1, 1, 2))
        except RuntimeError:
            return False
    return True


def lstm_keeps_its_digits():
    """Whether torch's own has the same with gradients and without, as it has on some processors."""
    lstm, x = torch.nn.LSTM(27, 12), torch.rand(4, 2, 27)
    with torch.no_grad():
        expected = lstm(x)[0]
    return torch.equal(lstm(x)[0], expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", LEARNERS)
def test_in_autocast(name, dtype, monkeypatch):
    """Both ways: a backward pass inside autocast must not mix types up. Gradients of few images are rough in 16 bits;
    they are to be as near to those in 32 as without compiled functions."""
    learner, x, y = made(name)
    if name.startswith("cl_lstm") and (dtype == torch.float16 or not lstm_runs_in_bfloat16()):
        with torch.autocast("cpu", dtype), pytest.raises(RuntimeError, match="LSTM"):  # torch's own, and its refusal
            learner(x, y)
        return
    with torch.no_grad(), torch.autocast("cpu", dtype):
        found = learner(x, y)
    expected = learner(x, y)
    assert (found - expected).norm() < 0.05 * expected.norm()
    learner.train()
    expected = gradients(copy.deepcopy(learner), x, y)
    with torch.autocast("cpu", dtype):
        found = gradients(copy.deepcopy(learner), x, y)
        monkeypatch.setattr(native, "library", lambda *_, **constants: None)
        without = gradients(copy.deepcopy(learner), x, y)
    assert distance(found, expected) < 0.02 + 1.5 * distance(without, expected) < 0.9


def test_in_float64(case):
    learner, x, y = case
    y_wide = y.double() if y.is_floating_point() else y
    learner.train()
    wide = copy.deepcopy(learner).double()
    one, other = gradients(wide, x.double(), y_wide), gradients(learner, x, y)
    assert all(each.dtype == torch.float64 for each in one if each is not None)
    assert distance(one, other) < (0.1 if in_bfloat16(learner) else 1e-3)


def test_inference_mode_copies_and_layouts(case):
    learner, x, y = case
    expected = learner(x, y)
    with torch.inference_mode():
        found = learner(x, y)
    if isinstance(learner, CLLSTM) and not lstm_keeps_its_digits():
        torch.testing.assert_close(found, expected)
    else:
        assert torch.equal(found, expected)
    scattered = torch.stack([x, 9 * x], dim=-1)[..., 0]
    assert torch.equal(learner(scattered, y), expected)
    assert torch.equal(pickle.loads(pickle.dumps(learner))(x, y), expected)
    learner.train()
    learner(x, y).float().sum().backward()
    assert torch.equal(copy.deepcopy(learner)(x, y), copy.deepcopy(learner)(x, y))


def test_the_gradient_of_a_functional_call(case):
    """By `torch.func.grad`, which differentiates the formulas."""
    learner, x, y = case
    parameters = dict(learner.named_parameters())

    def loss(parameters, x, y):
        return torch.func.functional_call(learner, parameters, (x, y)).float().square().mean()

    found = torch.func.grad(loss)(parameters, x, y)
    expected = gradients(learner, x, y)
    pairs = [(one, other) for one, other in zip(found.values(), expected, strict=True) if other is not None]
    assert distance(*zip(*pairs, strict=True)) < (0.02 if in_bfloat16(learner) else 1e-3)


def test_vmap_gives_right_values_or_is_refused(case):
    """Over two lots of inputs."""
    learner, x, y = case
    both = torch.stack([x, 1 - x])
    try:
        found = torch.vmap(lambda x: learner(x, y))(both)
    except RuntimeError as error:
        assert "vmap" in str(error)
        return
    expected = torch.stack([learner(x, y), learner(1 - x, y)])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cl_lstm", "mann", "mann, as public code has it", "mann, feed-forward", "cl_vgg"])
def test_compiled(name):
    """There and back."""
    learner, x, y = made(name)
    learner.train()
    torch._dynamo.reset()
    expected = gradients(copy.deepcopy(learner), x, y)
    found = gradients(torch.compile(copy.deepcopy(learner), backend="aot_eager"), x, y)
    assert distance(found, expected) < 1e-4


def test_no_step_at_all_is_refused_in_one_line_and_no_episode_is_not():
    learner = CLLSTM((1, 8, 8), n_way=3, **CL)
    x, y = torch.rand(4, 0, 1, 8, 8), torch.full((4, 0), -1)
    assert learner.eval()(x, y).shape == learner.train()(x, y).shape == (4, 0, 3)
