"""Operators keep what they promise to torch, give right values however they are called, and refuse the rest in a
line."""

import copy
import threading

import pytest
import torch
import torch.fx.experimental.proxy_tensor
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.autograd import forward_ad
from torch.utils.flop_counter import FlopCounterMode

from metamemory.errors import UserError
from metamemory.kernels import (
    batch_norm,
    conv_lstm,
    delta_rule,
    generators,
    least_recently_used,
    memory_network,
    native,
    operators,
    self_reference,
    zero_state,
)

# torch's own, of its older parts, when they are first used
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.script. is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
]
compiled = pytest.mark.skipif(native.compiler() is None, reason="there is no C compiler")
PUBLIC = {
    "conv_lstm": conv_lstm._conv_lstm,
    "zero_state_gates": zero_state._zero_state_gates,
    "batch_norm": batch_norm._batch_norm,
    "access": least_recently_used._access,
    "access, values": least_recently_used._access,
    "memory_network": memory_network._memory_network,
    "memory_network, values": memory_network._memory_network,
    "generators.lstm": generators._lstm,
    "generators.mlp": generators._mlp,
    "delta_rule": delta_rule._delta_rule,
    "self_reference": self_reference._self_reference,
}
MODULES = {
    "conv_lstm": conv_lstm,
    "zero_state_gates": zero_state,
    "batch_norm": batch_norm,
    "access": least_recently_used,
    "access, values": least_recently_used,
    "memory_network": memory_network,
    "memory_network, values": memory_network,
    "generators.lstm": generators,
    "generators.mlp": generators,
    "delta_rule": delta_rule,
    "self_reference": self_reference,
}
FORWARD = {name: getattr(module, "_forward", None) for name, module in MODULES.items()} | {
    "generators.lstm": generators._lstm_forward,
    "generators.mlp": generators._mlp_forward,
}


def arguments(name, batch=2, dtype=torch.float32, seed=0):
    """Of an operator; all real tensors but usage and running state require a gradient."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape, scale=0.5):
        return (scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).to(dtype).requires_grad_()

    heads, width, slots, units, steps = 2, 3, 7, 4, 3
    usage = torch.rand(batch, slots, generator=generator).argsort(dim=1).to(dtype)
    reading = draw(batch, heads, slots).softmax(dim=-1).detach().requires_grad_()
    memory = draw(batch, width, slots), reading, usage
    if name == "conv_lstm":
        return draw(steps, batch, 8, 5, 4), draw(8, 2, 3, 3), draw(batch, 2, 5, 4), draw(batch, 2, 5, 4)
    if name == "zero_state_gates":
        return (draw(batch, 5, 4, 6),)
    if name == "batch_norm":
        return draw(batch, 5, 4, 6), draw(6), draw(6)
    if name.startswith("access"):
        of_their_own = (draw(batch, heads, width), True) if "values" in name else (None, False)  # values, slots
        return draw(batch, heads, width), draw(batch, heads), *memory, 0.9, 2.0, *of_their_own
    if name.startswith("generators"):
        size, sign, gates = draw(steps, 5).detach(), draw(steps, 5).detach(), 4 * units
        if name == "generators.lstm":
            return size, sign, draw(gates, 2), draw(gates), draw(gates, units), draw(1, units), draw(1)
        return size[0], sign[0], draw(units, 2), draw(units), draw(units, units), draw(units), draw(1, units), draw(1)
    if name == "delta_rule":  # over a mark
        keys, rates = (draw(18, batch, width) for _ in range(2)), draw(18, batch, scale=0.2)
        return *keys, draw(18, batch, units), rates, draw(batch, width, units)
    if name == "self_reference":
        return draw(18, batch, units), draw(batch, units, 3 * units + 4)
    told = heads * ((2 if "values" in name else 1) * width + 1)
    weights = draw(4 * units, units + heads * width), draw(told, units), draw(told)
    state = draw(batch, units), draw(batch, units), draw(batch, heads * width)
    return draw(steps, batch, 4 * units), *weights, *state, *memory, 0.9, 2.0, "values" in name


def tensors(value):
    return [each for each in (value if isinstance(value, tuple | list) else [value]) if isinstance(each, torch.Tensor)]


def with_gradients(operator, inputs):
    """What comes out, and the gradient of a weighted sum of it."""
    outputs = tensors(operator(*inputs))
    loss = sum(
        (each * torch.linspace(-1, 1, each.numel(), dtype=each.dtype).view_as(each)).sum()
        for each in outputs
        if each.requires_grad
    )
    return outputs, torch.autograd.grad(loss, [each for each in tensors(inputs) if each.requires_grad])


def assert_close(found, expected, tolerance=1e-5):
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert (one - other).norm() <= tolerance * (1 + other.norm())


@compiled
@pytest.mark.parametrize("name", PUBLIC)
def test_torchs_own_checks_of_an_operator(name):
    """Its schema, its fake, its gradient, and both in what `torch.compile` makes of it."""
    inputs = arguments(name)
    torch.library.opcheck(
        PUBLIC[name].operator, inputs, test_utils=("test_schema", "test_faketensor", "test_aot_dispatch_static")
    )
    with torch.no_grad():
        plain = tuple(each.detach() if isinstance(each, torch.Tensor) else each for each in inputs)
        kept = FORWARD[name](*plain)
        torch.library.opcheck(FORWARD[name].operator, plain, test_utils=("test_schema", "test_faketensor"))
    assert all(each.isfinite().all() for each in tensors(kept))


@compiled
@pytest.mark.parametrize("name", PUBLIC)
def test_the_formula_that_transforms_use_is_the_same(name):
    formulas = {
        "conv_lstm": conv_lstm.conv_lstm_reference,
        "zero_state_gates": lambda a: zero_state.zero_state_gates_reference(a.movedim(-1, 1)).movedim(1, -1),
        "generators.lstm": generators.lstm_reference,
        "generators.mlp": generators.mlp_reference,
    }
    formula = formulas.get(name) or MODULES[name]._formula
    inputs = arguments(name)
    one, other = (with_gradients(operation, inputs) for operation in (PUBLIC[name], formula))
    for found, expected in zip(one, other, strict=True):
        assert_close(found, expected, 2e-4)


@compiled
@pytest.mark.parametrize("name", PUBLIC)
def test_transforms_of_functions(name):
    """vmap over operators and over their gradients, forward mode, and the gradient of a gradient, by `torch.func`."""
    inputs = arguments(name)
    (outputs, gradients), operator = with_gradients(PUBLIC[name], inputs), PUBLIC[name]
    which = tuple(n for n, each in enumerate(inputs) if isinstance(each, torch.Tensor) and each.requires_grad)
    inputs = [each.detach() if isinstance(each, torch.Tensor) else each for each in inputs]

    def loss(*inputs):
        return sum(
            (each * torch.linspace(-1, 1, each.numel()).view_as(each)).sum() for each in tensors(operator(*inputs))
        )

    if not name.startswith(("access", "memory_network", "batch_norm")):  # these have outputs without a gradient
        assert_close(torch.func.grad(loss, which)(*inputs), gradients, 2e-4)
    pair = [torch.stack([each, 2 * each]) if n in which else each for n, each in enumerate(inputs)]
    axes = tuple(0 if n in which else None for n in range(len(inputs)))
    both = tensors(torch.vmap(operator, in_dims=axes)(*pair))
    assert_close([each[0] for each in both], outputs)
    doubled = [2 * each if n in which else each for n, each in enumerate(inputs)]
    assert_close([each[1] for each in both], tensors(operator(*doubled)))
    first = which[0]

    def of_first(value):
        return tensors(operator(*inputs[:first], value, *inputs[first + 1 :]))[0].square().sum()

    value, step = inputs[first], torch.ones_like(inputs[first]) / inputs[first].numel() ** 0.5
    _, along = torch.func.jvp(of_first, (value,), (step,))
    slope = torch.func.grad(of_first)(value)
    torch.testing.assert_close(along, (slope * step).sum(), rtol=1e-3, atol=1e-4)
    twice = torch.func.grad(lambda value: (torch.func.grad(of_first)(value) * step).sum())(value)
    expected = (torch.func.grad(of_first)(value + 1e-2 * step) - torch.func.grad(of_first)(value - 1e-2 * step)) / 2e-2
    assert (twice - expected).norm() <= 0.02 * (1 + expected.norm())


@compiled
@pytest.mark.parametrize("name", PUBLIC)
def test_a_gradient_of_a_gradient_and_forward_mode_are_refused_by_autograd(name):
    inputs = arguments(name)
    output = tensors(PUBLIC[name](*inputs))[0]
    n = next(n for n, each in enumerate(inputs) if each.requires_grad)
    with pytest.raises(UserError, match="once_differentiable"):
        torch.autograd.grad(output.square().sum(), inputs[n], create_graph=True)
    with pytest.raises(UserError, match="once_differentiable"):  # nor is it left out where there is another way
        loss = tensors(PUBLIC[name](*inputs))[0].square().sum() + inputs[n].square().sum()
        torch.autograd.grad(loss, inputs[n], create_graph=True)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(inputs[n].detach(), torch.ones_like(inputs[n]))
        with pytest.raises(RuntimeError, match="jvp"):
            PUBLIC[name](*inputs[:n], dual, *inputs[n + 1 :])


@compiled
@pytest.mark.parametrize("name", PUBLIC)
def test_inputs_in_any_layout_and_gradients_of_some(name):
    """In pieces, with an offset, expanded: as contiguous ones; and where one input alone requires a gradient."""
    inputs = arguments(name)
    outputs, gradients = with_gradients(PUBLIC[name], inputs)

    def scattered(each):
        if not isinstance(each, torch.Tensor):
            return each
        wide = torch.stack([torch.full_like(each, 7.0), each.detach(), torch.full_like(each, 9.0)], dim=-1)
        return wide[..., 1].requires_grad_(each.requires_grad)

    found, of_scattered = with_gradients(PUBLIC[name], [scattered(each) for each in inputs])
    assert_close((*found, *of_scattered), (*outputs, *gradients))
    real = [n for n, each in enumerate(inputs) if isinstance(each, torch.Tensor) and each.requires_grad]
    for n, expected in zip(real, gradients, strict=True):
        alone = [each.detach().requires_grad_(m == n) if m in real else each for m, each in enumerate(inputs)]
        assert_close(with_gradients(PUBLIC[name], alone)[1], [expected])
    expanded = [each.detach()[:1].expand_as(each) if n == real[0] else each for n, each in enumerate(inputs)]
    whole = [each.contiguous() if isinstance(each, torch.Tensor) else each for each in expanded]
    for one, other in zip(tensors(PUBLIC[name](*expanded)), tensors(PUBLIC[name](*whole)), strict=True):
        assert torch.equal(one, other)


@compiled
@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_kept_for_the_backward_pass_may_not_be_altered(name):
    inputs = arguments(name)
    output = tensors(PUBLIC[name](*inputs))[0]
    altered = inputs[0] if name.startswith(("zero_state_gates", "generators")) else inputs[1]
    with torch.no_grad():
        altered += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


@compiled
@pytest.mark.parametrize("name", PUBLIC)
def test_other_threads_modes_and_types_give_the_same(name):
    inputs = arguments(name)
    outputs, gradients = with_gradients(PUBLIC[name], inputs)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(with_gradients(PUBLIC[name], copy.deepcopy(inputs))))
        for _ in range(3)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for found, of_found in results:
        assert all(map(torch.equal, found, outputs)) and all(map(torch.equal, of_found, gradients))
    with torch.inference_mode():
        assert all(map(torch.equal, tensors(PUBLIC[name](*inputs)), outputs))
    with torch.autocast("cpu", torch.bfloat16):  # its products inside are not those of bfloat16
        found, of_found = with_gradients(PUBLIC[name], inputs)
    assert all(map(torch.equal, found, outputs)) and all(map(torch.equal, of_found, gradients))
    with FakeTensorMode() as mode:
        fakes = [mode.from_tensor(each) if isinstance(each, torch.Tensor) else each for each in inputs]
        found, of_found = with_gradients(PUBLIC[name], fakes)
    for one, other in zip((*found, *of_found), (*outputs, *gradients), strict=True):
        assert (one.shape, one.dtype, one.stride()) == (other.shape, other.dtype, other.stride())
    if name.startswith(("conv_lstm", "access", "memory_network")):
        found, of_found = with_gradients(PUBLIC[name], arguments(name, dtype=torch.float64))
        assert found[0].dtype == torch.float64
        assert_close([each.float() for each in (*found, *of_found)], (*outputs, *gradients), 1e-4)


@compiled
@pytest.mark.parametrize("name", PUBLIC)
def test_autocast_takes_inputs_of_two_types(name):
    """As a layer below that multiplied in fewer bits leaves them."""
    inputs = arguments(name)
    low = [inputs[0].detach().bfloat16(), *inputs[1:]]
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        found = tensors(PUBLIC[name](*low))
    for one, other in zip(found, tensors(PUBLIC[name](*inputs)), strict=True):
        assert (one - other).float().norm() <= 0.03 * (1 + other.float().norm())


@compiled
@pytest.mark.parametrize("name", [each for each in PUBLIC if not each.startswith(("batch_norm", "generators"))])
def test_no_episode_at_all(name):
    outputs, gradients = with_gradients(PUBLIC[name], arguments(name, batch=0))
    assert any(each.numel() == 0 for each in outputs) and all(each.isfinite().all() for each in gradients)


@compiled
@pytest.mark.parametrize("name", PUBLIC)
@pytest.mark.parametrize(
    "alter",
    [
        lambda each: each.int(),
        lambda each: each.to(torch.complex64),
        lambda each: each[..., :-1],
        lambda each: each[None],
        lambda each: each.to_sparse(),
        lambda each: each.half(),
        lambda each: each.to("meta"),
    ],
    ids=["int", "complex", "a column less", "an axis more", "sparse", "half", "no memory"],
)
def test_what_does_not_go_together_is_refused_in_one_line(name, alter):
    """Every tensor in turn. What need not be refused has the value of its formula, or that of the right type."""
    inputs = [each.detach() if isinstance(each, torch.Tensor) else each for each in arguments(name)]
    for n in (n for n, each in enumerate(inputs) if isinstance(each, torch.Tensor)):
        altered = alter(inputs[n])
        try:
            outputs = tensors(PUBLIC[name](*inputs[:n], altered, *inputs[n + 1 :]))
        except (UserError, NotImplementedError, RuntimeError) as error:
            if isinstance(error, UserError):
                assert "\n" not in str(error) and str(error).startswith(name.partition(",")[0])
            continue
        if altered.device.type == "meta":
            assert all(each.device.type == "meta" for each in outputs)
            continue
        shape_is_free = name in ("zero_state_gates", "batch_norm") and n == 0
        assert altered.dtype.is_floating_point and (altered.shape == inputs[n].shape or shape_is_free)
        if altered.shape == inputs[n].shape:
            assert_close([each.float() for each in outputs], tensors(PUBLIC[name](*inputs)), 0.01)


@compiled
@pytest.mark.parametrize("network", ["lstm", "mlp"])
def test_no_gradient_of_what_a_generator_reads_is_lost(network):
    size, *rest = arguments(f"generators.{network}")
    with pytest.raises(UserError, match="generators: a gradient of what is read is asked for"):
        PUBLIC[f"generators.{network}"](size.requires_grad_(), *rest)
    assert torch.autograd.grad(getattr(generators, network)(size, *rest).sum(), size)[0].any()


def test_without_steps_or_slots_there_is_a_line():
    u, *rest = arguments("conv_lstm")
    with pytest.raises(UserError, match="conv_lstm: .* at least one step"):
        conv_lstm.conv_lstm(u[:0], *rest)
    u, *rest = arguments("memory_network")
    with pytest.raises(UserError, match="memory_network: .* at least one step"):
        PUBLIC["memory_network"](u[:0], *rest)
    keys, gates, slots, reading, usage, *factors = arguments("access")
    with pytest.raises(UserError, match="access: .* a slot a head"):
        PUBLIC["access"](keys, gates, slots[..., :1], reading[..., :1], usage[:, :1], *factors)


@compiled
@pytest.mark.parametrize("name", PUBLIC)
def test_a_plain_call_takes_no_detour_and_gives_the_same_bits(name):
    """Without gradients; what came of it is as good as what an operator returns."""
    inputs, call = arguments(name), PUBLIC[name]
    with torch.no_grad():
        assert operators._plain(inputs)  # parameters may well require one
        found, expected = tensors(call(*inputs)), tensors(call.operator(*inputs))
    assert all(map(torch.equal, found, expected)) and not any(each.requires_grad for each in found)
    assert [each.stride() for each in found] == [each.stride() for each in expected]
    (found[0] * torch.ones(1, requires_grad=True)).sum().backward()
    detached = [each.detach() if isinstance(each, torch.Tensor) else each for each in inputs]
    assert operators._plain(detached) and not operators._plain(inputs)
    assert all(map(torch.equal, tensors(call(*detached)), expected))
    with torch.inference_mode():
        assert operators._plain(detached) and all(each.is_inference() for each in tensors(call(*detached)))


class Other(torch.Tensor):
    """A tensor of another class."""


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace. is deprecated:FutureWarning")
def test_whatever_torch_has_to_do_is_left_to_torch():
    plain, seen = torch.rand(2, 3), []

    def look(each):
        seen.append(operators._plain((each, None, 1.0, 2, True)))
        return each

    assert look(plain) is plain and look(nn.Parameter(plain).detach()) is not None and seen == [True, True]
    seen.clear()
    with torch.no_grad():
        for each in (
            plain.as_subclass(Other),
            torch.ones(2, 3, dtype=torch.cfloat).conj().imag,  # negative, when it is read
            plain.to("meta"),
            plain.to_sparse(),
        ):
            look(each)
        with FakeTensorMode() as mode:
            look(mode.from_tensor(plain))
            look(plain)
        for mode in (
            FlopCounterMode(display=False),
            torch.autocast("cpu", torch.bfloat16),
            torch.device("cpu"),
            forward_ad.dual_level(),
        ):
            with mode:
                look(plain)
        torch.vmap(look)(plain)
        torch.func.functionalize(look)(plain)
        torch.jit.trace(look, (plain,), check_trace=False)
        torch.fx.experimental.proxy_tensor.make_fx(look)(plain)
        torch.fx.experimental.proxy_tensor.make_fx(look, pre_dispatch=True)(plain)
    look(nn.Parameter(plain))
    look(plain * nn.Parameter(plain))
    torch.func.grad(lambda each: look(each).sum())(plain)
    assert len(seen) == 18 and not any(seen), seen


def test_channels_of_a_zero_state_are_three_gates_with_and_without_c():
    for device in ("cpu", "meta"):  # there the formula is used
        with pytest.raises(UserError, match="zero_state_gates: a is .* three gates"):
            zero_state.zero_state_gates(torch.rand(2, 7, 3, 3, device=device))


@compiled
def test_a_module_can_be_imported_again():
    import importlib

    before = zero_state._zero_state_gates
    try:
        again = importlib.reload(zero_state)
        a = arguments("zero_state_gates")[0]
        assert again._zero_state_gates is not before
        (gradient,) = torch.autograd.grad(again._zero_state_gates(a).sum(), a)
        assert gradient.abs().sum() > 0
    finally:
        importlib.reload(zero_state)
        PUBLIC["zero_state_gates"] = zero_state._zero_state_gates


@compiled
def test_what_is_not_a_number_stays_so_in_bfloat16():
    """Even one whose digits rounding would carry over into a number."""
    nan = torch.tensor([0x7FFFFFFF], dtype=torch.int32).view(torch.float32)
    c = nan.repeat(1, 1)
    product = torch.bfloat16
    u, a = torch.zeros(1, 4, dtype=product), torch.zeros(1, 4, dtype=product)
    c_next, h_next = torch.zeros(1, 1), torch.zeros(1, 1, dtype=product)
    function = native.library("gates", product).forward
    single = torch.float32
    arrays = (u, product, 4), (u.clone(), product, 4), (c, single, 1), (a, product, 4), (c_next, single, 1)
    native.call(function, (1, 1), *arrays, (h_next, product, 1))
    assert c_next.isnan().all() and h_next.isnan().all()
