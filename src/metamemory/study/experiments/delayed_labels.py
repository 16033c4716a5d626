"""Labels that come later than one step: section 4.2 and Table 3 of Babu et al. 2021.

The protocol, and so the conduct, is that of online few-shot learning; what varies is the task's `delay`, and whether
the curriculum begins at a delay of 1.
"""

from metamemory.study.experiments.online_few_shot import conduct

__all__ = ["conduct"]
