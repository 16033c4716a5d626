"""Tables of Santoro et al. 2016: its numbers, what it claims, what was not run."""

from metamemory.papers import claims_of
from metamemory.papers.santoro2016 import reported, tables
from metamemory.study.parameters import project_root


def test_the_papers_numbers_are_complete():
    for rows in (reported.TABLE_1, *reported.TABLE_2.values(), *reported.PUBLIC.values()):
        for method, row in rows.items():
            assert tables.title(method) != method and (not row or set(row) == set(reported.INSTANCES))
            assert all(0 <= each.mean < 1 for each in row.values())


def test_tables_say_what_was_not_run(tmp_path):
    table = tables.table_1(tmp_path)
    assert "| MANN " in table and "82.8" in table and "not run" in table
    assert "35.4" in tables.table_2("fifteen", tmp_path)
    assert "not run" in tables.memory_table(tmp_path).lower()
    assert tables.table_1(project_root()).startswith("| method")
    claims = claims_of(tables)(tmp_path).splitlines()
    assert "| 2, 3, 4, 5, 10 " in claims[2] and "+33.3, +35.7, +31.6, +31.3, +35.6" in claims[2]
    assert "NTM" in claims[-1] and all(line.count("not run") == 2 for line in claims[2:])
