"""What Babu, Savarese and Maire 2021 report: numbers with their place in the paper. Shares of 1; a dash in the paper is
left out here."""

from typing import NamedTuple

from metamemory.study.tables import Reported


def _at(shots: tuple[int, ...], *percent: tuple[float, float]) -> dict[int, Reported]:
    reported = [Reported(round(mean / 100, 5), round(deviation / 100, 5)) for mean, deviation in percent]
    return dict(zip(shots, reported, strict=True))


# Table 1, 5-way, 3 runs: data set -> method -> shot -> average and deviation.
TABLE_1 = {
    "omniglot": {
        "lstm": _at((1, 5, 8), (85.3, 0.2), (94.4, 0.1), (95.8, 0.6)),
        "ntm": _at((1, 5, 8), (88.7, 0.5), (96.8, 0.1), (97.3, 0.1)),
        "apl": _at((1, 5, 8), (89.1, 0.0), (94.9, 0.0), (95.7, 0.1)),
        "opn": _at((1, 5, 8), (91.2, 1.1), (94.6, 1.1), (95.8, 0.5)),
        "cpm": _at((1, 5, 8), (94.5, 0.1), (97.0, 0.1), (97.4, 0.4)),
        "cl_lstm": _at((1, 5, 8), (96.8, 0.5), (99.4, 0.2), (99.7, 0.2)),
    },
    "cifar_fs": {  # the LSTM and the NTM "fail to train" there
        "lstm": {},
        "ntm": {},
        "apl": _at((1, 5, 8), (37.6, 0.6), (45.8, 0.4), (46.9, 0.7)),
        "opn": _at((1, 5, 8), (49.9, 0.2), (54.9, 0.4), (56.8, 0.1)),
        "cpm": _at((1, 5, 8), (50.2, 0.2), (55.8, 0.4), (57.8, 0.4)),
        "cl_lstm": _at((1, 5, 8), (47.6, 1.0), (56.7, 1.6), (61.0, 1.3)),
    },
}

# Table 2, Omniglot, 3 runs: (experiment, method, setting) of this study that is the row.
TABLE_2 = {
    ("online_few_shot", "cnn_f_lstm", "omniglot"): _at((1, 5, 8), (89.1, 0.2), (96.4, 0.0), (97.0, 0.2)),
    ("online_few_shot", "cnn_lstm", "omniglot"): _at((1, 5, 8), (93.9, 0.1), (97.9, 0.2), (98.2, 0.4)),
    ("label_injection", "cl_lstm", "lstm"): _at((1, 5, 8), (94.7, 0.6), (97.3, 0.7), (97.9, 0.6)),
    ("online_few_shot", "cl_lstm", "omniglot"): TABLE_1["omniglot"]["cl_lstm"],
}

# Table 3, CIFAR-FS, 2 runs: (delay, pre-trained at a delay of 1) -> shot -> number.
TABLE_3 = {
    (2, False): _at((6, 7, 8), (56.8, 0.1), (58.4, 0.2), (60.0, 0.0)),
    (4, False): _at((6, 7, 8), (52.2, 0.4), (53.1, 0.3), (54.1, 0.4)),
    (4, True): _at((6, 7, 8), (56.1, 0.6), (57.6, 0.3), (59.0, 0.1)),
    (5, False): _at((6, 7, 8), (51.1, 0.8), (51.7, 0.7), (52.7, 0.3)),
    (5, True): _at((6, 7, 8), (55.2, 0.3), (56.4, 0.0), (57.4, 0.4)),
}

# Table 4, FSS-1000, without deviations: (experiment, method, setting) -> (measure, shot) -> number.
FINE_TUNED = ("segmentation", "unet", "fss1000")
NINTH = ("segmentation_injection", "cl_unet", "layer_9")
FIRST = ("segmentation", "cl_unet", "fss1000")
CELLS = (("segmented", 1), ("segmented", 6), ("masked", 1), ("masked", 6))


def _cells(*shares: float) -> dict[tuple[str, int], Reported]:
    return dict(zip(CELLS, map(Reported, shares), strict=True))


TABLE_4 = {
    FINE_TUNED: _cells(0.653, 0.640, 0.231, 0.236),
    NINTH: _cells(0.387, 0.457, 0.738, 0.778),
    FIRST: _cells(0.492, 0.560, 0.846, 0.917),
}


class Network(NamedTuple):
    """A row of Table 5: millions of parameters, and test accuracy by setting."""

    parameters: float
    accuracy: dict[str, Reported]


def _network(parameters: float, cifar10: float, cifar100: float) -> Network:
    return Network(
        parameters, {"cifar10": Reported(round(cifar10 / 100, 3)), "cifar100": Reported(round(cifar100 / 100, 3))}
    )


# Table 5: averages over 3 runs, given without deviation.
TABLE_5 = {
    "vgg11": _network(9.2, 91.5, 66.9),
    "cl_vgg11_050": _network(20.0, 91.5, 67.3),
    "cl_vgg11_035": _network(9.5, 90.7, 64.3),
    "resnet20": _network(0.3, 91.9, 68.1),
    "cl_resnet20_050": _network(0.6, 90.9, 63.2),
    "cl_resnet20_035": _network(0.3, 89.5, 58.8),
}

# Figure 4, caption: means over the first 19 subtasks of 20, and "about 56 %" in the 20th. Of Figure 3 no number is in
# the text.
FIRST_19 = {"anml": 0.9178, "cl_lstm": 0.9315}
TWENTIETH = {"anml": 0.56}

# Section 4.3: FLOPs of a forward pass, and of an adapted step; 1 multiply-add = 2 FLOPs.
FORWARD = {"cl_lstm": 0.40e9, "oml": 1.46e9, "fine_tuning": 0.30e9}
ADAPTED = {"cl_lstm": 0.40e9, "oml": 4.38e9, "fine_tuning": 0.90e9}
