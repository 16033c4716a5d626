"""Freed memory stays with the process."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from metamemory.kernels.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(size) for size in (10_000_000, 3_000_000, 8_000_000)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(max(faults() for _ in range(8)))
keep_freed_memory()
print(min(faults() for _ in range(8)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc is not glibc's")
def test_pages_are_not_cleared_anew():
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True, encoding="utf-8")
    before, after = map(int, done.stdout.split())
    assert before > 100 > after
