"""Prose of the book: numbers of results are in tables and figures, not in sentences."""

import re
from pathlib import Path

import pytest

from metamemory.study.parameters import project_root

ROOT = project_root()
MOST = 3  # numbers of results in a paragraph

DIGIT = "one|two|three|four|five|six|seven|eight|nine"
WORD = (
    rf"\b(?:{DIGIT}|ten|eleven|twelve|\w+teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty(?:-(?:{DIGIT}))?|hundred)\b"
)
END = r"(?![\w.]*\d)"
DIGITS = rf"(?<![\w.])[+-]?\d+(?:,\d{{3}})*(?:\.\d+)?{END}"
NUMBER = rf"(?:{DIGITS}|{WORD})"
JOINED = r"(?:\s*[,–/±-]\s*|\s+)(?:(?:and|or|to|against|instead\sof)\s+)*"
RESULTS = (
    rf"({NUMBER}(?:{JOINED}{NUMBER})*)(?:\s+and\s+a\s+half)?\s*(?:%|per\s+cent|(?:\w+\s+)?points?\b)",
    rf"((?<![\w.])[+-]?\d[\d,]*\.\d+{END})",
    rf"((?<![\w.])\d{{1,3}}(?:,\d{{3}})+{END})",
)
# They look like results: where something is in a paper, versions, the level of an interval.
NO_RESULTS = (
    r"\b(?:[Ss]ections?|[Aa]ppendix|[Tt]ables?|[Ff]igures?|eqs?\.|Python|torch|versions?)\s+[\d.]+(?:\s*(?:to|and|or|,|–)\s*\d[\d.]*)*",
    r"\b95\s%\s(?:bootstrap\s)?intervals?",
)
NO_PROSE = (
    r"(?s)\A---\n.*?\n---\n",  # a page's metadata
    r"(?s)<!-- results:.*?<!-- end of results -->",  # README's table, which is written from results/
    r"(?sm)^(`{3,}).*?^\1$",  # code
    r"(?s)\$\$.*?\$\$",
    r"\$[^$]+\$",
    r"`[^`]*`",
    r"\]\([^)\s]*\)",  # where a link points
    r"(?m)^[ ]*\|.*$",  # tables
    r"(?m)^#+ .*$",
)
BREAK = r"(?m)\n[ ]*\n|\n(?=[ ]*(?:[-*]|\d+\.)[ ])|^:{3,}.*$"
BOXES = "admonition|dropdown|hint|important|note|seealso|tip|warning"


def paragraphs(text: str) -> list[str]:
    """What is read in one go: a paragraph, or an item of a list."""
    for pattern in NO_PROSE:
        text = re.sub(pattern, "", text)
    return [each.strip() for each in re.split(BREAK, text) if each.strip()]


def numbers_of_results(paragraph: str) -> list[str]:
    """Numbers of per cent or of points, in digits or words; decimals; and numbers of a thousand and more."""
    for pattern in NO_RESULTS:
        paragraph = re.sub(pattern, "", paragraph)
    spans = set()
    for match in (match for pattern in RESULTS for match in re.finditer(pattern, paragraph, re.IGNORECASE)):
        for number in re.finditer(NUMBER, match[1], re.IGNORECASE):
            spans.add((match.start(1) + number.start(), match.start(1) + number.end()))
    return [paragraph[start:end] for start, end in sorted(spans)]


def pages() -> dict[str, Path]:
    found = [ROOT / "README.md", *(each for each in (ROOT / "book").rglob("*.md") if "_build" not in each.parts)]
    return {path.relative_to(ROOT).as_posix(): path for path in sorted(found)}


@pytest.mark.parametrize("page", sorted(pages()))
def test_a_paragraph_has_no_more_than_three_numbers_of_results(page):
    counted = {each: numbers_of_results(each) for each in paragraphs(pages()[page].read_text(encoding="utf-8"))}
    assert not {each: numbers for each, numbers in counted.items() if len(numbers) > MOST}


@pytest.mark.parametrize(
    ("paragraph", "numbers"),
    [
        ("67, 63 and 22 % at five shots, 73 % after 27,000 episodes", ["67", "63", "22", "73", "27,000"]),
        ("eight to fifteen points better, four and a half points below", ["eight", "fifteen", "four"]),
        ("It ends at 97.7, and at a rate of 0.016 with twenty-one per cent", ["97.7", "0.016", "twenty-one"]),
        ("Four seeds of Table 1, section 4.3, Python 3.11 to 3.13, with a 95 % bootstrap interval, 28×28 pixels", []),
    ],
)
def test_numbers_of_results_are_told_from_others(paragraph, numbers):
    assert numbers_of_results(paragraph) == numbers


def test_tables_code_and_mathematics_are_no_prose():
    page = "---\na: 1.5\n---\n# 1.5\n\nOne.\n\n| 1.5 |\n\n```python\n1.5\n```\n\n`1.5` and $x = 1.5$\n- two\n- three\n"
    assert paragraphs(page) == ["One.", "and", "- two", "- three"]
    assert paragraphs(":::{note}\nFour.\n:::\nFive.\n") == ["Four.", "Five."]
    assert paragraphs("````{tip}\nSix.\n```\n1.5\n```\n````\nSeven.") == ["Seven."]


def test_a_box_is_written_with_colons():
    """So that what is between backquotes is never prose."""
    for page, path in pages().items():
        assert not re.search(rf"(?m)^`{{3,}}\{{(?:{BOXES})\}}", path.read_text(encoding="utf-8")), page
