"""Every committed result is what its run would give today, or is on the list of those that are not, with the reason."""

import re

import pytest

from metamemory.study import runs, stale
from metamemory.study.parameters import project_root
from metamemory.study.results import finished

ROOT = project_root()
COMMITTED = ("laptop", "paper")  # a user's own smoke runs, which Git ignores, may be of any code
RESULTS = [result for result in finished(ROOT) if result.run.scale in COMMITTED]
CARRIED = [result for result in RESULTS if "lineage" in result.manifest]
DIGEST = re.compile(r"(source/2:)?[0-9a-f]{64}")


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.run.place)
def test_a_result_is_fresh_or_on_the_list_of_stale_ones(result):
    listed = stale.stale(result.run)
    reason = stale.differs(result.run, result.manifest, runs.configuration(result.run))
    if reason is None:
        assert listed is None, f"{result.run.place} is fresh: take it from results/stale.json, by `carry`"
    else:
        assert listed, f"{result.run.place}: {reason}. Carry it over (`python -m metamemory carry`), or run it again"


def test_the_list_is_of_results_that_are_there():
    listed = stale.listed(ROOT)
    assert (ROOT / stale.LIST).exists()
    assert set(listed) <= {result.run.place for result in RESULTS}
    assert list(listed) == sorted(listed) and all(listed.values())


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.run.place)
def test_a_configuration_is_that_of_today(result):
    """The old and the new configuration build the same learner, task and training: after each change of what parameters
    look like, those of manifests are written in the new way, and must be what the parameters say."""
    config = runs.configuration(result.run)
    reason = stale.stale(result.run) or ""
    if not reason.startswith("its configuration"):
        assert stale.different(result.manifest["configuration"], config) == []


@pytest.mark.parametrize(
    "result", [each for each in RESULTS if "lineage" in each.manifest], ids=lambda each: each.run.place
)
def test_a_lineage_leads_from_what_was_to_what_is(result):
    lineage, digests = result.manifest["lineage"], result.manifest["digests"]
    for step, after in zip(lineage, [*lineage[1:], None], strict=True):
        assert re.fullmatch(r"[0-9a-f]{40}", step["commit"])
        assert set(step["old"]) == set(step["new"]) == {"configuration", "source"}
        assert all(DIGEST.fullmatch(each) for each in (*step["old"].values(), *step["new"].values()))
        assert step["new"] == (after["old"] if after else {name: digests[name] for name in step["new"]})
        if step["proof"] == "equal shortened run":
            assert step["shortened"]["run"].rpartition("/")[0] == result.run.place.rpartition("/")[0]
            assert step["shortened"]["episodes"] > 0
            gpu = any("GPU" in each for each in step.get("not_covered", ()))
            assert gpu == (result.manifest["device"] == "cuda")
        else:
            assert step["proof"] in ("equal definitions", "equal but for refusals")


def test_what_a_run_looks_at_is_what_another_has_trained():
    """The weights that inspection loads are those of the manifest of their run."""
    by_place = {result.run.place: result.manifest for result in RESULTS}
    for result in RESULTS:
        if "trained" in result.manifest["configuration"]:
            path = result.manifest["configuration"]["trained"].format(method=result.run.method, seed=result.run.seed)
            trained = by_place[path.removeprefix("runs/").removesuffix("/model.safetensors")]
            assert result.manifest["digests"]["trained"] == trained["model"]
