"""The mistakes of `mutations.py` are caught, each by the tests that are named for it."""

import importlib.util
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("mutations", Path(__file__).with_name("mutations.py"))
mutations = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = mutations  # where a dataclass looks itself up
_spec.loader.exec_module(mutations)

every_mutation = pytest.mark.parametrize("mutation", mutations.MUTATIONS, ids=lambda each: each.name)


@every_mutation
def test_the_text_is_there_once_and_its_tests_as_well(mutation):
    """Where code was rewritten, a mutation must be written again: it is not to be lost."""
    assert mutation.file.name and mutation.old != mutation.new
    for path in mutation.tests.split():
        assert (mutations.ROOT / path.partition("::")[0]).exists(), path


def test_names_are_different():
    assert len({each.name for each in mutations.MUTATIONS}) == len(mutations.MUTATIONS)


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """Of compiled C sources."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.mutation
def test_a_copy_without_a_mistake_passes(tmp_path, cache):
    copy = mutations.make_copy(tmp_path / "copy")
    every = sorted({path for each in mutations.MUTATIONS for path in each.tests.split()})
    done = mutations.run_tests(copy, " ".join(every), cache)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.mutation
@every_mutation
def test_a_mistake_is_caught(mutation, tmp_path, cache):
    copy = mutations.make_copy(tmp_path / "copy")
    mutations.mutate(copy, mutation)
    done = mutations.run_tests(copy, mutation.tests, cache)
    assert done.returncode == 1, f"{mutation.name}: exit code {done.returncode}\n{done.stdout[-3000:]}"
