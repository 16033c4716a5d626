"""Table 5 of Babu et al. 2021: its numbers, what it claims, what was not run."""

from metamemory.papers import claims_of
from metamemory.papers.babu2021 import supervised
from metamemory.papers.babu2021.reported import TABLE_5
from metamemory.study.methods import title


def test_the_papers_numbers_are_whole():
    for method, row in TABLE_5.items():
        small, large = (row.accuracy[setting].mean for setting in ("cifar100", "cifar10"))
        assert title(method) != method and set(row.accuracy) == set(supervised.DATA) and small < large < 0.92


def test_tables_say_what_was_not_run(tmp_path):
    table = supervised.table_5("cifar10", tmp_path)
    assert table.count("| paper ") == 6 and table.count("not run") == 24
    (row,) = [line for line in supervised.sizes_table().splitlines() if "CL-VGG-11 (0.35×)" in line]
    assert [cell.strip() for cell in row.split("|")[2:6]] == ["9.5", "9.47", "3.28", "111"]


def test_comparable_is_a_margin(tmp_path):
    found = supervised.claims()
    assert {claim.margin for claim in found} == {supervised.MARGIN} and len(found) == 8
    lines = claims_of(supervised)(tmp_path).splitlines()
    assert "CL-VGG-11 (0.5×) is comparable to VGG-11, CIFAR-10" in lines[2] and "| +0.0 " in lines[2]
    assert all(line.count("not run") == 2 for line in lines[2:])
    assert [claim.cells["so by the paper's numbers"] for claim in found[:4]] == ["yes", "yes", "yes", "no"]
