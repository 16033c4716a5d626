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

# Table 2, miniImageNet, five classes, one shot, in 400 tasks.
TABLE_2 = {"meta_networks": Reported(0.4921, 0.0096)}
QUOTED_2 = {
    "Fine-tuning (Ravi and Larochelle 2017)": Reported(0.2886, 0.0054),
    "kNN (Ravi and Larochelle 2017)": Reported(0.4108, 0.0070),
    "Matching Nets (Vinyals et al. 2016)": Reported(0.4356, 0.0084),
    "MetaLearner LSTM (Ravi and Larochelle 2017)": Reported(0.4344, 0.0077),
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
HUNDRED = Reported(0.65, about=True)  # section 4.3.1: "around", trained on ten classes, tested on a hundred

# Figure 3, Omniglot, five classes, one shot: test accuracy in per cent after every 400 tasks, up to 30,000, read off
# the vector figure: of the base learner itself (64 filters), and of fixed ones with 32 and 128 filters.
FIGURE_3_EVERY = 400
FIGURE_3 = {
    "target": (
        79.29, 83.09, 88.35, 92.3, 90.36, 92.6, 93.75, 92.51, 95.56, 95.44, 92.81, 94.6, 93.26, 95.95, 95.59, 96.91,
        94.75, 96.05, 95.2, 95.2, 97.01, 96.31, 95.86, 96.55, 97.4, 96.25, 95.31, 97.2, 97.61, 96.71, 95.8, 96.61,
        95.65, 97.7, 96.86, 97.55, 96.86, 97.91, 97.25, 96.71, 97.1, 96.5, 96.61, 96.76, 96.91, 98.21, 97.46, 97.31,
        97.46, 97.85, 97.31, 97.04, 97.91, 97.4, 96.76, 97.55, 97.7, 96.5, 97.65, 95.71, 97.76, 97.25, 96.61, 97.7,
        96.95, 98.21, 98.0, 97.7, 97.01, 97.85, 98.25, 97.4, 97.25, 96.71, 95.59,
    ),
    "small": (
        61.1, 76.0, 70.25, 79.8, 65.25, 82.0, 77.95, 88.61, 90.94, 88.7, 89.95, 85.11, 88.16, 91.9, 91.81, 91.24,
        88.61, 91.81, 91.81, 93.11, 90.1, 90.76, 92.85, 89.76, 92.55, 89.61, 90.06, 92.39, 90.21, 93.2, 90.4, 89.16,
        90.7, 95.56, 90.4, 92.75, 91.85, 93.11, 93.75, 91.85, 91.9, 94.86, 94.75, 96.55, 96.55, 92.96, 93.15, 96.35,
        95.16, 95.71, 96.86, 95.8, 95.86, 94.75, 91.75, 95.9, 94.65, 95.2, 95.71, 92.69, 94.95, 94.56, 95.75, 97.5,
        96.76, 96.8, 95.41, 94.3, 92.39, 96.01, 94.11, 94.86, 94.3, 92.45, 95.8,
    ),
    "big": (
        65.3, 81.55, 86.75, 83.81, 88.35, 90.7, 92.66, 91.15, 90.1, 88.4, 91.45, 91.3, 93.3, 91.15, 88.95, 91.66,
        92.6, 92.39, 88.4, 94.14, 92.11, 89.85, 92.39, 92.9, 93.2, 94.11, 92.0, 92.21, 93.81, 97.04, 90.21, 95.01,
        96.5, 94.35, 96.4, 94.35, 94.86, 92.51, 95.59, 95.16, 97.7, 95.31, 95.26, 94.65, 94.41, 95.9, 96.86, 93.41,
        95.5, 94.2, 93.26, 94.65, 96.1, 92.15, 96.05, 96.65, 96.1, 95.5, 95.44, 97.61, 94.35, 95.65, 95.26, 95.31,
        94.26, 95.71, 96.65, 95.26, 93.56, 92.24, 95.26, 95.31, 96.2, 93.75, 95.71,
    ),
}  # fmt: skip

# Figure 4: change of the accuracy on Omniglot, in points, after every 400 tasks of permuted digits, the mean of five
# repeats, read off the vector figure. The text says that at 7,600 it is -1.7; the figure has that at 7,200.
FIGURE_4_EVERY = 400
FIGURE_4 = (
    1.24, 0.80, 0.63, 0.71, 0.47, 0.20, -0.12, -0.45, -0.34, -0.30, -0.79, -0.18, -1.30, -0.04, -1.33, -0.29, -0.37,
    -1.70, -1.10,
)  # fmt: skip

# Figure 5, appendix B: trained on Omniglot, tested on MNIST, ten classes, one shot. The text has those of MetaNet and
# of Matching Nets; the others are read off the bars. Those of FROM_OTHERS are quoted: who reports what.
FIGURE_5 = {
    "meta_networks": Reported(0.748),
    "meta_networks_minus": Reported(0.716),
    "meta_networks_plus": Reported(0.723),
    "matching": Reported(0.72),
    "siamese": Reported(0.70),
}
FROM_OTHERS = {"matching": ("Vinyals et al. 2016", Reported(0.72)), "siamese": ("Koch et al. 2015", Reported(0.703))}
QUOTED_5 = {"Neural Statistician (Edwards and Storkey 2017)": Reported(0.786)}
