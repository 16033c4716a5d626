"""Every cell of the papers' tables is there once, with the run that answers it, and in the page."""

from collections import Counter

import pytest

from metamemory import papers
from metamemory.papers import scorecard
from metamemory.papers.babu2021.reported import TABLE_1
from metamemory.study.cells import judge
from metamemory.study.parameters import Parameters, project_root
from metamemory.study.results import groups


@pytest.fixture(scope="module")
def cells():
    return papers.cells()


def test_all_cells_of_the_tables_are_there(cells):
    """Counted in the papers: Babu 18 + 12 (Table 1; two methods of CIFAR-FS fail to train), 9 (Table 2 without the row
    that is in Table 1), 15, 3 (Figure 4), 12, 12; Santoro 24, 36, 42; Munkhdalai 12, 1, 4, 13 + 1 (Table 4 without what
    is in Table 1, and one of a hundred classes), 3 (Figure 5 without what it quotes of two others)."""
    count = Counter(cell.paper for cell in cells)
    main = {"Babu et al. 2021": 81, "Santoro et al. 2016": 102, "Munkhdalai and Yu 2017": 34}
    others = {"Snell et al. 2017": 6, "Vinyals et al. 2016": 11, "Finn et al. 2017": 8, "Nichol et al. 2018": 16}
    others |= {"Koch et al. 2015": 1}
    others |= {"Garnelo et al. 2018": 4, "Mishra et al. 2018": 6, "Irie et al. 2022": 5}
    others |= {"Bertinetto et al. 2019": 4, "Bertinetto et al. 2018, preprint": 2}
    assert count == main | others
    assert list(count)[:3] == ["Babu et al. 2021", "Santoro et al. 2016", "Munkhdalai and Yu 2017"]


def test_a_cell_is_there_once(cells):
    named = Counter((cell.paper, cell.place, cell.row, cell.column) for cell in cells)
    assert [each for each, count in named.items() if count > 1] == []


def test_a_number_is_that_of_its_paper(cells):
    (found,) = [cell for cell in cells if (cell.place, cell.row, cell.column) == ("Table 1, Omniglot", "APL", "5-shot")]
    assert found.reported == TABLE_1["omniglot"]["apl"][5] and found.answer[:3] == (
        "online_few_shot",
        "apl",
        "omniglot",
    )
    told = {(cell.row, cell.column): cell.told for cell in cells if cell.place == "Table 2, strings, fifteen classes"}
    assert told["MANN with NTM access", "10th instance"] == "88.4"


def test_each_answer_is_a_run_of_the_study_at_the_papers_scale(cells):
    parameters = Parameters(project_root())
    for experiment, method, setting, _ in (cell.answer for cell in cells if cell.answer is not None):
        assert method in parameters.methods(experiment) and setting in parameters.settings(experiment)
        assert "paper" in parameters.scales(experiment)
    outside = {(cell.paper, cell.row) for cell in cells if cell.answer is None}
    assert outside == {
        ("Santoro et al. 2016", "Human"),
        ("Mishra et al. 2018", "SNAIL"),  # on miniImageNet, with a deeper network
        ("Garnelo et al. 2018", "CNP"),
        ("Vinyals et al. 2016", "Matching networks"),  # on other classes of miniImageNet
    }
    assert len([cell for cell in cells if cell.answer is None]) == 6 + 2 + 3 + 2


def test_a_number_is_its_own_papers(cells):
    """Figure 5 quotes matching networks and the Siamese network, Nichol et al. FOMAML on miniImageNet."""
    of_digits = {cell.row: (cell.paper, cell.told) for cell in cells if cell.place.endswith("Omniglot to MNIST")}
    assert of_digits["Matching networks"] == ("Vinyals et al. 2016", "72.0")
    assert of_digits["Siamese network"] == ("Koch et al. 2015", "70.3")
    assert {of_digits[f"MetaNet{each}"][0] for each in ("", "−", "+")} == {"Munkhdalai and Yu 2017"}
    assert {cell.paper for cell in cells if cell.row == "FOMAML" and "mini" in cell.place} == {"Finn et al. 2017"}


def test_what_a_paper_says_is_about_so_much_says_so(cells):
    assert [cell.told for cell in cells if cell.told.startswith("about")] == ["about 56", "about 65"]


def test_each_page_that_a_cell_names_is_in_the_book(cells):
    assert all((project_root() / "book" / f"{page}.md").exists() for page in {cell.page for cell in cells})


def test_a_cell_shows_what_was_measured_at_its_own_shot(cells):
    found = {}
    for each in judge(cells, project_root()):
        if each.cell.place == "Table 1, Omniglot" and each.cell.row == "CL+LSTM":
            found[each.cell.column] = each.ours
    group = groups("online_few_shot", "omniglot", project_root(), "cl_lstm")[0]
    assert found == {f"{shot}-shot": group.accuracy(shot) for shot in (1, 5, 8)}


def test_nothing_run_is_said(tmp_path, cells):
    every = judge(cells, tmp_path)
    assert Counter(each.verdict for each in every) == {"not run": len(cells) - 13, "not in the study": 13}


def test_the_front_page_has_three_papers_and_the_others_together(tmp_path):
    rows = [[each.strip() for each in line.split("|")[1:3]] for line in scorecard.summary(tmp_path).splitlines()]
    assert rows[2:] == [
        ["Babu et al. 2021", "81"], ["Santoro et al. 2016", "102"], ["Munkhdalai and Yu 2017", "34"],
        ["10 others", "63"], ["all", "280"],
    ]  # fmt: skip


def test_it_is_printed(tmp_path, capsys):
    scorecard.print_scorecard(tmp_path)
    printed = capsys.readouterr().out
    command = "`python -m metamemory run support_query --method protonet --setting omniglot_20_way_5_shot --scale paper"
    assert printed.count("\n") == 13 + 4 + 280 + 2 and command in printed
