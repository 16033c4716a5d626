"""The Triton gate update equals the formulas, on the CPU through Triton's interpreter.

Triton decides when it is imported whether it interprets, so the tests of this file run in a process of their own.
"""

import os
import subprocess
import sys

import pytest
import torch

from metamemory.kernels import gates

triton = pytest.importorskip("triton", reason="Triton is not made for this platform")
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

if os.environ.get("TRITON_INTERPRET") != "1":

    def test_in_the_interpreter():
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
        done = subprocess.run(
            command, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, encoding="utf-8"
        )
        assert done.returncode == 0, done.stdout

    @pytest.mark.parametrize("product", ["*fp32", "*bf16"])
    @pytest.mark.parametrize("architecture", [80, 90])
    def test_compiles_to_machine_code(product, architecture):
        """For A100 and H100; the compiler needs no GPU."""
        from metamemory.kernels import gates_triton

        types = {
            "c": "*fp32",
            "c_next": "*fp32",
            "d_c": "*fp32",
            "n_cells": "i32",
            "filters": "i32",
            "BLOCK": "constexpr",
        }
        for kernel in (gates_triton._forward, gates_triton._backward):
            signature = {name: types.get(name, product) for name in kernel.arg_names}
            source = ASTSource(kernel, signature, {"BLOCK": gates_triton.BLOCK})
            assert triton.compile(source, target=GPUTarget("cuda", architecture, 32)).asm["cubin"]

else:
    from metamemory.kernels import gates_triton

    @pytest.mark.parametrize("product", [torch.float32, torch.bfloat16], ids=str)
    @pytest.mark.parametrize("rows, filters", [(37, 48), (300, 16), (1, 1)])
    def test_equals_the_formulas(product, rows, filters):
        generator = torch.Generator().manual_seed(0)

        def draw(*shape, dtype=torch.float32):
            # few binary digits: a sum of two is exact in bfloat16 too, which the interpreter cuts off, not rounds
            return (torch.randint(-24, 25, shape, generator=generator) / 8).to(dtype)

        u, hidden = draw(rows, 4 * filters, dtype=product), draw(rows, 4 * filters, dtype=product)
        c, d_c = draw(rows, filters), draw(rows, filters)
        d_above, d_next = draw(rows, filters, dtype=product), draw(rows, filters, dtype=product)
        results = []
        for kernels in (
            (gates_triton.forward, gates_triton.backward),
            (gates.forward_reference, gates.backward_reference),
        ):
            a, c_next, h_next, d = torch.empty_like(u), torch.empty_like(c), torch.empty_like(d_above), d_c.clone()
            kernels[0](u, hidden, c, a, c_next, h_next)
            d_a = torch.empty_like(a)
            kernels[1](a, c, c_next, d_above, d_next, d, d_a)
            results.append((a, c_next, h_next, d, d_a))
        unit = 1e-5 if product == torch.float32 else 2**-7
        for value, expected in zip(*results, strict=True):
            torch.testing.assert_close(value.float(), expected.float(), rtol=unit, atol=1e-5)
