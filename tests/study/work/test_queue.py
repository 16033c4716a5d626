"""What is in the queue, in which order, and who starts what when."""

import math
import time
from types import SimpleNamespace

import pytest

from metamemory.errors import UserError
from metamemory.papers import available
from metamemory.study.parameters import Parameters, project_root
from metamemory.study.quantities import Measured
from metamemory.study.runs import Run
from metamemory.study.today import Today
from metamemory.study.work.plan import outlook, plan
from metamemory.study.work.queue import Job, Queue, matches, named
from metamemory.study.work.scheduler import Scheduler
from metamemory.study.work.workers import Event


def job(name, seconds=None, state="not run", needs=None):
    return Job(Run("smoke", "e", name, "s"), "why", state, "f", needs, 1e6, seconds, "test")


class Told:
    """Workers that end each run as they are told to."""

    def __init__(self, jobs, endings=None):
        self.jobs, self.active, self.began, self.endings = jobs, {}, [], endings or {}

    def room(self, job):
        return len(self.active) < self.jobs

    def start(self, job, minutes):
        self.active[job.run.place] = job
        self.began.append(job.run.method)

    def events(self, seconds):
        job = self.active.pop(next(iter(self.active)))
        return [Event(job, self.endings.get(job.run.method, "finished"), "reason")]

    def stop(self):
        pass

    kill = close = stop


def schedule(jobs, workers, minutes=math.inf, **options):
    estimates = SimpleNamespace(of=lambda job: job, observe=lambda *_: None)
    return Scheduler(jobs, workers, estimates, minutes, **options).run()


def test_no_images_are_read_to_know_what_is_to_be_done(monkeypatch, little):
    """Digests of the data decide, which are written beside them: reading and reducing all images takes minutes."""
    read = []
    monkeypatch.setattr("metamemory.data.images._cached", lambda *given: read.append(given))
    assert Queue(Today(little.root), "smoke").jobs() and not read


def test_what_does_not_fit_is_passed_over_and_then_sliced():
    workers = Told(1, {"long": "stopped"})
    tally = schedule([job("long", 600), job("short", 30), job("none"), job("hour", 3600)], workers, minutes=5)
    assert workers.began == ["short", "none", "long", "hour"]
    assert [each.run.method for each in tally.left] == ["long"]


def test_a_run_waits_for_the_weights_that_it_looks_at():
    first = job("first")
    workers = Told(2)
    schedule([job("looks", needs=first.run.place), first, job("other")], workers)
    assert workers.began == ["first", "other", "looks"]
    workers = Told(2, {"first": "failed"})
    tally = schedule([job("looks", needs=first.run.place), first], workers)
    assert workers.began == ["first"] and tally.failed and [each.run.method for each in tally.left] == ["looks"]


@pytest.mark.parametrize("ending", ["failed", "died", "busy", "stopped"])
def test_how_one_run_ends_stops_no_other(ending, capsys):
    tally = schedule([job("a"), job("b")], Told(1, {"a": ending}))
    assert list(tally.finished) == [job("b").run.place]
    assert bool(tally.failed) == (ending in ("failed", "died")) and bool(tally.left) != bool(tally.failed)
    assert "e/a/s/seed0" in capsys.readouterr().out


def test_nothing_begins_after_a_signal_or_the_end():
    assert not schedule([job("a")], workers := Told(1), interruption=SimpleNamespace(number=15)).finished
    assert not workers.began
    assert not schedule([job("a")], workers := Told(1), minutes=0).finished and not workers.began


def test_the_plan_says_what_the_minutes_will_finish():
    jobs = [job("long", 600), job("short", 30), job("other", 200), job("looks", 1, needs=job("short").run.place)]
    coming = outlook(jobs, 1, minutes=5)
    assert {place.split("/")[2]: each for place, each in coming.items()} == {
        "short": "finished",
        "other": "finished",
        "looks": "finished",
        "long": "a slice",
    }
    assert outlook(jobs, 1, minutes=0) == {}
    text = plan(jobs, 2, 5, "a machine")
    assert "4 runs at scale smoke, 2 side by side on a machine: about 7 minutes" in text
    assert "5 minutes will finish 3, and leave 1 at a checkpoint" in text


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("few_shot", True),
        ("lstm", True),
        ("one", True),
        ("seed3", True),
        ("few_*/lstm", True),
        ("*/*/one", True),
        ("few_shot/lstm/one/seed3", True),
        ("smoke/few_shot/lstm/one/seed3", True),
        ("*", True),
        ("seed", False),
        ("lst", False),
        ("few_shot/one", False),
        ("few_shot/lstm/one/seed30", False),
        ("few_shot/lstm/one/seed3/x", False),
        ("", False),
    ],
)
def test_patterns(pattern, found):
    assert matches(pattern, Run("smoke", "few_shot", "lstm", "one", 3)) == found


def test_shards_share_out_the_queue(little):
    today = Today(little.root)
    whole = list(Queue(today).runs)
    shards = [list(Queue(today, shard=(number, 3)).runs) for number in (1, 2, 3)]
    assert sorted(place for shard in shards for place in shard) == sorted(whole) and all(shards)
    (looking,) = [shard for shard in shards if "smoke/looking/lstm/one/seed0" in shard]
    assert "smoke/few_shot/lstm/one/seed0" in looking  # whose weights it needs
    assert [len(list(Queue(today, shard=(1, 1)).runs))] == [len(whole)]


def test_the_headline_and_the_pipeline_are_parts_of_the_queue(little):
    today = Today(little.root)
    assert list(Queue(today, headline=True).runs) == [
        "smoke/few_shot/lstm/one/seed1",
        "smoke/few_shot/lstm/one/seed0",
    ]
    assert list(Queue(today, headline=True, pipeline=True).runs) == ["smoke/few_shot/lstm/one/seed0"]
    assert not any(each.endswith("seed1") for each in Queue(today, "laptop").runs)
    little.edit("params.yaml", "scales: [smoke]", "scales: [laptop]")
    assert list(Queue(Today(little.root), headline=True).runs) == ["smoke/few_shot/lstm/one/seed0"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("runs: [few_shot/lstm/two]", "runs: [few_shot/lstn/two]", "priority, entry 1: no run 'few_shot/lstn/two'"),
        ("runs: [few_shot/lstm/two]", "runs: few_shot", "priority, entry 1: runs is 'few_shot', and must be a list"),
        ("runs: [few_shot/lstm/two]", "runs: []", r"priority, entry 1: runs is \[\]"),
        ("runs: [few_shot/lstm/two]", "run: [few_shot/lstm/two]", "entry 1: no key 'run'; did you mean runs?"),
        ("why: a claim, ", "", "priority, entry 1: why is None, and must be words"),
        ("seeds: [1]", "seeds: 1", "priority, entry 2: seeds is 1, and must be a list of whole numbers"),
        ("seeds: [1]", "seeds: [-1]", r"priority, entry 2: seeds is \[-1\]"),
        ("scales: [smoke]", "scales: [small]", r"priority, entry 2: scales is \['small'\], and must be some of smoke"),
        ("scales: [smoke]", "scales: smoke", "priority, entry 2: scales is 'smoke'"),
    ],
)
def test_the_priority_list_is_checked(little, old, new, message):
    little.edit("params.yaml", old, new)
    with pytest.raises(UserError, match=message):
        Queue(Today(little.root))


def test_a_list_that_is_none_is_refused(little):
    text = (little.root / "params.yaml").read_text(encoding="utf-8").partition("priority:")[0]
    for wrong in ("priority: 3\n", "priority: {why: a, runs: [b]}\n", "priority: [a]\n"):
        (little.root / "params.yaml").write_text(text + wrong, encoding="utf-8")
        with pytest.raises(UserError, match="params.yaml: priority"):
            Queue(Today(little.root))
    (little.root / "params.yaml").write_text(text, encoding="utf-8")
    assert len(Queue(Today(little.root)).runs) == 7  # none is needed


def test_data_that_are_not_there_are_said_before_anything_runs(little):
    (little.root / "data/glyphs/classes.json").unlink()
    with pytest.raises(UserError, match="data"):
        Queue(Today(little.root)).jobs()


def test_runs_that_papers_claims_are_about_come_first():
    from importlib import import_module

    queue = Queue(Today(project_root()), "paper")
    why = {named(each.run).rpartition("/")[0]: each.why for each in reversed(queue.runs.values())}
    claimed = set()
    for paper in available():
        folder = project_root() / "src/metamemory/papers" / paper
        for path in folder.glob("*.py"):
            module = import_module(f"metamemory.papers.{paper}.{path.stem}")
            for claim in getattr(module, "claims", list)():
                claimed |= {"/".join(side[:3]) for pair in claim.pairs for side in pair if isinstance(side, Measured)}
    assert claimed and all(why[each].startswith("a claim, ") for each in claimed)
    first = [each.why.startswith("a claim, ") for each in queue.runs.values()]
    assert first == sorted(first, reverse=True)  # and nothing is before them


def test_every_run_of_the_parameters_is_in_the_queue():
    parameters = Parameters(project_root())
    queue = Queue(Today(project_root()), "laptop")
    runs = {f"laptop/{'/'.join(each[1:])}" for name in parameters.experiments for each in parameters.combinations(name)}
    assert runs == {place.rpartition("/")[0] for place in queue.runs}
    began = time.monotonic()
    assert Queue(Today(project_root()), "laptop", pipeline=True).runs.keys() < queue.runs.keys()
    assert time.monotonic() - began < 30
