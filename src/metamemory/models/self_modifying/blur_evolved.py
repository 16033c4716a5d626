"""BLUR whose genome a CMA-ES finds (Sandler et al. 2021, section 4.4); in all else it is `blur`."""

import functools
from typing import Any

from metamemory.models.self_modifying.blur import Blur
from metamemory.models.self_modifying.told import Told


class BlurEvolved(Told, Blur):
    """Bidirectional learned update rules, for an evolution strategy.

    Args: as `Blur` has them.
    """

    title = "BLUR, by CMA-ES"

    @functools.wraps(Blur.__init__)
    def __init__(self, *given: Any, **named: Any):
        super().__init__(*given, **named)
