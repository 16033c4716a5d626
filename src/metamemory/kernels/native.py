"""The C sources beside the Python ones, compiled on first use for the processor at hand; and the one place where the
addresses of tensors are taken."""

import atexit
import contextlib
import ctypes
import functools
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from metamemory.errors import UserError
from metamemory.kernels.operators import described

FOLDER = Path(__file__).parent
FLAGS = ("-std=gnu11", "-O3", "-march=native", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math")
FAULTS = {
    1: "no memory left for {}; make the batch or the model smaller",
    2: "{} was given the number of a slot that the memory does not have",
}
USER = getattr(os, "geteuid", int)()  # 0 where there is no such thing
Array = tuple[Tensor | None, torch.dtype, int]  # a tensor, and the type and number of elements that it must have


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


def available(name: str, product: torch.dtype, **constants: int) -> bool:
    """Whether there is such a `library`; `torch.compile` asks once."""
    return library(name, product, **constants) is not None


available._dynamo_marked_constant = True  # as by torch.compiler.assume_constant_result, which loads the compiler: 2 s


def compiler() -> str | None:
    """The C compiler: `CC`, else cc."""
    return shutil.which(os.environ.get("CC") or "cc")


def call(function: ctypes._CFuncPtr, numbers: tuple[int | float, ...], *arrays: Array) -> None:
    """Call a C function with numbers, as long or double, and the addresses of tensors on the CPU.

    Raises:
        UserError: a tensor is not what it must be; or the function returns another number than 0 (`FAULTS`).
    """
    if function.argtypes is None:
        kinds = {int: ctypes.c_long, float: ctypes.c_double}
        function.argtypes = [*(kinds[type(each)] for each in numbers), *[ctypes.c_void_p] * len(arrays)]
    addresses = [None if each[0] is None else each[0].data_ptr() for each in checked(function.__name__, "cpu", arrays)]
    if fault := function(*numbers, *addresses):
        raise UserError(f"kernels: {FAULTS[fault].format(function.__name__)}")


def checked(name: str, device: str, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
    """The same arrays, if each is as it must be, whole and in one piece on a device of this type.

    Raises:
        UserError: one is not; it is described, and the function called by its name.
    """
    for tensor, dtype, count in arrays:
        if tensor is not None and not (
            tensor.dtype is dtype
            and tensor.numel() == count
            and tensor.is_contiguous()
            and tensor.device.type == device
            and type(tensor) in (Tensor, nn.Parameter)
        ):
            found = f"{described(tensor)}, strides {tensor.stride()}, a {type(tensor).__name__}"
            wanted = f"{count} numbers of {str(dtype).removeprefix('torch.')} on {device}, contiguous, a plain Tensor"
            raise UserError(f"kernels: {name} was given {found}; it takes {wanted}")
    return arrays


def load(source: Path, *options: str) -> ctypes.CDLL | None:
    """The library compiled from a C file, or None where no compiler can.

    Compiled once for each text, compiler and kind of processor, into `metamemory` in the user's cache folder
    (`XDG_CACHE_HOME`, else `~/.cache`), or into another place where that cannot be written, or others can (`_places`).
    With OpenMP where the compiler has it; as torch has then loaded its own OpenMP, both share one team of threads, and
    `torch.set_num_threads` holds for both.
    """
    command = compiler()
    if command is None:
        return None
    texts = [each.read_text(encoding="utf-8") for each in (source, *sorted(source.parent.glob("*.h")))]
    for flags in ((*FLAGS, "-fopenmp", *options), (*FLAGS, *options)):
        # what the compiler predefines tells its version and, with -march=native, the processor's instructions
        target = subprocess.run([command, *flags, "-E", "-dM", "-x", "c", os.devnull], capture_output=True)
        if target.returncode == 0:
            known = "\n".join([*texts, *flags]).encode() + target.stdout
            key = f"{source.stem}-{hashlib.sha256(known).hexdigest()[:16]}"
            compiled = _compiled([command, *flags, str(source), "-lm"], key)
            if compiled is not None:
                return compiled
    return None


def _compiled(command: list[str], key: str) -> ctypes.CDLL | None:
    """From the first place that has it, or takes it. A library's name ends with the digest of its content: one that was
    cut short, or altered, is compiled again."""
    content = None
    for place in _places():
        try:
            for path in place.glob(f"{key}-*.so"):
                if path.stem == _name(key, path.read_bytes()) and _own(path.lstat()):
                    return ctypes.CDLL(str(path))
                path.unlink()
            content = _built(command) if content is None else content
            if content is None:
                return None
            return ctypes.CDLL(str(_written(place / f"{_name(key, content)}.so", content)))
        except OSError:  # no room, no permission, a folder from which nothing may be executed
            continue
    return None


def _name(key: str, content: bytes) -> str:
    return f"{key}-{hashlib.sha256(content).hexdigest()[:32]}"


def _written(path: Path, content: bytes) -> Path:
    """Written at once, for runs that start side by side."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as fresh:
        try:
            fresh.write(content)
            fresh.close()
            os.replace(fresh.name, path)
        except OSError:
            os.unlink(fresh.name)
            raise
    return path


def _built(command: list[str]) -> bytes | None:
    """What the compiler makes, or None where it fails."""
    with tempfile.TemporaryDirectory(prefix="metamemory-") as folder:
        fresh = Path(folder) / "fresh.so"
        done = subprocess.run([*command, "-o", str(fresh)], capture_output=True)
        return None if done.returncode else fresh.read_bytes()


def _places() -> Iterator[Path]:
    """Folders for compiled libraries, best first: the user's cache; one for this user beside other temporary files; one
    for this process. One that others could write to is passed over, and that is said once."""
    wanted = map(Path, map(os.path.expanduser, (os.environ.get("XDG_CACHE_HOME") or "", "~/.cache")))
    chosen = [each / "metamemory" for each in wanted if each.is_absolute()][:1]  # an unknown user has no home
    with contextlib.suppress(FileNotFoundError):  # no folder for temporary files can be written
        chosen.append(Path(tempfile.gettempdir()) / f"metamemory-{USER}")
    for place in chosen:
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            stranger = _open_to_others(place.resolve())
        except OSError:
            continue
        if stranger is None:
            yield place
        else:
            _say(f"kernels: {place} is not used, as others can write to {stranger}; chmod go-w mends that")
    try:
        yield _of_this_process()
    except OSError:
        return


def _open_to_others(place: Path) -> Path | None:
    """The folder, of this one and those above it, that somebody else owns or can write to. In one with the sticky bit,
    as /tmp has, others can add files but not replace them; that will do for those above."""
    for folder in (place, *place.parents):
        status = folder.stat()
        sticky = status.st_mode & stat.S_ISVTX and folder != place
        if not _own(status) and not (sticky and status.st_uid == 0):
            return folder
    return None


def _own(status: os.stat_result) -> bool:
    """Whether only this user, or root, can write."""
    return status.st_uid in (0, USER) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@functools.cache
def _of_this_process() -> Path:
    """Removed when the process ends."""
    folder = tempfile.mkdtemp(prefix="metamemory-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@functools.cache
def _say(text: str) -> None:
    print(text, file=sys.stderr)
