"""How a run of several threads treats the other processes of its machine.

Threads of OpenMP wait for one another at every operation. Beside another busy process the system may put two threads of
a run on one processor, to leave the other to its neighbour; each then waits a whole time slice for the other, again and
again, and a run has a hundredth of its speed. Bound to a processor each, they work whenever the neighbour pauses
(`benchmarks/neighbours.py`). Results do not depend on it.
"""

import os
from collections.abc import MutableMapping

from metamemory.study.processors import granted, usable

MOST_THREADS = 8  # more do not help with maps of this size


def bind_threads(environment: MutableMapping[str, str] = os.environ) -> None:
    """Bind each thread to a processor of its own. To be called before torch is imported.

    Only where a run takes all processors: OpenMP binds to the first ones, and so the threads of two smaller runs would
    meet there. What the environment says of threads is left as it is.
    """
    told = any(name.startswith(("OMP_", "GOMP_", "KMP_")) for name in environment)
    if not told and 1 < usable() == granted() <= MOST_THREADS:
        environment["OMP_PROC_BIND"] = "true"
