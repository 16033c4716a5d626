"""The scorecard's page: the whole table without JavaScript, a filter with it, on any screen and by keyboard."""

import pytest

from metamemory.papers import scorecard
from metamemory.study.cells import Cell, Judged
from metamemory.study.quantities import Measured, at_shot
from metamemory.study.results import Group, Result
from metamemory.study.runs import Run
from metamemory.study.tables import Reported
from metamemory.training.statistics import Interval

FRAME = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
VERDICTS = {"A 2001": ("within", "below", "not run"), "B & C 2002": ("within", "reduced size")}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    group = Group([Result(Run("paper", "experiment", "method", "s"), {"data": {"title": "Omniglot"}})])
    answer, ours = Measured("experiment", "method", "setting_" * 6, at_shot(0)), Interval(0.5, 0.4, 0.6, "seeds")
    every = [
        Judged(
            Cell(
                paper, "Table <1>, a data set with a long name", f"row {number}", "1-shot", Reported(0.9, 0.01), answer
            ),
            None if verdict == "not run" else group,
            None if verdict == "not run" else ours,
            verdict,
        )
        for paper, verdicts in VERDICTS.items()
        for number, verdict in enumerate(verdicts)
    ]
    path = tmp_path_factory.mktemp("page") / "scorecard.html"
    path.write_text(f"{FRAME}<body>{scorecard.filled(every)}</body></html>", encoding="utf-8")
    return path


def shown(browser):
    """(paper, verdict) of the rows that can be seen."""
    look = "[...document.querySelectorAll('tbody tr')].filter(each => each.getBoundingClientRect().height > 0)"
    return [tuple(each) for each in browser.evaluate(f"{look}.map(each => [each.dataset.paper, each.dataset.verdict])")]


def choose(browser, name, value):
    browser.evaluate(
        f"(each => {{ each.value = {value!r}; each.dispatchEvent(new Event('change', {{bubbles: true}})); }})"
        f"(document.querySelector('[data-filter={name}]'))"
    )


def status(browser):
    return browser.evaluate("document.querySelector('output').textContent")


ALL = [(paper, verdict) for paper, verdicts in VERDICTS.items() for verdict in verdicts]


def test_it_is_filtered_by_paper_and_by_verdict(browser, page):
    browser.open(page)
    assert shown(browser) == ALL and status(browser) == "5 of 5 cells"
    choose(browser, "verdict", "within")
    assert shown(browser) == [("A 2001", "within"), ("B & C 2002", "within")]
    choose(browser, "paper", "B & C 2002")
    assert shown(browser) == [("B & C 2002", "within")] and status(browser) == "1 of 5 cells"
    choose(browser, "verdict", "above")
    assert shown(browser) == [] and status(browser) == "0 of 5 cells"
    browser.click("button[type=reset]")
    browser.evaluate("new Promise(done => setTimeout(done, 50))")
    assert shown(browser) == ALL and status(browser) == "5 of 5 cells" and browser.problems == []


def test_it_is_filtered_by_keyboard(browser, page):
    browser.open(page)
    reached = []
    for _ in range(4):
        browser.press("Tab")
        reached.append(browser.evaluate("document.activeElement.dataset.filter ?? document.activeElement.tagName"))
        if reached[-1] == "paper":
            browser.press("ArrowDown")
    assert reached == ["paper", "verdict", "BUTTON", "SUMMARY"]
    assert shown(browser) == ALL[:3]


def test_all_is_shown_without_javascript(browser, page):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page)
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert shown(browser) == ALL
    assert browser.evaluate("document.querySelector('form').getBoundingClientRect().height") == 0


def test_rows_are_cards_on_a_narrow_screen(browser, page):
    browser.open(page, width=390)
    assert browser.evaluate("document.scrollingElement.scrollWidth") <= 390
    browser.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert browser.evaluate("document.scrollingElement.scrollWidth") <= 390
    heights = "[...document.querySelectorAll('tbody tr')].map(each => each.getBoundingClientRect().height)"
    assert all(height > 60 for height in browser.evaluate(heights))
    choose(browser, "paper", "A 2001")
    assert shown(browser) == ALL[:3] and browser.problems == []


def test_what_a_cell_says_is_text(page):
    text = page.read_text(encoding="utf-8")
    assert "Table &lt;1&gt;" in text and 'data-paper="B &amp; C 2002"' in text and "<1>" not in text
    assert text.count("--scale paper --seed 0</code>") == 5
