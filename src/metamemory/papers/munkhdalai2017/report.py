"""The report's sections of this paper, in the order of the book."""

from metamemory.papers import Section, claims_of
from metamemory.papers.munkhdalai2017 import tables

SECTIONS = (
    Section("One shot, Omniglot's previous split (Munkhdalai and Yu 2017, Table 1)", tables.table_1),
    Section("One shot, miniImageNet (Table 2)", tables.table_2),
    Section("One shot, Omniglot's standard split (Table 3)", tables.table_3),
    Section("Trained with some number of classes, tested with another (Table 4)", tables.table_4),
    Section("Trained on Omniglot, tested on MNIST (Figure 5)", tables.figure_5),
    Section("Variations of Meta Networks, five classes", tables.variations),
    Section("What the paper concludes from these", claims_of(tables)),
)
