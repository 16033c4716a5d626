"""Diagrams of learners can be read: no text meets another, an edge or an arrow, or is too small for a telephone."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.transforms import Bbox

from metamemory.models import CLLSTM
from metamemory.papers.babu2021 import diagrams as babu
from metamemory.papers.babu2021 import layers
from metamemory.papers.babu2021 import strips as babu_strips
from metamemory.papers.babu2021.online_few_shot_figures import architecture
from metamemory.papers.learned_rules import blur
from metamemory.papers.learned_rules import diagrams as rules
from metamemory.papers.learned_rules import rules as rules_figures
from metamemory.papers.munkhdalai2017 import diagrams as munkhdalai
from metamemory.papers.santoro2016 import diagrams as santoro
from metamemory.papers.santoro2016 import strips as santoro_strips
from metamemory.papers.santoro2016.figures import SEEN
from metamemory.papers.survey import diagrams as survey
from metamemory.papers.survey import overview
from metamemory.study import diagrams
from metamemory.study.diagrams import Diagram, characters
from metamemory.study.figures import RIGHT, WRONG, use_style
from metamemory.study.methods import colour
from metamemory.study.parameters import project_root
from metamemory.study.results import groups, largest

DIAGRAMS = {
    babu.lstm: ["lstm"],
    babu.cl_lstm: ["cl_lstm"],
    babu.stored: ["opn", "cpm"],
    layers.cl_layer: ["cl_lstm"],
    layers.cl_unet: ["cl_unet"],
    babu.one_after_the_other: ["cl_lstm", "oml", "anml", "opn"],
    santoro.mann: ["mann"],
    munkhdalai.fast_weight: ["meta_networks"],
    munkhdalai.meta_networks: ["meta_networks"],
    munkhdalai.two_problems: ["meta_networks_perceptron"],
    overview.families: ["maml", "protonet", "lstm", "cl_lstm", "mann", "transformer", "meta_networks", "blur"],
    survey.metric: ["protonet", "matching", "ridge"],
    survey.gradient: ["maml", "anil", "reptile"],
    survey.attention: ["transformer", "snail"],
    survey.neural_process: ["cnp"],
    rules.delta_rules: ["delta_net", "srwm"],
    rules.projected_tasks: [],  # nothing changes in it
    rules.blur: ["blur"],
    rules.vsml: ["vsml"],
    rules.fitness: ["fitness_monotonic"],
}
NARROW, SMALLEST = 350, 8.5  # pixels: a figure's width on a screen of 390, and a text's height of type there
PAD = 0.2  # inches that a page adds to a figure's width


def boxes_of(figure: Figure) -> list[tuple[str, Bbox]]:
    """Texts and where they are, in pixels, a pixel less on each side: antialiasing."""
    figure.canvas.draw()
    texts = [text for text in figure.axes[0].texts if text.get_text()]
    return [(text.get_text(), text.get_window_extent().padded(-1)) for text in texts]


def strokes_of(figure: Figure) -> Iterator[np.ndarray]:
    """Points along every line and arrow, in pixels."""
    axes = figure.axes[0]
    for line in axes.lines:
        yield line.get_path().interpolated(40).transformed(axes.transData).vertices
    for patch in axes.patches:
        if isinstance(patch, FancyArrowPatch):
            yield patch.get_path().interpolated(40).transformed(axes.transData).vertices


def faults(figure: Figure) -> list[str]:
    """What is wrong with a diagram."""
    axes, texts = figure.axes[0], boxes_of(figure)
    page = figure.bbox
    found = [f"{words!r} leaves the figure" for words, box in texts if not contains(page, box)]
    found += [f"{a!r} meets {b!r}" for (a, one), (b, other) in combinations(texts, 2) if one.overlaps(other)]
    shapes = [patch.get_window_extent() for patch in axes.patches if not isinstance(patch, FancyArrowPatch)]
    pictures = [upright(image.get_window_extent()) for image in axes.images]
    strokes = list(strokes_of(figure))
    for words, box in texts:
        if any(box.overlaps(shape) and not contains(shape, box) for shape in shapes):
            found.append(f"{words!r} meets an edge")
        if any(box.overlaps(picture) for picture in pictures):
            found.append(f"{words!r} meets an image")
        if any(inside(points, box).any() for points in strokes):
            found.append(f"{words!r} is struck through")
    for one, other in combinations(pictures, 2):
        if one.padded(-1).overlaps(other):
            found.append("images meet")
    return found


def upright(box: Bbox) -> Bbox:
    """The same with its lower corner first: images have the upper one first where y goes down."""
    return Bbox([[box.xmin, box.ymin], [box.xmax, box.ymax]])


def contains(outer: Bbox, inner: Bbox) -> bool:
    return outer.x0 <= inner.x0 and inner.x1 <= outer.x1 and outer.y0 <= inner.y0 and inner.y1 <= outer.y1


def inside(points: np.ndarray, box: Bbox) -> np.ndarray:
    x, y = points.T
    return (box.x0 < x) & (x < box.x1) & (box.y0 < y) & (y < box.y1)


def require_readable(figure: Figure) -> None:
    try:
        assert faults(figure) == []
        smallest = min(text.get_fontsize() for text in figure.axes[0].texts if text.get_text())
        shrunk = NARROW / ((figure.get_figwidth() + PAD) * 72)  # pixels of a narrow screen a point
        assert smallest * min(shrunk, 110 / 72) >= SMALLEST
    finally:
        plt.close(figure)


@pytest.mark.parametrize("draw", DIAGRAMS, ids=lambda draw: draw.__name__)
def test_a_diagram_can_be_read_and_has_the_learners_colours(draw):
    use_style()
    figure = draw(project_root())
    axes = figure.axes[0]
    used = {to_hex(patch.get_edgecolor()).upper() for patch in axes.patches}
    used |= {to_hex(patch.get_facecolor()).upper() for patch in axes.patches}
    used |= {to_hex(line.get_color()).upper() for line in axes.lines}
    require_readable(figure)
    assert {colour(method).upper() for method in DIAGRAMS[draw]} <= used


@pytest.mark.parametrize("inject", [("cl1", "lstm"), ("cl1", "cl2", "cl3", "cl4", "lstm"), ("lstm",), ()], ids=len)
def test_the_architecture_has_the_sizes_of_its_learner(inject):
    learner = CLLSTM((3, 32, 32), 7, filters=16, hidden=128, pool_after=(1, 3), inject=inject)
    figure = architecture(learner, (3, 32, 32))
    words = [text.get_text() for text in figure.axes[0].texts]
    sizes = [each for each in words if "×" in each and "pool" not in each]
    assert sizes == ["3×32×32", "16×32×32", "16×16×16", "16×16×16", "16×8×8"]
    assert {"128", "7 logits"} <= set(words) and words.count("pool 2×2") == 2
    assert words.count("1") == len(inject) + 1  # chips; one in the legend
    require_readable(figure)


def test_the_states_of_cl_lstm_are_of_the_episode_that_its_run_recorded(tmp_path):
    learner, result = babu_strips.kept_and_shown(project_root())
    cells, said = babu_strips.traced(learner, result.example, 12)
    assert [each.shape[0] for each in cells] == [12] * 5 and cells[0].shape[1:] == (14, 14)
    assert np.abs(said - np.array(result.example["probability"])[:12]).max() < 0.03  # kept weights are rounded
    figure = babu_strips.states(learner, result)
    frames = [to_hex(patch.get_edgecolor()).upper() for patch in figure.axes[0].patches]
    right = said.argmax(axis=1) == np.array(result.example["y"][:12])
    assert [frames.count(each) - 1 for each in (RIGHT, WRONG)] == [right.sum(), (~right).sum()]  # one each in the key
    require_readable(figure)
    assert babu_strips.kept_and_shown(tmp_path) is None


def test_the_memory_strip_is_of_the_run_that_retrieves_most():
    shown = groups("mann_classification", "five", project_root())
    result = santoro_strips.most_retrieving(shown)
    kept = [
        each.example["retrieval"]["its drawing"]
        for group in shown
        for each in group.results
        if "retrieval" in each.example
    ]
    assert result.example["retrieval"]["its drawing"] == max(kept)
    figure = santoro_strips.reading(result)
    edges = [to_hex(patch.get_edgecolor()) for patch in figure.axes[0].patches]
    y = result.example["y"][:12]
    same = sum(y[s] == y[t] for t in range(12) for s in range(t))
    assert edges.count(SEEN.lower()) == same + 1  # and one in the key
    require_readable(figure)
    assert santoro_strips.most_retrieving([]) is None


def test_a_network_that_learns_is_shown_beside_another():
    shown = largest(blur.EXPERIMENT, blur.SETTING, project_root())
    own, other = (next(group for group in shown if group.run.method == name) for name in (blur.RULE, blur.SGD))
    require_readable(rules_figures.strip(own.results[0], "large", beside=other.results[0]))
    require_readable(rules_figures.strip(own.results[0]))


def test_a_diagram_needs_no_results(tmp_path, monkeypatch):
    """Pages are built before anything was run, too."""
    drawn = [("a", np.full((20, 105, 105), 255, np.uint8))] * 5
    monkeypatch.setattr(diagrams.glyphs, "draw_classes", lambda count: drawn)
    for draw in (layers.cl_unet, rules.projected_tasks):
        require_readable(draw(tmp_path))


def test_faults_are_found():
    diagram = Diagram("#0072B2", 2.0, characters(project_root()))
    diagram.text(1, 0.3, "one")
    diagram.text(1.1, 0.3, "two")
    diagram.text(4.6, 0.3, "outside")
    diagram.fixed(1, 1, 0.2, 0.3, "too long")
    diagram.text(3, 1, "struck")
    diagram.arrow((2, 1), (4, 1))
    diagram.image(3, 1.6, 0)
    diagram.text(3, 1.6, "on it")
    found = faults(diagram.figure)
    plt.close(diagram.figure)
    assert found == [
        "'outside' leaves the figure",
        "'one' meets 'two'",
        "'too long' meets an edge",
        "'struck' is struck through",
        "'on it' meets an image",
    ]


def test_characters_are_of_a_run_and_of_the_stand_in_where_there_is_none(tmp_path, monkeypatch):
    shipped = characters(project_root())
    assert len(shipped) >= 5 and all(images.shape[1:] == (28, 28) and images.max() == 255 for images in shipped)
    drawn = [("a", np.zeros((20, 105, 105), np.uint8))] * 5
    monkeypatch.setattr(diagrams.glyphs, "draw_classes", lambda count: drawn)
    others = characters(Path(tmp_path))
    assert len(others) == 5 and others[0].shape == (diagrams.IMAGES, 105, 105) and others[0].min() == 255
