"""Tables of Santoro et al. 2016: its numbers, what it claims, what was not run."""

from itertools import product

from metamemory.papers import claims_of
from metamemory.papers.santoro2016 import reported, tables
from metamemory.study.methods import method as method_named
from metamemory.study.parameters import SCALES, Parameters, project_root


def test_the_ablation_differs_from_the_printed_equations_in_its_settings_alone():
    """So that runs of `mann_classification` are those as printed; and all four together are the four."""
    parameters, together = Parameters(project_root()), {}
    assert list(tables.DIFFERENCES) == parameters.settings(tables.ABLATION)
    assert list(tables.STRENGTHS) == parameters.methods(tables.ABLATION)
    for scale, method, setting in product(SCALES, tables.STRENGTHS, tables.DIFFERENCES):
        found = parameters.configuration(scale, tables.ABLATION, method, setting, {})
        printed = parameters.configuration(scale, tables.CLASSIFICATION, method, "five", {})
        changed = {key: value for key, value in found["model"].items() if printed["model"].get(key) != value}
        assert {**found, "model": printed["model"]} == printed and set(printed["model"]) <= set(found["model"])
        assert printed["model"].get("strength", 1) == float(tables.STRENGTHS[method])
        if setting == "public_code":
            assert changed == together and len(changed) == 4
            together = {}
        else:
            assert len(changed) == 1
            together |= changed
    shown = method_named("mann_value_strength").model
    assert shown == {"strength": 10.0} | parameters.expanded(tables.ABLATION)["settings"]["value"]["model"]


def test_what_a_difference_adds_is_said(monkeypatch):
    """Of two results as printed, one of which stands in for a run of the ablation; what is not there is said."""
    groups = tables.groups

    def some(experiment, setting, root, method=None):
        if experiment == tables.ABLATION:
            return groups(tables.CLASSIFICATION, "five", root, "lstm") if setting == "value" else []
        return groups(experiment, setting, root, method)

    monkeypatch.setattr(tables, "groups", some)
    lines = tables.ablation_effects(project_root()).splitlines()
    (line,) = (each for each in lines if each.startswith("- **Key strength 1, laptop scale"))
    found = [groups(tables.CLASSIFICATION, "five", project_root(), each) for each in ("mann", "lstm")]
    ends = [next(each for each in of_method if each.run.scale == "laptop") for of_method in found]
    at = [100 * (ends[1].accuracy(shot).mean - ends[0].accuracy(shot).mean) for shot in (1, 4, 9)]
    assert line.endswith(f"not the key: {', '.join(f'{each:+.1f}' for each in at)}.") and "not run" not in line


def test_the_papers_numbers_are_complete():
    for rows in (reported.TABLE_1, *reported.TABLE_2.values(), *reported.PUBLIC.values()):
        for method, row in rows.items():
            assert tables.title(method) != method and (not row or set(row) == set(reported.INSTANCES))
            assert all(0 <= each.mean < 1 for each in row.values())


def test_tables_say_what_was_not_run(tmp_path):
    table = tables.table_1(tmp_path)
    assert "| MANN " in table and "82.8" in table and "**98.1**" in table and "not run" in table
    assert "35.4" in tables.table_2("fifteen", tmp_path)
    assert "not run" in tables.memory_table(tmp_path).lower()
    ablation = tables.ablation_table(tmp_path).splitlines()
    assert len(ablation) == 2 + 1 + 2 + 2 * 6 and sum(" not run |" in line for line in ablation) == 12
    assert "82.8" in ablation[2] and "88.8" in ablation[3] and not tables.ablation_effects(tmp_path)
    assert tables.table_1(project_root()).startswith("| method")
    claims = claims_of(tables)(tmp_path).splitlines()
    assert "| 2, 3, 4, 5, 10 " in claims[2] and "+33.3, +35.7, +31.6, +31.3, +35.6" in claims[2]
    assert "NTM" in claims[-1] and all(line.count("not run") == 2 for line in claims[2:])
