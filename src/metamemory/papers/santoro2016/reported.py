"""What Santoro et al. 2016 and public code report. Shares of 1 by instance: 1 is the first drawing of a class."""

from metamemory.study.tables import Reported

INSTANCES = (1, 2, 3, 4, 5, 10)
Numbers = dict[int, Reported]


def _at(*percent: float) -> Numbers:
    return {instance: Reported(round(each / 100, 5)) for instance, each in zip(INSTANCES, percent, strict=True)}


# Santoro et al. 2016, Table 1: Omniglot, 5 classes, one-hot labels. "human" was asked in an informal experiment.
TABLE_1 = {
    "human": _at(34.5, 57.3, 70.1, 71.8, 81.4, 92.4),
    "feedforward": _at(24.4, 19.6, 21.1, 19.9, 22.8, 19.5),
    "lstm": _at(24.4, 49.5, 55.3, 61.0, 63.6, 62.5),
    "mann": _at(36.4, 82.8, 91.0, 92.6, 94.9, 98.1),
}

# The same paper, Table 2: labels of five characters; setting of `mann_strings` -> method.
TABLE_2 = {
    "five": {
        "nearest_neighbour": _at(4.0, 36.7, 41.9, 45.7, 48.1, 57.0),
        "autoencoder_neighbour": _at(4.0, 51.9, 61.0, 66.3, 69.3, 77.5),
        "feedforward": _at(0.0, 0.2, 0.0, 0.2, 0.0, 0.0),
        "lstm": _at(0.0, 9.0, 14.2, 16.9, 21.8, 25.5),
        "mann_feedforward": _at(0.0, 8.0, 16.2, 25.2, 30.9, 46.8),
        "mann": _at(0.0, 69.5, 80.4, 87.9, 88.4, 93.1),
        "ntm": {},  # not in the paper with five classes
    },
    "fifteen": {
        "nearest_neighbour": _at(0.5, 18.7, 23.3, 26.5, 29.1, 37.0),
        "autoencoder_neighbour": _at(0.4, 32.7, 41.2, 47.1, 50.6, 60.0),
        "feedforward": _at(0.0, 0.1, 0.0, 0.0, 0.0, 0.0),
        "lstm": _at(0.0, 2.2, 2.9, 4.3, 5.6, 12.7),
        "mann_feedforward": _at(0.1, 12.8, 22.3, 28.8, 32.2, 43.4),
        "mann": _at(0.1, 62.6, 79.3, 86.6, 88.7, 95.3),
        "ntm": _at(0.0, 35.4, 61.2, 71.7, 77.7, 88.4),
    },
}

# Public code, as its read-me files report, on the task of Table 1: 100,000 updates of 16 episodes each, with Adam.
PUBLIC = {
    "snowkylin/ntm": {
        "lstm": _at(23.3, 59.0, 65.8, 68.1, 70.8, 72.3),
        "mann": _at(35.6, 88.8, 95.0, 96.5, 97.3, 97.6),
    },
    "Leputa/MANN-meta-learning": {
        "lstm": _at(30.4, 77.9, 85.3, 87.5, 88.8, 91.6),
        "mann": _at(35.4, 89.2, 95.2, 96.3, 96.9, 97.8),
    },
}

# What these two have otherwise than the printed equations, and the strength of their keys: for the ablation's table.
PUBLIC_FORM = ("value, decay 0.95, memory of 1e-6; the key is looked for before the write", "1")


TITLES = {  # where the paper has a name of its own
    "human": "Human",
    "ntm": "MANN with NTM access",
    "nearest_neighbour": "kNN, raw pixels",
    "autoencoder_neighbour": "kNN, deep features",
}
