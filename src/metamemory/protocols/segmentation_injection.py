"""Where masks are shown to a CL U-Net: to the ninth layer, as in Table 4 of Babu et al. 2021, or nowhere, the control.

The protocol, and so the conduct, is that of segmentation; what varies is the model's `inject`.
"""

from metamemory.protocols.segmentation import conduct

__all__ = ["conduct"]
