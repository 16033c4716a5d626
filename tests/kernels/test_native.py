"""What the C sources do not do: take room on the stack that a user decides about, or go on without memory."""

import pwd
import subprocess
import sys
import tempfile

import pytest
import torch
from torch._subclasses import FakeTensorMode

from metamemory.errors import UserError
from metamemory.kernels import least_recently_used, native
from metamemory.kernels.least_recently_used import Memory, access, access_reference

SOURCES = sorted(native.FOLDER.glob("*.c"))
CONSTANTS = ("-DHEADS=3", "-DWIDTH=5", "-DVALUES=0", "-DOWN_SLOTS=0")
DELTA = ("-DKEYS=3", "-DLONG=5")
OF_SOURCE = {
    "generators": ("-DHIDDEN=4",),
    "delta_rule": DELTA,
    "self_reference": DELTA[:1],
    "synapses": ("-DUNITS=4",),
}
OTHER_FORMS = [  # values, slots of their own
    (native.FOLDER / "least_recently_used.c", (*CONSTANTS[:2], f"-DVALUES={values}", f"-DOWN_SLOTS={own}"))
    for values, own in ((1, 0), (0, 1), (1, 1))
]
compiled = pytest.mark.skipif(native.compiler() is None, reason="there is no C compiler")


@compiled
@pytest.mark.parametrize(
    ("source", "constants"),
    [*((source, OF_SOURCE.get(source.stem, CONSTANTS)) for source in SOURCES), *OTHER_FORMS],
    ids=lambda value: getattr(value, "stem", None),
)
def test_no_array_on_the_stack_has_a_size_that_is_not_constant(source, constants):
    command = [native.compiler(), "-std=gnu11", "-Werror=vla", "-Wall", "-Werror", "-Wno-unknown-pragmas"]
    command += ["-Wno-unused-function", "-Wno-psabi", "-fsyntax-only"]
    command += [*constants, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr


def random_access(batch, heads, width, slots):
    generator = torch.Generator().manual_seed(0)
    keys, gates = (torch.rand(*shape, generator=generator) for shape in ((batch, heads, width), (batch, heads)))
    shapes = (batch, width, slots), (batch, heads, slots), (batch, slots)
    return keys, gates, Memory(*(torch.rand(*shape, generator=generator) for shape in shapes))


@pytest.mark.parametrize(
    ("heads", "slots"),
    [(1, 3_000_000), (least_recently_used.MOST_HEADS, 70), (least_recently_used.MOST_HEADS + 1, 70)],
    ids=["more slots than a stack holds", "the most heads in C", "one head more"],
)
def test_a_memory_of_any_size_is_that_of_the_formulas(heads, slots):
    keys, gates, memory = random_access(1, heads, 2, slots)
    reads, after = access(keys, gates, memory, 0.9, 2.0)
    expected, reference, _ = access_reference(keys, gates, memory, 0.9, 2.0)
    torch.testing.assert_close(reads, expected, rtol=1e-3, atol=1e-4)
    for one, other in zip(after, reference, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@compiled
@pytest.mark.parametrize(("source", "function"), [("batch_norm", "sums"), ("least_recently_used", "forward"),
                                                  ("least_recently_used", "backward")])  # fmt: skip
def test_memory_that_is_not_there_is_one_line_and_not_a_crash(tmp_path, source, function):
    """The same source, to which no memory is given."""
    broke = tmp_path / "broke.c"
    broke.write_text(
        "#include <stdlib.h>\n#define malloc(size) NULL\n#define calloc(count, size) NULL\n"
        f'#include "{native.FOLDER / source}.c"\n',
        encoding="utf-8",
    )
    call = getattr(native.load(broke, *CONSTANTS), function)
    array = torch.zeros(64), torch.float32, 64
    numbers = {"sums": (2, 3), "forward": (1, 4, 0.9, 1.0), "backward": (1, 4, 1.0)}[function]
    arrays = {"sums": 4, "forward": 13, "backward": 15}[function]
    with pytest.raises(UserError, match=f"kernels: no memory left for {function}; make the batch or the model smaller"):
        native.call(call, numbers, *[array] * arrays)


REFUSED = {
    "in pieces": lambda: torch.zeros(4, 4).T,
    "another type": lambda: torch.zeros(4, 4, dtype=torch.float64),
    "half of it": lambda: torch.zeros(4, 2),
    "expanded": lambda: torch.zeros(1, 4).expand(4, 4),
    "no memory behind it": lambda: torch.zeros(4, 4, device="meta"),
    "a fake": lambda: FakeTensorMode().from_tensor(torch.zeros(4, 4)),
    "sparse": lambda: torch.zeros(4, 4).to_sparse(),
}


@compiled
@pytest.mark.parametrize("kind", REFUSED)
def test_no_address_is_taken_of_what_is_not_as_it_must_be(kind):
    product = torch.float32
    arrays = [(torch.zeros(4, 4), product, 16), (torch.zeros(4, 4), product, 16), (torch.zeros(4, 1), product, 4)]
    arrays += [(torch.zeros(4, 4), product, 16), (torch.zeros(4, 1), product, 4), (torch.zeros(4, 1), product, 4)]
    function = native.library("gates", product).forward
    native.call(function, (4, 1), *arrays)
    arrays[1] = REFUSED[kind](), product, 16
    with pytest.raises(UserError, match="^kernels: forward was given [^\n]*; it takes 16 numbers of float32[^\n]*$"):
        native.call(function, (4, 1), *arrays)


@compiled
@pytest.mark.parametrize("slot", [-1, 4, 2**40])
def test_a_slot_that_is_not_there_is_refused(slot):
    keys, gates, memory = random_access(2, 2, 3, 4)
    found = least_recently_used.Access(
        torch.rand_like(memory.reading), torch.rand_like(memory.usage), torch.tensor([[0, 1], [2, slot]])
    )
    gradients = [torch.zeros_like(each) for each in (keys, memory.slots, memory.reading, keys, gates)]
    with pytest.raises(UserError, match="kernels: backward was given the number of a slot that the memory does not"):
        least_recently_used.backward(keys, gates, memory, memory, found, 1.0, *gradients)


@pytest.mark.parametrize("cache", [None, "", "relative", "~/cache", "~nobody_at_all/cache"])
def test_an_unknown_user_without_a_home_has_a_cache(monkeypatch, tmp_path, cache):
    """As in a container that runs under any number."""

    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if cache is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", cache)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert next(native._places()) == tmp_path / f"metamemory-{native.USER}"
    assert [each.name for each in tmp_path.iterdir()] == [f"metamemory-{native.USER}"]


def test_kernels_are_there_without_torchs_compiler():
    """It takes two seconds to load, at every command."""
    code = "import sys, metamemory.kernels.batch_norm, metamemory.nn.conv_lstm; print('torch._dynamo' in sys.modules)"
    asked = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert asked.stdout.strip() == b"False"
