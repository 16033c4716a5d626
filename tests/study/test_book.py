"""The book builds without a warning from whatever results there are, and opens without a network."""

import re

import pytest

pytestmark = pytest.mark.slow


def test_the_book_builds_and_shows_the_runs(project):
    output = project.run("jupyter-book", "build", "-W", "-n", "--keep-going", "-q", "book")
    html = project.root / "book/_build/html"
    assert "build succeeded" in output or (html / "index.html").exists()
    page = (html / "online_few_shot.html").read_text()
    assert "CL+LSTM" in page and "smoke" in page and "Traceback" not in page
    title = "Omniglot" if (project.root / "data/omniglot").exists() else "glyphs (stand-in for Omniglot)"
    assert title in page and title in (html / "protocol.html").read_text()
    for path in html.glob("*.html"):
        loaded = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(https?://[^\"]+)", path.read_text())
        assert not [url for url in loaded if "canonical" not in url], path.name
