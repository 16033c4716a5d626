"""What Munkhdalai and Yu 2017 report: accuracies of their own, and those that they quote. Shares of 1."""

from metamemory.study.tables import Reported

WAYS = (5, 10, 15, 20)  # of the columns of Tables 1, 3 and 4
Numbers = dict[int, Reported]  # by the number of classes


def _at(*percent: float | None) -> Numbers:
    """In the order of WAYS; None is not reported."""
    return {n: Reported(round(each / 100, 5)) for n, each in zip(WAYS, percent, strict=False) if each is not None}


# Table 1, Omniglot, 1,200 classes for training and 423 for tests, one shot: method -> numbers.
TABLE_1 = {
    "meta_networks": _at(98.95, 98.67, 97.11, 97.0),
    "meta_networks_minus": _at(98.4, 98.32, 96.68, 96.13),
    "meta_networks_plus": _at(98.45, 97.05, 96.48, 95.08),
}
QUOTED_1 = {  # in the paper's words
    "Pixel kNN (Kaiser et al. 2017)": _at(41.7, None, None, 26.7),
    "Siamese Net (Koch 2015)": _at(97.3, None, None, 88.1),
    "MANN (Santoro et al. 2016)": _at(82.8),
    "Matching Nets (Vinyals et al. 2016)": _at(98.1, None, None, 93.8),
    "Neural Statistician (Edwards and Storkey 2017)": _at(98.1, None, None, 93.2),
    "Siamese Net with Memory (Kaiser et al. 2017)": _at(98.4, None, None, 95.0),
}

# Table 3, Omniglot, 30 alphabets for training and 20 for tests (400 tasks), one shot.
TABLE_3 = {"meta_networks": _at(98.45, 97.32, 96.4, 95.92)}
QUOTED_3 = {
    "Human (Lake et al. 2015)": _at(None, None, None, 95.5),
    "Pixel kNN (Lake et al. 2013)": _at(None, None, None, 21.7),
    "Affine model (Lake et al. 2013)": _at(None, None, None, 81.8),
    "Deep Boltzmann Machine (Lake et al. 2013)": _at(None, None, None, 62.0),
    "Bayesian program learning (Lake et al. 2015)": _at(None, None, None, 96.7),
    "Siamese Net (Koch 2015)": _at(None, None, None, 92.0),
}

# Table 4: classes in training -> classes in tests -> MetaNet, on the split of Table 1. With ten in both it says
# 96.87, where Table 1 says 98.67.
TABLE_4 = {
    5: _at(98.95, 96.4, 93.6, 93.07),
    10: _at(99.25, 96.87, 96.95, 96.21),
    15: _at(99.35, 98.17, 97.11, 96.36),
    20: _at(99.55, 98.87, 97.41, 97.0),
}
HUNDRED = Reported(0.65)  # section 4.3.1: "around", trained on ten classes, tested on a hundred
