"""Figures show what they say they show."""

import base64
from itertools import combinations
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.text import Text

from metamemory.study import curves, figures
from metamemory.study.accuracy_axis import accuracy_axis
from metamemory.study.methods import title
from metamemory.study.results import Group, Result
from metamemory.study.runs import Run
from metamemory.study.tables import Reported
from metamemory.tasks import Episode
from metamemory.tasks.sampling import normalise


def test_photographs_are_drawn_in_colour_as_they_were_taken():
    kept = torch.zeros(2, 3, 2, 2, dtype=torch.uint8)
    kept[0, 0], kept[1, 2] = 255, 255  # red, then blue
    photographs = Episode(
        x=normalise(kept)[:, None], **{name: torch.zeros(2, 1).long() for name in ("y_seen", "y", "shot")}
    )
    figure = figures.episode(photographs)
    red, blue = (axes.images[0].get_array() for axes in figure.axes)
    assert (red == [255, 0, 0]).all() and (blue == [0, 0, 255]).all()
    plt.close(figure)


def test_an_episode_is_shown_in_rows_that_a_telephone_has_room_for():
    images = normalise(torch.zeros(7, 1, 2, 2, dtype=torch.uint8))[:, None]
    labels = torch.arange(7)[:, None]
    figure = figures.episode(Episode(x=images, y_seen=labels - 1, y=labels, shot=labels))
    shown = [axes.get_title() for axes in figure.axes]
    assert shown == ["null", "0", "1", "2", "3", "4", "5", "", "", ""] and figure.get_figwidth() <= 4.6
    assert [axes.get_xlabel() for axes in figure.axes][5:8] == ["5\nshot 5", "6\nshot 6", ""]
    bare = figures.episode(Episode(x=images, y_seen=labels - 1, y=labels, shot=labels), steps=3, wanted=False)
    assert [axes.get_xlabel() for axes in bare.axes] == [""] * 3
    plt.close("all")


def test_answers_stand_below_the_drawings_of_their_own_episode():
    def result(method, ink):
        x = base64.b64encode(bytes([ink] * 3 * 4)).decode()
        example = {"x": x, "x_shape": [3, 1, 2, 2], "y": [0, 1, 0], "probability": [[0.9, 0.1]] * 3}
        return SimpleNamespace(run=SimpleNamespace(method=method), example=example)

    figure = figures.answers([result("lstm", 1), result("opn", 2), result("ntm", 1)])
    assert [axes.get_ylabel() for axes in figure.axes] == ["x", "label", "label", "x", "label"]
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["", "LSTM", "NTM", "", "OPN"]
    edges = [patch.get_edgecolor() for patch in figure.axes[1].patches]
    assert edges[0] == edges[2] != edges[1]  # right, wrong, right
    plt.close(figure)


def _group(method, ends, seeds=1):
    class Kept(Result):
        history = [
            {"episodes": 100.0 * at, "seconds": 60.0 * at, "accuracy_5_shot": end} for at, end in enumerate(ends)
        ]
        scores = [{"accuracy": end, "low": end, "high": end} for end in ends]

    return Group([Kept(Run("laptop", "e", method, "s", seed), {}) for seed in range(seeds)])


def test_learning_curves_have_a_line_a_seed_and_a_legend_as_they_end():
    groups = [_group("lstm", (0.2, 0.4), seeds=2), _group("opn", (0.2, 0.9)), _group("counting", ())]
    figure = curves.learning_curves(groups, n_way=5)
    by_episodes, by_time = figure.axes
    assert len(by_episodes.lines) == len(by_time.lines) == 3 + 1  # and chance
    assert by_episodes.get_xscale() == "log" and by_time.lines[0].get_xdata().tolist() == [0, 1]
    assert by_time.lines[0].get_ydata().tolist() == [20, 90]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [title("opn"), title("lstm")]
    plt.close(figure)


def test_a_panel_can_be_of_some_groups_and_of_several_columns():
    first, second = _group("lstm", (0.2, 0.4)), _group("opn", (0.2, 0.9))
    look = [lambda group, name=name: {"label": name} for name in ("a", "b")]
    columns = [("accuracy_5_shot", look[0]), ("not_measured", look[1])]
    panels = [curves.Panel(columns, curves.EPISODES, only=[group]) for group in (first, second)]
    figure = curves.learning_curves([], panels)
    assert [len(axes.lines) for axes in figure.axes] == [1, 1]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a"]
    plt.close(figure)


def test_a_papers_numbers_are_diamonds():
    figure = figures.accuracy_by_shot([_group("lstm", (0.2, 0.4))], reported={"lstm": {1: Reported(0.5)}})
    diamonds = [line for line in figure.axes[0].lines if line.get_marker() == "D" and len(line.get_xdata())]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in diamonds] == [(1, 50)]
    plt.close(figure)
    plain = figures.accuracy_by_shot([_group("lstm", (0.2, 0.4))])
    assert not [line for line in plain.axes[0].lines if line.get_marker() == "D"]
    plt.close(plain)


def test_accuracies_near_the_top_are_told_apart_by_their_errors():
    figure, (plain, errors) = plt.subplots(1, 2)
    accuracy_axis(plain, 94.9)
    accuracy_axis(errors, 95, worst=60)
    assert plain.get_yscale() == "linear" and plain.get_ylim() == (0, 102) and plain.get_ylabel() == "accuracy, %"
    low, high = errors.get_ylim()
    assert (low, high) == pytest.approx((40, 100 - 5 / 1.5)) and "errors" in errors.get_ylabel()
    assert errors.get_yticks().tolist() == [50, 80, 90, 95]
    place = errors.transData.transform([(0, each) for each in (50, 80, 90, 95, 98)])[:, 1]
    halves = place[[1, 3]] - place[[0, 2]]  # errors of 50 to 20, of 10 to 5
    assert halves / (place[2] - place[1]) == pytest.approx(np.log10([2.5, 2]) / np.log10(2))
    accuracy_axis(errors, 100, along="y")
    assert errors.get_ylim() == pytest.approx((0, 99.95))
    plt.close(figure)


def test_accuracy_by_shot_has_one_axis_for_all_scales():
    scales = {"a": [_group("lstm", (0.2, 0.4))], "b": [_group("lstm", (0.2, 0.98))]}
    figure = figures.accuracy_by_shot_at(scales)
    assert [axes.get_yscale() for axes in figure.axes] == ["function"] * 2
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    plt.close(figure)
    plain = figures.accuracy_by_shot(scales["a"], reported={"opn": {1: Reported(0.99)}})  # which is not shown
    assert plain.axes[0].get_yscale() == "linear"
    plt.close(plain)


def test_ticks_along_x_do_not_run_into_each_other():
    figure, axes = plt.subplots()
    accuracy_axis(axes, 99.9, along="x", worst=90)
    assert axes.get_xlim() == pytest.approx((85, 100 - 0.1 / 1.5)) and axes.get_xticks().tolist() == [
        90,
        98,
        99.5,
        99.8,
    ]
    accuracy_axis(axes, 99.9, along="y", worst=90)
    assert axes.get_yticks().tolist() == [90, 95, 98, 99, 99.5, 99.8, 99.9]
    plt.close(figure)


def _shown_in(figure):
    """Texts of axes and of legends, with words in them."""
    texts = [text for axes in figure.axes for text in axes.findobj(Text)]
    texts += [text for legend in figure.legends for text in legend.get_texts()]
    return [text for text in texts if text.get_visible() and text.get_text()]


def _calibrated(method):
    example = {"confidence": [0.2, 0.9], "calibration_error": [0.1, 0.02]}
    scores = [{"accuracy": 0.2}, {"accuracy": 0.9}]
    return SimpleNamespace(run=SimpleNamespace(method=method), example=example, scores=scores)


METHODS = ["lstm", "opn", "cpm", "apl", "cl_lstm", "cnn_lstm", "cnn_f_lstm", "transformer", "mann", "nearest_neighbour"]
LONG = "laptop scale, glyphs (stand-in for Omniglot), 1 to 3 seeds"


@pytest.mark.parametrize(
    "draw",
    [
        lambda groups: figures.accuracy_by_shot(groups, reported={"lstm": {1: Reported(0.5)}}),
        lambda groups: figures.accuracy_by_shot_at({LONG: groups, "paper scale, Omniglot, 1 seed": groups[:3]}),
        lambda groups: curves.learning_curves(groups, n_way=5),
        lambda groups: curves.learning_curves(groups, [curves.Panel([("accuracy_5_shot", curves.look_of_method)], each)
                                                       for each in [curves.EPISODES] * 3]),
        lambda groups: figures.calibration([_calibrated(group.run.method) for group in groups]),
    ],
)  # fmt: skip
def test_figures_of_lines_can_be_read_on_a_telephone(draw):
    """350 pixels of a screen of 390; a page adds 0.2 inches to a figure's width."""
    with plt.rc_context():
        figures.use_style()
        figure = draw([_group(method, (0.2, 0.97)) for method in METHODS])
        figure.canvas.draw()
        renderer = figure.canvas.get_renderer()
        smallest = min(text.get_fontsize() for text in _shown_in(figure))
        assert smallest / 72 * 350 / (figure.get_tightbbox(renderer).width + 0.2) >= 8
        (legend,) = figure.legends
        below = legend.get_window_extent(renderer)
        panels = [axes.get_tightbbox(renderer) for axes in figure.axes]
        assert all(box.y0 >= below.y1 - 1 for box in panels) and below.width <= figure.bbox.width
        assert not any(one.padded(-1).overlaps(other) for one, other in combinations(panels, 2))
        assert {text.get_text() for text in legend.get_texts()} >= {title(method) for method in METHODS}
        plt.close(figure)
