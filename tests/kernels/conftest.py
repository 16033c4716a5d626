import platform
import subprocess

import pytest

from metamemory.kernels import native

X86 = platform.machine().lower() in ("x86_64", "amd64")


@pytest.fixture(params=["as wide as the processor's", "no AVX-512", "no AVX"])
def vectors(request, monkeypatch):
    """Kernels compiled for vectors of 16, 8 and 4 numbers, as far as the processor has them."""
    options = {"no AVX-512": ("-mno-avx512f",), "no AVX": ("-mno-avx",)}.get(request.param, ())
    if options:
        command = native.compiler()
        if not X86 or command is None:
            pytest.skip("narrower vectors are asked for by options of compilers for x86")
        if subprocess.run([command, *options, "-E", "-x", "c", "-"], input=b"", capture_output=True).returncode:
            pytest.skip(f"the compiler does not know {' '.join(options)}")
    native.library.cache_clear()
    monkeypatch.setattr(native, "FLAGS", (*native.FLAGS, *options))
    yield
    native.library.cache_clear()
