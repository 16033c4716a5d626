"""The report's sections of this paper, in the order of the book."""

from functools import partial

from metamemory.papers import Section, claims_of
from metamemory.papers.santoro2016 import tables

SECTIONS = (
    Section("Five classes, one-hot labels (Santoro et al. 2016, Table 1)", tables.table_1),
    Section("Five classes, labels of five characters (Table 2)", partial(tables.table_2, "five")),
    Section("Fifteen classes, labels of five characters (Table 2)", partial(tables.table_2, "fifteen")),
    Section("What the paper concludes from these", claims_of(tables)),
    Section("As printed, and as public code has it", tables.ablation_table),
    Section("How much memory, and how fast usage fades", tables.memory_table),
)
