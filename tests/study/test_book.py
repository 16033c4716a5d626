"""Pages of the book as they are written; that it builds is tested with the pipelines."""

import re

from metamemory.study.parameters import project_root


def test_no_line_of_a_page_is_taken_for_a_comment():
    """MyST drops a line that begins with a per cent sign, without a warning; "56 %" broken at its space ends so."""
    book = project_root() / "book"
    for path in (each for each in book.rglob("*.md") if "_build" not in each.parts):
        prose = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        assert not re.findall(r"^\s*%.*", prose, flags=re.MULTILINE), path.name
