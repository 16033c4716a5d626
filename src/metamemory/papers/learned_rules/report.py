"""The report's sections of learned rules, in the order of the book."""

from functools import partial

from metamemory.papers import Section, claims_of
from metamemory.papers.learned_rules import self_reference

SECTIONS = (
    *(
        Section(f"Two tasks in a row, {' and '.join(names)}", partial(self_reference.table, setting))
        for setting, names in self_reference.SETTINGS.items()
    ),
    Section("What is claimed of weights that write themselves", claims_of(self_reference)),
)
