"""Labels of five characters: Table 2 and Figure 2 (c, d) of Santoro et al. 2016.

The protocol, and so the conduct, is that of `mann_classification`; what varies is the task's labels and number of
classes.
"""

from metamemory.protocols.binding import conduct

__all__ = ["conduct"]
