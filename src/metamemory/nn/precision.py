"""Which type convolutions multiply in."""

from pathlib import Path

import torch

from metamemory.errors import UserError


def product_type(precision: str) -> torch.dtype:
    """ "float32", "bfloat16", or "auto": bfloat16 where the processor or GPU multiplies it natively.

    Elsewhere torch would emulate it, more slowly than float32.
    """
    if precision == "auto":
        return torch.bfloat16 if _native_bfloat16() else torch.float32
    if precision not in ("float32", "bfloat16"):
        raise UserError(f"precision is {precision!r} and must be auto, float32 or bfloat16")
    return getattr(torch, precision)


def _native_bfloat16() -> bool:
    if torch.cuda.is_available():
        return torch.cuda.get_device_capability() >= (8, 0)
    cpuinfo = Path("/proc/cpuinfo")  # torch has no public way to ask
    flags = cpuinfo.read_text() if cpuinfo.exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags
