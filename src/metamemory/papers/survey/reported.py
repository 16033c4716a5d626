"""What the papers that the survey compares report of support and query sets: accuracies with their source.

Shares of 1. Where a paper gives a ±, it is half of a 95 % interval over test episodes, not a deviation over trainings.
"""

from metamemory.study.tables import Reported

Setting = tuple[int, int]  # n_way, k_shot
SETTINGS: tuple[Setting, ...] = ((5, 1), (5, 5), (20, 1), (20, 5))
DATA = {"omniglot": "Omniglot", "cifar_fs": "CIFAR-FS", "mini_imagenet": "miniImageNet"}
Numbers = dict[Setting, Reported]


def _at(*percent: float | tuple[float, float] | None) -> Numbers:
    """In the order of SETTINGS; a pair has a ±, None is not reported."""
    pairs = ((each, None) if isinstance(each, float) else each for each in percent)
    return {
        setting: Reported(round(pair[0] / 100, 5), None if pair[1] is None else round(pair[1] / 100, 5))
        for setting, pair in zip(SETTINGS, pairs, strict=False)
        if pair is not None
    }


# data set -> method -> who reports: a paper, or public code by its place on GitHub -> numbers
TABLES: dict[str, dict[str, dict[str, Numbers]]] = {
    "omniglot": {
        "siamese": {"Vinyals et al. 2016": _at(96.7, 98.4, 88.0, 96.5)},
        "matching": {
            "Vinyals et al. 2016": _at(98.1, 98.9, 93.8, 98.5),  # public code with cosines: 92.0 to 77.8
        },
        "matching_euclidean": {"oscarknagg/few-shot": _at(98.3, 99.8, 92.8, 97.8)},
        "protonet": {
            "Snell et al. 2017": _at(98.8, 99.7, 96.0, 98.9),
            "oscarknagg/few-shot": _at(98.2, 99.4, 95.8, 98.6),
            "PaddleFSL": _at((98.27, 0.13), (99.37, 0.05)),
        },
        "maml": {
            "Finn et al. 2017": _at((98.7, 0.4), (99.9, 0.1), (95.8, 0.3), (98.9, 0.2)),
            "oscarknagg/few-shot": _at(98.1, 99.8, 91.6, 95.9),
        },
        "fomaml": {
            "Nichol et al. 2018": _at((98.3, 0.5), (99.2, 0.2), (89.4, 0.5), (97.9, 0.1)),
            "oscarknagg/few-shot": _at(95.5, 99.5, 92.2, 97.7),
        },
        "reptile": {
            "Nichol et al. 2018": _at((95.39, 0.09), (98.90, 0.10), (88.14, 0.15), (96.65, 0.33)),
            "openai/supervised-reptile": _at(95.48, 98.90, 88.12, 96.56),
        },
        "reptile_transductive": {
            "Nichol et al. 2018": _at((97.68, 0.04), (99.48, 0.06), (89.43, 0.14), (97.12, 0.32)),
            "openai/supervised-reptile": _at(97.74, 99.52, 89.30, 97.55),
        },
        "cnp": {"Garnelo et al. 2018": _at(95.3)},  # no source was found for its other settings
        "mann": {"Vinyals et al. 2016": _at(82.8, 94.9)},  # without convolutions
        "snail": {
            "Mishra et al. 2018": _at((99.07, 0.16), (99.78, 0.09), (97.64, 0.30), (99.36, 0.18)),
            "eambutu/snail-pytorch": _at(98.31, 99.26, 93.75, 97.88),
        },
        "srwm": {"Irie et al. 2022": _at(97.4)},
    },
    "cifar_fs": {  # all of four convolutions with 64 filters
        "protonet": {"Bertinetto et al. 2019": _at(55.5, 72.0), "PaddleFSL": _at(55.49, 72.10)},
        "maml": {
            "Bertinetto et al. 2019": _at((58.9, 1.9), (71.5, 1.0)),
            "ArnoutDevos/maml-cifar-fs": _at(56.8, 70.8),
        },
        "fomaml": {"PaddleFSL": _at(57.06, 72.24)},
        "anil": {"PaddleFSL": _at(56.19, 68.60)},  # of first order
        "ridge": {"Bertinetto et al. 2018, preprint": _at(60.0, 76.1)},  # their smaller network
    },
    "mini_imagenet": {
        "matching": {
            "Vinyals et al. 2016": _at(44.2, 57.0),  # with full context embeddings, and another split
            "oscarknagg/few-shot": _at(42.8, 53.6),
        },
        "matching_euclidean": {"oscarknagg/few-shot": _at(46.0, 58.4)},
        "protonet": {
            "Snell et al. 2017": _at((49.42, 0.78), (68.20, 0.66)),
            "RL-VIG/LibFewShot": _at(47.05, 68.56),
        },
        "maml": {
            "Finn et al. 2017": _at((48.70, 1.84), (63.11, 0.92)),
            "oscarknagg/few-shot": _at(47.5, 64.7),
        },
        "fomaml": {"Finn et al. 2017": _at((48.07, 1.75), (63.15, 0.91)), "PaddleFSL": _at(49.81, 64.21)},
        "anil": {"PaddleFSL": _at(48.31, 62.38)},  # of first order
        "reptile": {"Nichol et al. 2018": _at((47.07, 0.26), (62.74, 0.37))},
        "reptile_transductive": {"Nichol et al. 2018": _at((49.97, 0.32), (65.99, 0.58))},
        "ridge": {"RL-VIG/LibFewShot": _at(51.19, 67.29)},
        "meta_networks": {"Munkhdalai and Yu 2017": _at((49.21, 0.96))},
        "snail": {"Mishra et al. 2018": _at((55.71, 0.99), (68.88, 0.92))},  # a deeper network
        "srwm": {"Irie et al. 2022": _at(47.0, 61.4)},
    },
}

TITLES = {  # of methods that the study does not have yet
    "siamese": "Siamese network",
    "matching": "Matching networks",
    "protonet": "Prototypical networks",
}
