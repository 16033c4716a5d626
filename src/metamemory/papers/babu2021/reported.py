"""What the papers report, with its source. Shares of 1; a dash in the paper is left out here."""

from typing import NamedTuple


class Reported(NamedTuple):
    """A number and the paper's own deviation: the standard deviation over its runs."""

    mean: float
    deviation: float


def _at(shots: tuple[int, ...], *percent: tuple[float, float]) -> dict[int, Reported]:
    reported = [Reported(round(mean / 100, 5), round(deviation / 100, 5)) for mean, deviation in percent]
    return dict(zip(shots, reported, strict=True))


# Babu, Savarese and Maire 2021, Table 1, 5-way, 3 runs: data set -> method -> shot -> average and deviation.
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

# The same paper, Table 2, Omniglot, 3 runs: (experiment, method, setting) of this study that is the row.
TABLE_2 = {
    ("online_few_shot", "cnn_f_lstm", "omniglot"): _at((1, 5, 8), (89.1, 0.2), (96.4, 0.0), (97.0, 0.2)),
    ("online_few_shot", "cnn_lstm", "omniglot"): _at((1, 5, 8), (93.9, 0.1), (97.9, 0.2), (98.2, 0.4)),
    ("label_injection", "cl_lstm", "lstm"): _at((1, 5, 8), (94.7, 0.6), (97.3, 0.7), (97.9, 0.6)),
    ("online_few_shot", "cl_lstm", "omniglot"): TABLE_1["omniglot"]["cl_lstm"],
}

# The same paper, Table 3, CIFAR-FS, 2 runs: (delay, pre-trained at a delay of 1) -> shot -> number.
TABLE_3 = {
    (2, False): _at((6, 7, 8), (56.8, 0.1), (58.4, 0.2), (60.0, 0.0)),
    (4, False): _at((6, 7, 8), (52.2, 0.4), (53.1, 0.3), (54.1, 0.4)),
    (4, True): _at((6, 7, 8), (56.1, 0.6), (57.6, 0.3), (59.0, 0.1)),
    (5, False): _at((6, 7, 8), (51.1, 0.8), (51.7, 0.7), (52.7, 0.3)),
    (5, True): _at((6, 7, 8), (55.2, 0.3), (56.4, 0.0), (57.4, 0.4)),
}


class Claim(NamedTuple):
    """That one run is better than another at some shots: what is said, (experiment, method, setting) of both, and the
    paper's difference at each shot."""

    text: str
    better: tuple[str, str, str]
    worse: tuple[str, str, str]
    differences: dict[int, float]


def _claim(text, better, worse, above, below, shots) -> Claim:
    return Claim(text, better, worse, {shot: above[shot].mean - below[shot].mean for shot in shots})


def _table_1_claim(text: str, worse: str, data: str, shots: tuple[int, ...]) -> Claim:
    ours, theirs = (("online_few_shot", method, data) for method in ("cl_lstm", worse))
    return _claim(text, ours, theirs, TABLE_1[data]["cl_lstm"], TABLE_1[data][worse], shots)


# What the same paper concludes from these tables (sections 4.1 and 4.2).
CLAIMS = [
    _table_1_claim("CL+LSTM is better than an LSTM on pixels, Omniglot", "lstm", "omniglot", (1, 5, 8)),
    _table_1_claim("CL+LSTM is better than prototypes (CPM), Omniglot", "cpm", "omniglot", (1, 5, 8)),
    _table_1_claim("CL+LSTM is better than prototypes (CPM) at many shots, CIFAR-FS", "cpm", "cifar_fs", (5, 8)),
    _claim(
        "labels shown to the first layer too are better than to the LSTM alone",
        *(("online_few_shot", "cl_lstm", "omniglot"), ("label_injection", "cl_lstm", "lstm")),
        *(TABLE_2[row] for row in [("online_few_shot", "cl_lstm", "omniglot"), ("label_injection", "cl_lstm", "lstm")]),
        (1, 5, 8),
    ),
    _claim(
        "that is better than a CNN pre-trained with MAML below the LSTM",
        *(("online_few_shot", "cl_lstm", "omniglot"), ("online_few_shot", "cnn_lstm", "omniglot")),
        *(TABLE_2[("online_few_shot", method, "omniglot")] for method in ("cl_lstm", "cnn_lstm")),
        (1, 5, 8),
    ),
    _claim(
        "training at a delay of 1 first helps a delay of 5, CIFAR-FS",
        *(("delayed_labels", "cl_lstm", f"cifar_fs_delay_5{ending}") for ending in ("_pretrained", "")),
        *(TABLE_3[(5, True)], TABLE_3[(5, False)]),
        (6, 7, 8),
    ),
]

# The same paper, section 4.3: FLOPs of one forward step, 1 multiply-add = 2 FLOPs.
CL_LSTM_FLOPS = 0.40e9

TITLES = {
    "counting": "Counting labels",
    "nearest_neighbour": "Nearest neighbour",
    "lstm": "LSTM",
    "ntm": "NTM",
    "apl": "APL",
    "opn": "OPN",
    "cpm": "CPM",
    "snail": "SNAIL",
    "transformer": "Transformer",
    "feedforward": "Feed-forward",
    "mann": "MANN",
    "mann_strength": "MANN, key strength 10",
    "mann_feedforward": "MANN, feed-forward controller",
    "autoencoder_neighbour": "Nearest neighbour, deep features",
    "gaussian_process": "Gaussian process",
    "cnn_lstm": "CNN+LSTM",
    "cnn_f_lstm": "CNN-F+LSTM",
    "cl_lstm": "CL+LSTM",
    "vgg11": "VGG-11",
    "cl_vgg11_050": "CL-VGG-11 (0.5×)",
    "cl_vgg11_035": "CL-VGG-11 (0.35×)",
    "resnet20": "ResNet-20",
    "cl_resnet20_050": "CL-ResNet-20 (0.5×)",
    "cl_resnet20_035": "CL-ResNet-20 (0.35×)",
    "oml": "OML",
    "anml": "ANML",
    "fine_tuning": "Fine-tuning (MAML)",
}


def title(method: str) -> str:
    """The method as tables and legends name it; a method of the reader's own goes by its file's name."""
    return TITLES.get(method, method)
