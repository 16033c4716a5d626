"""The report's sections of learned rules, in the order of the book."""

from functools import partial

from metamemory.papers import Section, claims_of
from metamemory.papers.learned_rules import blur, cloning, evolution, fitness, in_context, self_reference, vsml

SECTIONS = (
    Section("Learned update rules, accuracy of new networks by steps (Sandler et al. 2021, Figures 5, 6)", blur.table),
    Section("Variants of the update rule (Figures 8 and 9)", blur.ablation_table),
    Section("What is claimed of learned update rules", claims_of(blur)),
    Section("Synapses that are LSTMs: accuracy by examples (Kirsch and Schmidhuber 2021)", vsml.table),
    Section("What is claimed of synapses that are LSTMs", claims_of(vsml)),
    Section("Synapses that compute back-propagation: accuracy by examples", cloning.table),
    Section("What they compute, and what is wanted", cloning.errors),
    Section("What is claimed of back-propagation in synapses", claims_of(cloning)),
    Section("Synapses that are LSTMs, by an evolution strategy", evolution.synapses_table),
    Section("Learned update rules, by CMA-ES", evolution.updates_table),
    Section("What is claimed of CMA-ES", claims_of(evolution)),
    *(
        Section(f"Two tasks in a row, {' and '.join(names)}", partial(self_reference.table, setting))
        for setting, names in self_reference.SETTINGS.items()
    ),
    Section("What is claimed of weights that write themselves", claims_of(self_reference)),
    Section("Fitness-monotonic execution beside hill climbing, paid a step", fitness.table),
    Section("What is claimed of fitness-monotonic execution", claims_of(fitness)),
    Section("Learning in context, by the number of tasks", in_context.table),
    Section("What is claimed of many tasks", claims_of(in_context)),
)
