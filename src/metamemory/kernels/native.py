"""The C sources beside the Python ones, compiled on first use for the processor at hand."""

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from metamemory.errors import UserError

FOLDER = Path(__file__).parent
FLAGS = ("-std=gnu11", "-O3", "-march=native", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math")


@functools.cache
def library(name: str, product: torch.dtype, **constants: int) -> ctypes.CDLL | None:
    """`name`.c compiled for maps of type `product`, or None where that cannot be: callers have a slower way.

    None where there is no C compiler, and for types other than float32 and bfloat16. Constants are defined for the
    compiler, which makes much better code of a loop if it knows how often it turns.
    """
    options = {torch.float32: (), torch.bfloat16: ("-DBFLOAT16",)}
    if product not in options:
        return None
    return load(FOLDER / f"{name}.c", *options[product], *(f"-D{key}={value}" for key, value in constants.items()))


def compiler() -> str | None:
    """The C compiler: `CC`, else cc."""
    return shutil.which(os.environ.get("CC") or "cc")


def call(function: ctypes._CFuncPtr, *arguments: int | float | Tensor | None) -> None:
    """Call a C function; numbers are passed as long or double, contiguous tensors on the CPU by their address.

    Raises:
        UserError: it returns another number than 0: there is no memory for what it needs besides.
    """
    if function(*(_plain(each) for each in arguments)):
        raise UserError(f"kernels: no memory left for {function.__name__}; make the batch or the model smaller")


def load(source: Path, *options: str) -> ctypes.CDLL | None:
    """The library compiled from a C file, or None where no compiler can.

    Compiled once for each text, compiler and kind of processor, into `metamemory` in the user's cache folder
    (`XDG_CACHE_HOME`, else `~/.cache`). With OpenMP where the compiler has it; as torch has then loaded its own
    OpenMP, both share one team of threads, and `torch.set_num_threads` holds for both.
    """
    command = compiler()
    if command is None:
        return None
    texts = [each.read_text(encoding="utf-8") for each in (source, *sorted(source.parent.glob("*.h")))]
    for flags in ((*FLAGS, "-fopenmp", *options), (*FLAGS, *options)):
        # what the compiler predefines tells its version and, with -march=native, the processor's instructions
        target = subprocess.run(
            [command, *flags, "-E", "-dM", "-x", "c", os.devnull], capture_output=True, text=True, encoding="utf-8"
        )
        if target.returncode == 0:
            key = hashlib.sha256("\n".join([*texts, *flags, target.stdout]).encode()).hexdigest()[:16]
            compiled = _compiled([command, *flags, str(source), "-lm"], f"{source.stem}-{key}.so")
            if compiled is not None:
                return compiled
    return None


def _compiled(command: list[str], name: str) -> ctypes.CDLL | None:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "metamemory"
    try:
        if not (cache / name).exists():
            cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache) as folder:
                fresh = Path(folder) / name
                if subprocess.run([*command, "-o", str(fresh)], capture_output=True).returncode:
                    return None
                fresh.replace(cache / name)  # at once, for runs that start side by side
        return ctypes.CDLL(str(cache / name))
    except OSError:  # no room, no permission, a folder from which nothing may be executed
        return None


def _plain(argument: int | float | Tensor | None) -> ctypes.c_long | ctypes.c_double | ctypes.c_void_p:
    if isinstance(argument, int):
        return ctypes.c_long(argument)
    if isinstance(argument, float):
        return ctypes.c_double(argument)
    if argument is None:
        return ctypes.c_void_p(None)
    if not argument.is_contiguous():
        raise ValueError(f"a C function takes contiguous tensors, not strides {argument.stride()}")
    return ctypes.c_void_p(argument.data_ptr())
