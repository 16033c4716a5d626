"""The report's sections of this paper, in the order of the book."""

from functools import partial

from metamemory.papers import Section, claims_of
from metamemory.papers.babu2021 import continual, cost, online_few_shot, segmentation, supervised, turned
from metamemory.study.parameters import SCALES

SECTIONS = (
    Section(
        "Online few-shot learning, 5-way, Omniglot (Babu et al. 2021, Table 1)",
        partial(online_few_shot.table_1, "omniglot"),
    ),
    Section("The same, CIFAR-FS", partial(online_few_shot.table_1, "cifar_fs")),
    Section("Where labels are shown, Omniglot (Table 2)", online_few_shot.table_2),
    Section("Delayed labels, CIFAR-FS (Table 3)", partial(online_few_shot.table_3, "cifar_fs")),
    Section("The same, Omniglot", partial(online_few_shot.table_3, "omniglot")),
    Section("What the paper concludes from these", claims_of(online_few_shot)),
    Section("Turned test characters", turned.table),
    Section("Time to accuracy", online_few_shot.record_table),
    Section("The recipe, with one thing changed", online_few_shot.recipe_table),
    Section("What it cost", online_few_shot.cost_table),
    *(
        Section(f"Continual learning, {scale} scale", partial(continual.lengths_table_at, scale))
        for scale in reversed(SCALES)
    ),
    Section("What the paper concludes of continual learning", claims_of(continual)),
    Section("FLOPs of a step", lambda root: cost.counted_table()),
    Section("Online few-shot segmentation (Table 4)", segmentation.table_4),
    Section("Supervised learning, CIFAR-10 (Table 5)", partial(supervised.table_5, "cifar10")),
    Section("The same, CIFAR-100", partial(supervised.table_5, "cifar100")),
    Section("How far the CL networks are from the plain ones", claims_of(supervised)),
)
