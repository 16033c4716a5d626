"""What the papers report, with its source. Shares of 1; a dash in the paper is left out here."""

from typing import NamedTuple


class Reported(NamedTuple):
    """A number and the paper's own deviation: the standard deviation over its runs."""

    mean: float
    deviation: float


# Babu, Savarese and Maire 2021, Table 1, Omniglot, 5-way, average and deviation over 3 runs: shot -> number.
TABLE_1_OMNIGLOT = {
    "lstm": {1: Reported(0.853, 0.002), 5: Reported(0.944, 0.001), 8: Reported(0.958, 0.006)},
    "ntm": {1: Reported(0.887, 0.002), 5: Reported(0.968, 0.001), 8: Reported(0.973, 0.001)},
    "apl": {1: Reported(0.891, 0.000), 5: Reported(0.949, 0.000), 8: Reported(0.957, 0.001)},
    "opn": {1: Reported(0.912, 0.011), 5: Reported(0.946, 0.011), 8: Reported(0.958, 0.005)},
    "cpm": {1: Reported(0.945, 0.001), 5: Reported(0.970, 0.001), 8: Reported(0.974, 0.004)},
    "cl_lstm": {1: Reported(0.968, 0.005), 5: Reported(0.994, 0.002), 8: Reported(0.997, 0.002)},
}

# The same paper, section 4.3: FLOPs of one forward step, 1 multiply-add = 2 FLOPs.
CL_LSTM_FLOPS = 0.40e9

TITLES = {
    "nearest_neighbour": "Nearest neighbour",
    "lstm": "LSTM",
    "ntm": "NTM",
    "apl": "APL",
    "opn": "OPN",
    "cpm": "CPM",
    "snail": "SNAIL",
    "transformer": "Transformer",
    "cl_lstm": "CL+LSTM",
}


def title(method: str) -> str:
    """The method as tables and legends name it; a method of the reader's own goes by its file's name."""
    return TITLES.get(method, method)
