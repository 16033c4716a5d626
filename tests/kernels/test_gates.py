"""The compiled gate update equals the formulas."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metamemory.kernels import gates, native

PRODUCTS = [torch.float32, torch.bfloat16]
UNIT = {torch.float32: 1e-5, torch.bfloat16: 2**-7}  # of the last place of what is stored rounded


def there_and_back(forward, backward, rows, filters, product, spread=3.0, seed=0):
    """Everything that one step and its backward pass write, from random inputs."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape, dtype=torch.float32):
        return (spread * torch.randn(*shape, generator=generator)).to(dtype)

    u, hidden, c = draw(rows, 4 * filters, dtype=product), draw(rows, 4 * filters, dtype=product), draw(rows, filters)
    d_above, d_next, d_c = draw(rows, filters, dtype=product), draw(rows, filters, dtype=product), draw(rows, filters)
    a, c_next, h_next = torch.empty_like(u), torch.empty_like(c), torch.empty_like(d_above)
    forward(u, hidden, c, a, c_next, h_next)
    d_a = torch.empty_like(a)
    backward(a, c, c_next, d_above, d_next, d_c, d_a)
    return {"a": a, "c_next": c_next, "h_next": h_next, "d_c": d_c, "d_a": d_a}


def assert_equal(written, expected, rtol=1e-5, atol=1e-5):
    for name, value in written.items():
        torch.testing.assert_close(
            value.float(), expected[name].float(), rtol=rtol, atol=atol, msg=f"{name}: {{}}".format
        )


@pytest.fixture(scope="module", params=PRODUCTS, ids=str)
def compiled(request):
    if native.library("gates", request.param) is None:
        pytest.skip("no C compiler on this machine: the formulas are used as they stand")
    return request.param


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 70), filters=st.integers(1, 70), spread=st.sampled_from([0.1, 3.0, 100.0]))
def test_c_equals_the_formulas(compiled, rows, filters, spread):
    written = there_and_back(gates.forward, gates.backward, rows, filters, compiled, spread)
    expected = there_and_back(gates.forward_reference, gates.backward_reference, rows, filters, compiled, spread)
    assert_equal(written, expected, rtol=UNIT[compiled], atol=1e-6 * (1 + spread**2))


def test_c_is_used_for_many_rows_at_once(compiled):
    written = there_and_back(gates.forward, gates.backward, 6272, 16, compiled)
    expected = there_and_back(gates.forward_reference, gates.backward_reference, 6272, 16, compiled)
    assert_equal(written, expected, rtol=UNIT[compiled], atol=1e-4)


def test_what_is_not_a_number_stays_so(compiled):
    """The guard against a loss that is not finite has to see it."""
    u, hidden = torch.full((1, 4), float("nan"), dtype=compiled), torch.zeros(1, 4, dtype=compiled)
    c_next, h_next = torch.zeros(1, 1), torch.zeros(1, 1, dtype=compiled)
    gates.forward(u, hidden, torch.zeros(1, 1), torch.empty_like(u), c_next, h_next)
    assert c_next.isnan().all() and h_next.isnan().all()


def test_without_a_compiler_the_formulas_are_used(monkeypatch, tmp_path):
    monkeypatch.setenv("CC", str(tmp_path / "none"))
    assert native.load(Path(gates.__file__).with_suffix(".c")) is None


def test_a_compiler_that_fails_is_no_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    broken = tmp_path / "broken.c"
    broken.write_text("this is not C", encoding="utf-8")
    assert native.load(broken) is None
    assert not list(tmp_path.glob("metamemory/*"))


def test_compiled_once(monkeypatch, tmp_path, compiled):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):
        assert native.load(Path(gates.__file__).with_suffix(".c")) is not None
    (library,) = tmp_path.glob("metamemory/*")
    written = library.stat().st_mtime_ns
    native.load(Path(gates.__file__).with_suffix(".c"))
    assert library.stat().st_mtime_ns == written
