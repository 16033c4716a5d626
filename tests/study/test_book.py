"""The book builds without a warning from whatever results there are, and opens without a network."""

import re

import pytest

from metamemory.study.parameters import project_root


def test_no_line_of_a_page_is_taken_for_a_comment():
    """MyST drops a line that begins with a per cent sign, without a warning; "56 %" broken at its space ends so."""
    book = project_root() / "book"
    for path in (each for each in book.rglob("*.md") if "_build" not in each.parts):
        prose = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
        assert not re.findall(r"^\s*%.*", prose, flags=re.MULTILINE), path.name


@pytest.mark.xdist_group("project")
def test_the_book_builds_and_shows_the_runs(project):
    output = project.run("jupyter-book", "build", "-W", "-n", "--keep-going", "-q", "book")
    html = project.root / "book/_build/html"
    assert "build succeeded" in output or (html / "index.html").exists()
    page = (html / "babu2021/online_few_shot.html").read_text()
    assert "CL+LSTM" in page and "smoke" in page and "Traceback" not in page
    title = "Omniglot" if (project.root / "data/omniglot").exists() else "glyphs (stand-in for Omniglot)"
    assert title in page and title in (html / "babu2021/protocol.html").read_text()
    for path in html.rglob("*.html"):
        loaded = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(https?://[^\"]+)", path.read_text())
        assert not [url for url in loaded if "canonical" not in url], path.name
