"""Which type convolutions multiply in."""

from pathlib import Path

import torch
from torch import nn

from metamemory.errors import UserError

CPUINFO = Path("/proc/cpuinfo")  # of Linux; torch has no public way to ask


def product_type(precision: str) -> torch.dtype:
    """ "float32", "bfloat16", or "auto": bfloat16 where the processor or GPU multiplies it faster than float32.

    Elsewhere torch would emulate it, or convert numbers back and forth for nothing.

    Raises:
        UserError: it is none of the three.
    """
    if precision == "auto":
        return torch.bfloat16 if _fast_bfloat16() else torch.float32
    if precision not in ("float32", "bfloat16"):
        raise UserError(f"precision is {precision!r} and must be auto, float32 or bfloat16")
    return getattr(torch, precision)


def _fast_bfloat16() -> bool:
    """By what the hardware is, not by a measurement: a run that is resumed must find the same answer.

    Intel's vector unit does as many bfloat16 products in a cycle as float32 ones, AMD's twice as many; the matrix unit
    (AMX) is Intel's alone, and faster by far.
    """
    if torch.cuda.is_available():
        return torch.cuda.get_device_capability() >= (8, 0)
    about = CPUINFO.read_text(encoding="utf-8") if CPUINFO.exists() else ""
    return "amx_bf16" in about or ("avx512_bf16" in about and "AuthenticAMD" in about)


def multiply_in_float32(module: nn.Module) -> nn.Module:
    """Let all layers of a module multiply in float32, whatever it was made with."""
    for each in module.modules():
        if isinstance(getattr(each, "precision", None), torch.dtype):
            each.precision = torch.float32
    return module
