"""All tables of the study on the terminal: `python -m metamemory report`."""

from pathlib import Path

from metamemory.papers.babu2021 import continual, cost, segmentation, supervised
from metamemory.papers.santoro2016 import mann
from metamemory.study import tables
from metamemory.study.results import finished


def print_report(root: Path = Path(".")) -> None:
    """One table after the other, in the order of the book."""
    if not any(finished(root)):
        print("Nothing has been run: `make study`, or `python -m metamemory run online_few_shot --method cl_lstm`")
        return
    print("this study: mean and 95 % bootstrap interval, over seeds, or over test episodes of a single seed\n")
    for title, table in (
        ("Online few-shot learning, 5-way, Omniglot (Babu et al. 2021, Table 1)", tables.table_1("omniglot", root)),
        ("The same, CIFAR-FS", tables.table_1("cifar_fs", root)),
        ("Where labels are shown, Omniglot (Table 2)", tables.table_2(root)),
        ("Delayed labels, CIFAR-FS (Table 3)", tables.table_3("cifar_fs", root)),
        ("The same, Omniglot", tables.table_3("omniglot", root)),
        ("What the paper concludes from these", tables.claims_table(root)),
        ("Time to accuracy", tables.record_table(root)),
        ("The recipe, with one thing changed", tables.recipe_table(root)),
        ("What it cost", tables.cost_table(root)),
        *(
            (f"Continual learning, {scale} scale", continual.lengths_table(of))
            for scale, of in continual.shown(root).items()
        ),
        ("What the paper concludes of continual learning", continual.claims_table(root)),
        ("FLOPs of a step", cost.counted_table()),
        ("Online few-shot segmentation (Table 4)", segmentation.table_4(root)),
        ("Supervised learning, CIFAR-10 (Table 5)", supervised.table_5("cifar10", root)),
        ("The same, CIFAR-100", supervised.table_5("cifar100", root)),
        ("How far the CL networks are from the plain ones", supervised.claims_table(root)),
        ("Five classes, one-hot labels (Santoro et al. 2016, Table 1)", mann.table_1(root)),
        ("Five classes, labels of five characters (Table 2)", mann.table_2("five", root)),
        ("Fifteen classes, labels of five characters (Table 2)", mann.table_2("fifteen", root)),
        ("What the paper concludes from these", mann.claims_table(root)),
        ("How much memory, and how fast usage fades", mann.memory_table(root)),
    ):
        print(f"{title}\n{table}\n")
