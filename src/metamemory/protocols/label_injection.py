"""Where labels are shown to a CL+LSTM: Table 2 of Babu et al. 2021, and the places beyond it.

The protocol, and so the conduct, is that of online few-shot learning; what varies is the model's `inject`.
"""

from metamemory.protocols.online_few_shot import conduct

__all__ = ["conduct"]
