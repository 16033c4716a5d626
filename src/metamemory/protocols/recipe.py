"""How a CL+LSTM leaves the plateau of its training: its recipe, with one thing changed at a time.

The protocol, and so the conduct, is that of online few-shot learning; what varies is how it is trained.
"""

from metamemory.protocols.online_few_shot import conduct

__all__ = ["conduct"]
