"""The report: every paper's sections, in order; a paper is a folder."""

import pytest

from metamemory import papers
from metamemory.papers import report
from metamemory.papers.report import print_report
from metamemory.study.parameters import project_root


def test_a_paper_is_a_folder():
    assert [name for name in papers.available() if name in ("babu2021", "santoro2016")] == ["babu2021", "santoro2016"]
    with pytest.raises(ModuleNotFoundError):
        papers.sections("nobody1999")


def test_every_section_is_printed_in_order(capsys, monkeypatch):
    def table(text):
        return lambda root: f"{text} of {root.name}" if text else ""

    of_paper = {"b2001": [("first", table("one")), ("left out", table(""))], "a1999": [("last", table("two"))]}
    monkeypatch.setattr(papers, "available", lambda: list(of_paper))
    monkeypatch.setattr(papers, "sections", of_paper.get)
    monkeypatch.setattr(report, "stale_table", lambda root: "three")
    name = project_root().name
    print_report(project_root())
    stale = "Stale: today's code might not give these again\nthree\n\n"
    assert capsys.readouterr().out.split("\n", 2)[2] == f"first\none of {name}\n\nlast\ntwo of {name}\n\n{stale}"


def test_nothing_run_is_said(tmp_path, capsys):
    print_report(tmp_path)
    assert "Nothing has been run: `make study`" in capsys.readouterr().out


@pytest.mark.parametrize("paper", papers.available())
def test_sections_of_a_paper_that_was_not_run_say_so(paper, tmp_path):
    """Each table is made, or left out, where there are no results."""
    tables = [table(tmp_path) for _, table in papers.sections(paper)]
    assert any("not run" in table for table in tables)
