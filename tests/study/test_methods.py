"""A method has one title and one colour, and those shown together can be told apart by everyone."""

from itertools import combinations

import numpy as np
import pytest

from metamemory.study.methods import PALETTES, colour, title
from metamemory.study.parameters import Parameters, project_root

ROOT = project_root()
PARAMETERS = Parameters(ROOT)
# linear light as it is seen with all cones, without those for red, without those for green (Machado et al. 2009)
SIGHT = (
    np.eye(3),
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
)
# OKLab (Ottosson 2020)
TO_CONES = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
TO_LAB = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]


def seen(text: str, sight) -> np.ndarray:
    """[3] OKLab of "#RRGGBB"."""
    share = np.array([int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    light = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.array(TO_LAB) @ np.cbrt(np.array(TO_CONES) @ np.clip(np.array(sight) @ light, 0, 1))


def difference(one: str, other: str) -> float:
    """The smallest of the three sights; 100 from black to white."""
    return min(100 * float(np.linalg.norm(seen(one, sight) - seen(other, sight))) for sight in SIGHT)


def test_the_measure_of_difference():
    assert difference("#000000", "#FFFFFF") == pytest.approx(100, abs=0.1)
    red, green = "#D55E00", "#117733"
    assert difference(red, green) < 5 < 100 * np.linalg.norm(seen(red, SIGHT[0]) - seen(green, SIGHT[0]))


@pytest.mark.parametrize("experiment", PARAMETERS.experiments)
def test_methods_shown_together_can_be_told_apart(experiment):
    methods = list(PARAMETERS.experiment(experiment)["methods"])
    for one, other in combinations(methods, 2):
        assert difference(colour(one), colour(other)) >= 5, (one, other)


def test_a_colour_is_of_its_family():
    for method, family in (("cl_lstm", "recurrent"), ("mann_strength", "memory"), ("counting", "reference")):
        assert colour(method) in PALETTES[family]
    assert colour("cl_lstm") == "#D55E00"
    every = [shade for palette in PALETTES.values() for shade in palette]
    assert all(len(shade) == 7 and shade[0] == "#" for shade in every)
    assert all(len(set(palette)) == len(palette) for palette in PALETTES.values())


def test_titles():
    assert title("cl_lstm") == "CL+LSTM"
    assert title("mann_strength") == "MANN, key strength 10"
    assert title("of_the_readers_own") == "of_the_readers_own"
    assert colour("of_the_readers_own").startswith("#")
