"""A run of several threads beside other processes: which threads are bound, and that they are."""

import json
import os
import subprocess
import sys

import pytest

from metamemory.study import neighbours
from metamemory.study.neighbours import MOST_THREADS, bind_threads

WHERE_THREADS_ARE = """
import json, os, sys
from metamemory.study.neighbours import bind_threads

if sys.argv[1] == "bound":
    bind_threads()
import torch
from torch.nn import functional as fn

torch.manual_seed(0)
x, weight = torch.rand(32, 8, 14, 14), torch.rand(16, 8, 3, 3, requires_grad=True)
gradient = torch.autograd.grad(fn.conv2d(x, weight, padding=1).tanh().square().sum(), weight)[0]
masks = [sorted(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")]
print(json.dumps({"alone": [mask for mask in masks if len(mask) == 1], "gradient": gradient.flatten().tolist()}))
"""


@pytest.mark.parametrize(
    ("processors", "told", "bound"),
    [
        (2, {}, True),
        (MOST_THREADS, {"HOME": "/"}, True),
        (1, {}, False),
        (MOST_THREADS + 1, {}, False),
        (2, {"OMP_NUM_THREADS": "1"}, False),
        (2, {"GOMP_SPINCOUNT": "1000"}, False),
        (2, {"OMP_WAIT_POLICY": "passive"}, False),
    ],
)
def test_threads_are_bound_only_where_a_run_takes_all_processors(processors, told, bound, monkeypatch):
    for each in ("granted", "usable"):
        monkeypatch.setattr(neighbours, each, lambda: processors)
    environment = dict(told)
    bind_threads(environment)
    assert environment == ({**told, "OMP_PROC_BIND": "true"} if bound else told)


def test_threads_are_not_bound_where_a_container_keeps_processors_from_a_run(monkeypatch):
    monkeypatch.setattr(neighbours, "granted", lambda: MOST_THREADS)
    monkeypatch.setattr(neighbours, "usable", lambda: 2)
    environment = {}
    bind_threads(environment)
    assert environment == {}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells where threads are")
def test_each_thread_has_a_processor_of_its_own_and_bits_stay():
    cores = neighbours.usable()
    if not 1 < cores == neighbours.granted() <= MOST_THREADS:
        pytest.skip(f"threads are not bound on {cores} processors")
    told = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
    found = {}
    for how in ("bound", "as it is"):
        command = [sys.executable, "-c", WHERE_THREADS_ARE, how]
        found[how] = json.loads(
            subprocess.run(command, env=told, check=True, capture_output=True, text=True, encoding="utf-8").stdout
        )
    assert sorted(found["bound"]["alone"]) == [[each] for each in sorted(os.sched_getaffinity(0))]
    assert found["as it is"]["alone"] == []
    assert found["bound"]["gradient"] == found["as it is"]["gradient"]
