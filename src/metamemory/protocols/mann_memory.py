"""How much memory for how many classes, and how fast usage should fade: beyond Santoro et al. 2016.

The protocol, and so the conduct, is that of `mann_classification`; what varies is the model's `slots` and `decay`.
"""

from metamemory.protocols.binding import conduct

__all__ = ["conduct"]
