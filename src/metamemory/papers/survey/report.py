"""The report's sections of the survey, in the order of the book."""

from functools import partial

from metamemory.papers import Section, claims_of
from metamemory.papers.survey import probes, support_query, turned, values
from metamemory.papers.survey.reported import DATA

SECTIONS = (
    *(Section(f"Support and query sets, {title}", partial(support_query.table, data)) for data, title in DATA.items()),
    *(
        Section(f"Functions of {title}, log-likelihood", partial(values.likelihood_table, setting))
        for setting, title in values.KERNELS.items()
    ),
    *(
        Section(f"Completion of images, {title}, mean squared error", partial(values.completion_table, setting))
        for setting, title in values.PICTURES.items()
    ),
    *(
        Section(f"Trained on {probes.TITLES[home]}, tested beyond it", partial(probes.transfer_table, experiment))
        for experiment, (home, _) in probes.EXPERIMENTS.items()
    ),
    *(
        Section(f"Altered support sets, {probes.TITLES[home]}", partial(probes.altered_table, experiment))
        for experiment, (home, _) in probes.EXPERIMENTS.items()
    ),
    Section("How near Prototypical networks come to their papers", claims_of(support_query)),
    Section("Turned test characters, support and query sets", turned.table),
    Section("How near they come in the test of their paper", claims_of(turned)),
)
