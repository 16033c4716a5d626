"""The report's sections of the survey, in the order of the book."""

from functools import partial

from metamemory.papers import Section, claims_of
from metamemory.papers.survey import support_query
from metamemory.papers.survey.reported import DATA

SECTIONS = (
    *(Section(f"Support and query sets, {title}", partial(support_query.table, data)) for data, title in DATA.items()),
    Section("How near Prototypical networks come to their papers", claims_of(support_query)),
)
