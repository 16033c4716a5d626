"""scenes: the embedded stand-in for colour photographs of things, for machines that cannot have CIFAR-FS.

Textured silhouettes on textured grounds, in colour, with masks. A class has a shape and a texture of its own,
both drawn at random from families so wide that any number of classes can be had, and that what is met in testing
is new in both: of a thousand classes no two have like textures, and few have like shapes. It is nobody's data
set: results on it are always labelled with its own name.

    shape     one to three superformula curves (Gielis 2003: polygons, stars, petals, beans) grown together,
              sometimes with a hole --> how deep inside the outline each point lies --+
    texture   waves: stripes, checks, spots, rings, blotches, in two colours ---------+--> template
                                                                                            |
    picture   a ground, and the template warped onto it: place, size, turn, proportions, bending, light, noise

A class is worked out once, as a template four times finer than the pictures; a picture is then one look-up a
pixel and a few sums, which makes 60,000 of 32 x 32 in about ten seconds on one core. Everything follows from a
fixed seed, and a class does not depend on the others.

The bits are the same on every processor: those disagree on the last digit of a cosine or a power, so such are taken
in double precision, and rounded, before they meet a pixel; from there on single precision, which is fast, only adds
and multiplies.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy import float32 as single
from numpy.random import Generator

from metamemory.data.store import Splits

CLASSES, PICTURES, SIDE = 100, 600, 32  # as CIFAR-FS
PACKED = False
MADE = "painted by numpy from a fixed seed"
SEED = 1912
FINENESS = 4  # template points to a pixel
REACH = 0.75  # of half the template: the outline, so that bending does not push it out
GROUNDS = 96  # textures that lie behind, shared by all classes
ANGLES = np.linspace(-np.pi, np.pi, 513)


def draw_classes(count: int = CLASSES, pictures: int = PICTURES, size: int = SIDE) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (class name, uint8 images [pictures, size, size, 3]) of the first `count` classes."""
    for index in range(count):
        yield f"scene_{index:04d}", draw(index, pictures, size)[0]


def splits(classes: tuple[str, ...]) -> Splits:
    """The one split of CIFAR-FS and that of miniImageNet, under their names: 64 / 16 / 20 of the hundred classes, which
    come in random order."""
    parts = zip(("train", "validation", "test"), np.split(np.arange(len(classes)), [64, 80]), strict=True)
    found = {part: indices.tolist() for part, indices in parts}
    return {"bertinetto": found, "ravi": found}


def draw(index: int, pictures: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of class `index`, any whole number from 0, and where in them the thing is.

    At another size the things, grounds and places are the same; only the noise is not.

    Returns:
        images: uint8 [pictures, size, size, 3].
        masks: bool [pictures, size, size], true on the thing.
    """
    random = np.random.default_rng([SEED, index])
    side = FINENESS * size
    depth, weave = _silhouette(random, side), _weave(random, side)
    hue, lightness = random.uniform(0, 2 * np.pi), random.uniform(0.35, 0.65)
    other_hue, contrast = hue + random.uniform(-2, 2), random.uniform(0.25, 0.5)

    def vary(low: float, high: float) -> np.ndarray:  # a number for each picture
        return random.uniform(low, high, (pictures, 1, 1))

    # Where in the template each pixel lies, in units of half its side.
    x, y = _centres(size), _centres(size)[:, None]
    turn, extent, proportion = vary(-0.6, 0.6), vary(0.6, 1.2), np.sqrt(vary(0.8, 1.25))
    room = 1 - REACH * extent  # to the sides
    right, down = x - room * vary(-1, 1), y - room * vary(-1, 1)
    cosine, sine = np.cos(turn) / extent, np.sin(turn) / extent
    u = single(cosine / proportion * right) + single(sine / proportion * down)
    v = single(cosine * proportion * down) - single(sine * proportion * right)
    bends = [single(vary(-0.25, 0.25)) for _ in range(3)]
    u, v = u + v * (bends[0] * v + bends[1] * u), v + bends[2] * u * u
    point = _look_up(u, v, side)
    inside = depth.ravel()[point]
    coverage = np.clip(inside * single(extent * size / 2) + single(0.5), 0, 1)  # of a pixel, for a smooth outline
    thing = weave.ravel()[point]

    # Any part of any ground texture, so that the ground tells nothing of the class.
    choice = random.integers(GROUNDS, size=(pictures, 1, 1)) * side**2
    turn, extent = vary(0, 2 * np.pi), vary(0.3, 0.65)
    cosine, sine = extent * np.cos(turn), extent * np.sin(turn)
    u, v = single(cosine * x) + single(sine * y), single(cosine * y) - single(sine * x)
    ground = _grounds(side).ravel()[_look_up(u, v, side) + choice]

    # Colours: a class keeps its hues but for the light; a ground has any, and seldom the lightness of the thing.
    shift, bright = vary(-0.4, 0.4), vary(-0.1, 0.1)
    first = _colour(hue + shift, 0.25, lightness + bright - contrast / 2)
    second = _colour(other_hue + shift, 0.25, lightness + bright + contrast / 2)
    around = 0.1 + (lightness + vary(0.2, 0.6)) % 0.8
    near, spread = vary(0, 2 * np.pi), vary(-0.15, 0.15)
    third = _colour(near, vary(0, 0.2), around - spread)
    fourth = _colour(near + vary(-1, 1), vary(0, 0.2), around + spread)
    light = single(vary(0.8, 1.15) + vary(-0.25, 0.25) * x) + single(vary(-0.25, 0.25) * y)
    rounded = single(0.7) + np.minimum(single(1.5) * np.maximum(inside, 0), single(0.35))  # darker to the outline
    noise = random.random((3, pictures, size, size), dtype=single)

    images = np.empty((pictures, size, size, 3), np.uint8)
    for channel in range(3):
        behind = third[channel] + ground * (fourth[channel] - third[channel])
        front = (first[channel] + thing * (second[channel] - first[channel])) * rounded
        value = (behind + coverage * (front - behind)) * light + 0.08 * (noise[channel] - 0.5)
        images[..., channel] = np.clip(255 * value, 0, 255)
    return images, coverage >= 0.5


def _centres(count: int) -> np.ndarray:
    """Centres of `count` pixels between -1 and 1: float64 [count]."""
    return np.arange(1, 2 * count, 2) / count - 1


def _look_up(u: np.ndarray, v: np.ndarray, side: int) -> np.ndarray:
    """Index of the point (u, v) in a flat template of side x side; the border goes on for ever."""
    column, row = (np.clip((each + 1) * (side / 2), 0, side - 1).astype(np.int32) for each in (u, v))
    return row * side + column


def _silhouette(random: Generator, side: int) -> np.ndarray:
    """Depth within the outline, in units of half the side, negative outside: float32 [side, side].

    The outline reaches to REACH.
    """
    x = y = np.linspace(-1.5, 1.5, 96)
    area = 0.0
    while not 0.5 < area < 1.7:  # else it is a splinter or a disc
        curves = [_curve(random, radius=0.6, distance=0)]
        for _ in range(random.integers(3)):
            curves.append(_curve(random, radius=random.uniform(0.2, 0.45), distance=random.uniform(0.3, 0.5)))
        holes = [_curve(random, radius=random.uniform(0.2, 0.3), distance=0.15)] if random.random() < 0.25 else []
        rows, columns = np.nonzero(_inside(curves, holes, x, y) > 0)
        if len(rows):
            ends = x[[columns.min(), columns.max()]], y[[rows.min(), rows.max()]]
            half = max(high - low for low, high in ends) / 2 / REACH
            area = len(rows) * (x[1] - x[0]) ** 2 / half**2
    x, y = ((low + high) / 2 + half * _centres(side) for low, high in ends)
    values = _inside(curves, holes, x, y)
    # Over its slope, a function that is 0 on the outline becomes the distance to it.
    down, right = np.gradient(values, 2 / side)
    distance = values / np.maximum(np.hypot(down, right), 0.3)
    return single(np.round(distance, 3))


def _curve(random: Generator, radius: float, distance: float) -> dict[str, float | np.ndarray]:
    """A closed curve by the superformula, somewhere at `distance` from the middle."""
    lobes = random.integers(2, 8)
    n1, n2, n3 = np.exp(random.uniform(np.log([0.5, 0.6, 0.6]), np.log([3, 4, 4])))
    quarter = lobes * ANGLES / 4
    outline = (np.abs(np.cos(quarter)) ** n2 + np.abs(np.sin(quarter)) ** n3) ** (-1 / n1)
    outline = np.maximum(outline / outline.max(), 0.3)  # petals meet in more than a point
    where = random.uniform(0, 2 * np.pi)
    return {
        "outline": radius * outline,  # at ANGLES
        "x": distance * np.cos(where),
        "y": distance * np.sin(where),
        "turn": random.uniform(0, 2 * np.pi),
        "aspect": random.uniform(0.5, 1),
    }


def _inside(curves: list[dict], holes: list[dict], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Positive inside a curve and no hole, 0 on the outline, negative outside: [y, x]."""
    signs = [1] * len(curves) + [-1] * len(holes)
    values = []
    for sign, curve in zip(signs, curves + holes, strict=True):
        cosine, sine = np.cos(curve["turn"]), np.sin(curve["turn"])
        right, down = x - curve["x"], y[:, None] - curve["y"]
        along, across = cosine * right + sine * down, (cosine * down - sine * right) / curve["aspect"]
        radius = np.interp(np.arctan2(across, along), ANGLES, curve["outline"])
        values.append(sign * (radius - np.hypot(along, across)))
    return np.minimum.reduce([np.maximum.reduce(values[: len(curves)]), *values[len(curves) :]])


def _weave(random: Generator, side: int) -> np.ndarray:
    """A texture: how much of its second colour each point has, 0 to 1: float32 [side, side].

    One wave makes stripes, two at a right angle checks, three at 60 degrees spots, some at any angle blotches,
    and one around a centre rings.
    """
    x, y = _centres(side), _centres(side)[:, None]
    waves, frequency = random.integers(1, 5), random.uniform(1, 4)  # periods in half a side
    regular = np.arange(waves) * np.pi / waves
    angles = random.uniform(0, np.pi) + (regular if random.random() < 0.6 else random.uniform(0, np.pi, waves))
    phases = random.uniform(0, 2 * np.pi, waves)
    value = sum(
        np.cos(2 * np.pi * frequency * (np.cos(angle) * x + np.sin(angle) * y) + phase)
        for angle, phase in zip(angles, phases, strict=True)
    ) / np.sqrt(waves)
    if random.random() < 0.2:
        centre = random.uniform(-0.5, 0.5, 2)
        value = np.cos(2 * np.pi * frequency * np.hypot(x - centre[0], y - centre[1]))
    sharpness, level = random.uniform(2, 8), random.uniform(-0.4, 0.4)
    return single(np.round(1 / (1 + np.exp(-sharpness * (value - level))), 3))


@cache
def _grounds(side: int) -> np.ndarray:
    """Textures that lie behind: float32 [GROUNDS, side, side]."""
    random = np.random.default_rng(SEED)
    return np.stack([_weave(random, side) for _ in range(GROUNDS)])


def _colour(hue: np.ndarray, saturation: float | np.ndarray, lightness: np.ndarray) -> list[np.ndarray]:
    """Red, green and blue about a grey: float32, of the shape of the arguments."""
    thirds = 2 * np.pi / 3 * np.arange(3)
    return [single(lightness + saturation * np.cos(hue - third)) for third in thirds]
