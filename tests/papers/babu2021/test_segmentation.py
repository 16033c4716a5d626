"""Table 4 of Babu et al. 2021: its numbers, what it claims, what was not run."""

from metamemory.papers import claims_of
from metamemory.papers.babu2021 import segmentation
from metamemory.papers.babu2021.reported import CELLS, FIRST, TABLE_4


def test_the_papers_numbers():
    assert TABLE_4[FIRST][("masked", 6)].mean == 0.917
    for row in TABLE_4.values():
        assert set(row) == set(CELLS) and all(0.2 < each.mean < 1 for each in row.values())


def test_what_was_not_run_says_so(tmp_path):
    table = segmentation.table_4(tmp_path).splitlines()
    assert len(table) == 2 + 3 * 2 + 1 and sum("not run" in line for line in table) == 4
    assert "65.3" in table[2] and "Fine-tuned U-Net" in table[2] and "nowhere" in table[-1]
    claims = claims_of(segmentation)(tmp_path).splitlines()
    assert "+61.5, +68.1" in claims[2] and "+10.5, +10.3, +10.8, +13.9" in claims[3] and "+6.8, +7.1" in claims[4]
    assert all(line.count("not run") == 2 for line in claims[2:])


def test_a_claim_compares_the_cells_that_it_names():
    masks, first_or_ninth, adapts = segmentation.claims()
    assert [[side[:3] for side in pair] for pair in masks.pairs] == [[FIRST, segmentation.FINE_TUNED]] * 2
    assert [[side[:3] for side in pair] for pair in first_or_ninth.pairs] == [[FIRST, segmentation.NINTH]] * 4
    assert {side[:3] for pair in adapts.pairs for side in pair} == {FIRST}
