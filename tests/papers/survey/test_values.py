"""Tables and figures of conditional neural processes for values: a cell a number of known values, in order."""

import matplotlib.pyplot as plt
import pytest

from metamemory.papers.survey import values
from metamemory.study.results import Group, Result, largest
from metamemory.study.runs import Run


def kept(experiment, method, scores, example=None, scale="paper", seed=0, setting="one_kernel"):
    class Kept(Result):
        pass

    Kept.scores, Kept.example = scores, example or {}
    return Kept(Run(scale, experiment, method, setting, seed), {"data": {"title": "functions"}})


def row(context, likelihood, mse, **more):
    return {
        "context": context, **more, "log_likelihood": likelihood, "log_likelihood_low": likelihood - 0.1,
        "log_likelihood_high": likelihood + 0.1, "mse": mse, "mse_low": mse / 2, "mse_high": mse * 2,
    }  # fmt: skip


@pytest.fixture
def put(monkeypatch):
    def put(*results):
        monkeypatch.setattr(values, "groups", lambda *_: [Group([each]) for each in results])

    return put


def cells(table):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]


def test_likelihoods_stand_under_what_is_known(put):
    put(
        kept(values.FUNCTIONS, "exact_process", [row(0, -1.4, 1.0), row(5, 1.25, 0.01)]),
        kept(values.FUNCTIONS, "cnp_regression", [row(0, -1.5, 1.1), row(5, 0.5, 0.1)]),
    )
    _, _, header, _, first, second = cells(values.likelihood_table("one_kernel"))
    assert header == ["values known", "CNP, 1 seed", "Exact Gaussian process, 1 seed"]
    space = "\N{NO-BREAK SPACE}"
    assert first[:2] == ["0", f"−1.500{space}(−1.600{space}to{space}−1.400)"]
    assert second == ["5", f"0.500{space}(0.400–0.600)", f"1.250{space}(1.150–1.350)"]
    assert values.likelihood_table("one_kernel").startswith("In nats, at paper scale, functions:")


def test_errors_of_images_stand_under_pixels_and_order(put):
    scores = [row(10, 0.0, 0.04, ordered=0), row(100, 0.2, 0.02, ordered=0), row(10, -1.0, 0.08, ordered=1)]
    put(kept(values.IMAGES, "cnp_regression", scores, setting="photographs"))
    header, _, found = cells(values.completion_table("photographs"))
    assert header[2:5] == ["10 at random", "100 at random", "10 in order"]
    assert [cell.split("\N{NO-BREAK SPACE}")[0] for cell in found[2:5]] == ["0.040", "0.020", "0.080"]


def test_nothing_is_shown_of_what_was_not_run(tmp_path):
    assert values.likelihood_table("one_kernel", tmp_path) == values.completion_table("photographs", tmp_path) == ""
    assert largest(values.FUNCTIONS, "one_kernel", tmp_path) == []
    assert "0.039" in values.reported_table()


def test_figures_are_drawn(put):
    import base64

    pixels = base64.b64encode(bytes(range(2 * 3 * 16))).decode()
    known = base64.b64encode(bytes([255, 0] * 16)).decode()
    picture = {
        "image": pixels, "shape": [2, 3, 4, 4], "context": [1, 8], "known": [known] * 2, "mean": [pixels] * 2,
        "deviation": [pixels] * 2, "least_certain": [0.1, 0.05], "at_random": [0.1, 0.08],
    }  # fmt: skip
    band = {"x": [0.0, 1.0], "y": [0.5, 0.1], "place": [-1.0, 0.0, 1.0], "f": [0.1, 0.5, 0.1], "known": [1, 2],
            "mean": [[0.0] * 3] * 2, "deviation": [[1.0] * 3] * 2}  # fmt: skip
    functions = kept(values.FUNCTIONS, "cnp_regression", [row(0, -1.4, 1.0), row(5, 0.5, 0.1)], band)
    scores = [row(1, 0.0, 0.04, ordered=0), row(100, 0.2, 0.02, ordered=0), row(100, 0.1, 0.03, ordered=1)]
    images = kept(values.IMAGES, "cnp_regression", scores, picture, setting="photographs")
    as_sure = base64.b64encode(bytes([100] * 2 * 3 * 16)).decode()  # everywhere
    nearest = kept(values.IMAGES, "nearest_values", scores, {**picture, "deviation": [as_sure] * 2})
    figures = [
        values.bands([functions, functions]),
        values.by_context({"one_kernel": [Group([functions])]}, values.KERNELS),
        values.by_context({"photographs": [Group([images])]}, values.PICTURES),
        values.pictures([images, nearest], image=1),
        values.chosen({"photographs": [images]}),
    ]
    assert [len(figure.axes) for figure in figures] == [4, 2, 2, 12, 1]
    assert [axes.get_title() for axes in figures[0].axes] == ["1 known", "2 known", "", ""]
    assert [axes.get_xlabel() for axes in figures[0].axes] == ["", "", "x", "x"]
    assert [axes.get_ylabel() for axes in figures[1].axes] == list(values.MEASURES.values())
    assert figures[1].axes[1].get_yscale() == "log" and figures[1].axes[1].get_xscale() == "linear"
    for axes in figures[2].axes:
        assert axes.get_xscale() == "log" and axes.get_yscale() == "linear"
    assert figures[2].axes[1].get_ylim()[0] == 0
    lines = {line.get_linestyle() for line in figures[2].axes[0].lines}
    assert lines == {"-", "--"}
    assert [line.get_ydata().tolist() for line in figures[4].axes[0].lines[:2]] == [[0.1, 0.05], [0.1, 0.08]]
    for figure in figures:
        plt.close(figure)
