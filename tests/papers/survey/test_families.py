"""The families' pages: their numbers, and what is not yet at the papers' size."""

from metamemory.papers.survey import families
from metamemory.papers.survey.support_query import title
from metamemory.study.parameters import Parameters, project_root


def test_a_family_shows_its_own_methods_and_says_what_was_not_run(tmp_path):
    methods = families.members(families.GRADIENT)
    assert {"maml", "maml_inductive", "fomaml", "anil", "reptile", "reptile_transductive"} == set(methods)
    told = families.numbers(families.GRADIENT, tmp_path)
    assert all(f"| {title(method)} " in told for method in methods)
    assert title("protonet") not in told
    assert sum("not run" in line for line in told.splitlines()) == len(methods)
    assert "; ".join(map(title, methods)) in told.splitlines()[-1]
    assert not families.costs(families.GRADIENT, tmp_path)


def test_a_method_at_the_papers_size_is_not_among_those_that_are_not():
    said = families.missing(families.members(families.METRIC), project_root())
    assert title("siamese") in said and title("protonet") not in said
    assert not families.missing(["protonet"], project_root())
    assert f"| {title('protonet')} " in families.costs(families.METRIC, project_root())


def test_every_learner_of_the_protocol_is_on_one_page():
    pages = [families.METRIC, families.GRADIENT, families.MEMORY, families.NEURAL_PROCESS]
    grouped = [method for page in pages for method in families.members(page)]
    assert sorted(grouped) == sorted(Parameters(project_root()).methods("support_query"))
