"""Runs go from one project to another as archives, and nothing else does."""

import io
import json
import random
import shutil
import zipfile

import pytest

from metamemory.study import runs
from metamemory.study.locks import read_stages
from metamemory.study.runs import Run
from metamemory.study.stored import read_manifest, seal
from metamemory.study.work import archives
from metamemory.study.work.archives import Item, as_bytes, read, share_out
from metamemory.training.checkpoint import Checkpoint

RUN = {"scale": "smoke", "experiment": "few_shot", "method": "lstm", "setting": "one", "seed": 0}
ONE = ("--only", "few_shot/lstm/one/seed0")


def item(name, *sizes, state="unfinished"):
    names = ["checkpoint.pt"] if state == "unfinished" else sorted(archives.NAMES["finished"])
    files = {each: random.Random(name).randbytes(size) for each, size in zip(names, sizes, strict=True)}
    return Item({**RUN, "method": name}, state, {"configuration": "c", "source": "s", "data": "d"}, 8, files)


def written(tmp_path, pieces):
    paths = [tmp_path / f"{number}.zip" for number in range(len(pieces))]
    for path, each in zip(paths, pieces, strict=True):
        path.write_bytes(as_bytes(each))
    return paths


@pytest.mark.parametrize("count", [1, 2, 8])
@pytest.mark.parametrize("size", [40_000, 100_000, 400_000])
def test_archives_are_no_larger_than_asked_for_and_hold_the_first_runs(tmp_path, count, size):
    items = [
        item("a", 90_000),
        item("b", 3_000, 0, 2_000, 60_000, 10, 300, state="finished"),
        item("c", 300_000),
        item("d", 10_000),
        item("e", 0),
    ]
    pieces, left_out = share_out(items, count, size)
    paths = written(tmp_path, pieces)
    assert len(paths) <= count and all(path.stat().st_size <= size for path in paths)
    found, wrong = read(paths)
    assert not wrong
    assert {each.place: each.files for each in found} == {
        each.place: each.files for each in items if each not in left_out
    }
    if left_out:
        assert sum(each.size for each in items) > (count - 1) * (size - 8192)
    if size == 400_000:  # which all fit into
        whole = [each for each in found if each.size < size]
        alone = [read([path])[0] for path in paths]
        assert sorted(each.place for one in alone for each in one) == sorted(each.place for each in whole)


def test_a_run_in_parts_needs_all_of_them(tmp_path):
    paths = written(tmp_path, share_out([item("a", 90_000)], 8, 40_000)[0])
    assert len(paths) == 3
    for missing in paths:
        found, wrong = read([path for path in paths if path != missing])
        assert not found and "checkpoint.pt is not whole: give all archives" in wrong[0]
    assert read(paths[::-1])[0][0].files == item("a", 90_000).files


def test_finished_and_unfinished_runs_come_home(make_little, tmp_path):
    away, home = make_little("away"), make_little("home")
    away.run("run", "few_shot", "--method", "lstm_large", "--minutes", "0")
    out = tmp_path / "out"
    said = away.run("work", *ONE, "--export", str(out), "--minutes", "600")
    assert f"{out}: 1 finished, 0 unfinished" in said
    said = away.run("work", "--minutes", "0", "--export", str(out), code=3)
    assert f"{out}: 1 finished, 1 unfinished" in said and [path.name for path in out.iterdir()] == ["runs-1.zip"]
    said = home.run("import", str(out))
    assert "imported: smoke/few_shot/lstm/one/seed0\n" in said and "2 imported, 0 already here, 0 refused" in said
    assert "imported: smoke/few_shot/lstm_large/one/seed0, unfinished at episode 8" in said
    assert home.weights() == away.weights()
    assert "few_shot@smoke-lstm-one-0" in read_stages(home.root / "notebooks/little/few_shot/dvc.lock")
    assert "0 imported, 2 already here, 0 refused" in home.run("import", str(out / "runs-1.zip"))
    assert home.run("work", *ONE) == "Nothing is left to do\n"
    goes_on = home.run("work", "--only", "few_shot/lstm_large/one/seed0")
    assert "few_shot/lstm_large/one/seed0: goes on" in goes_on
    away.run("work", "--only", "few_shot/lstm_large/one/seed0")
    assert home.weights() == away.weights()
    assert "smoke/few_shot/lstm_large/one/seed0, finished" in home.run("import", str(out))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Filled by the first test that needs it: a project whose run is finished, and its archive."""
    return {"folder": tmp_path_factory.mktemp("done")}


@pytest.fixture
def archive(done, make_little):
    """The archive of a finished run."""
    path = done["folder"] / "runs-1.zip"
    if not path.exists():
        away = make_little("away")
        away.run("run", "few_shot", "--method", "lstm")
        run = Run(**RUN, root=away.root)
        path.write_bytes(as_bytes(share_out([archives.finished_item(run)], 1, 2**20)[0][0]))
    return path


def changed(archive, tmp_path, change):
    """The archive with its index, or its manifest, changed, and all digests right."""
    (found,) = read([archive])[0]
    change(found)
    path = tmp_path / "changed.zip"
    path.write_bytes(as_bytes(share_out([found], 1, 2**20)[0][0]))
    return path


def with_manifest(**values):
    def change(found):
        manifest = json.loads(found.files["manifest.json"]) | values
        manifest["sha256"] = seal(manifest)
        found.files["manifest.json"] = json.dumps(manifest).encode()

    return change


def with_digests(**values):
    def change(found):
        found.digests = {**found.digests, **values}
        fingerprint = runs.fingerprint(found.digests, found.run["seed"])
        with_manifest(digests=found.digests, fingerprint=fingerprint)(found)

    return change


def renamed(**values):
    def change(found):
        found.run = {**found.run, **values}
        with_manifest(run={**found.run, "overrides": {}})(found)

    return change


def with_file(name, content):
    def change(found):
        found.files[name] = content

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_digests(source="source/2:old"), "it was made with another source than today's, and no lineage here"),
        (with_digests(configuration="c", source="s"), "another configuration and source than today's"),
        (with_digests(data="other"), "made from other data than here (glyphs"),
        (with_digests(trained="w"), "its digests are of configuration, source, data, trained, and here of"),
        (with_digests(source=3), "another source"),
        (renamed(method="mann"), "of another study: params/little.yaml: no method 'mann'"),
        (renamed(experiment="looking_at"), "of another study: params.yaml: no experiment 'looking_at'"),
        (renamed(scale="huge"), "of another study: params.yaml: no scale 'huge'"),
        (renamed(setting="../../../../../escaped"), "of another study: params/little.yaml: no setting"),
        (renamed(seed=-1), "its seed is -1"),
        (renamed(seed=1), "its manifest does not have the digests"),
        (with_manifest(fingerprint="f"), "its manifest does not have the digests that the archive says"),
        (with_manifest(run={**RUN, "seed": 5}), "its manifest is of another run"),
        (
            with_manifest(run={**RUN, "overrides": {"model.hidden": 5}}),
            "its manifest is of another run, or of one with",
        ),
        (with_file("manifest.json", b"[1, 2]"), "it is damaged"),
        (with_file("manifest.json", b"\xff\x00"), "it is damaged"),
        (with_file("model.safetensors", b"weights"), "its files do not have the digests that its manifest says"),
    ],
)
def test_what_is_not_of_this_study_is_refused_with_the_reason(little, archive, tmp_path, change, message):
    before = sorted(path.name for path in tmp_path.iterdir())
    said = little.run("import", str(changed(archive, tmp_path, change)), code=1)
    assert message in said and "Traceback" not in said and "0 imported, 0 already here, 1 refused" in said
    assert not little.weights() and not list((little.root / "results").rglob("*.*"))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "changed.zip"])


def test_a_refused_run_leaves_the_one_that_is_here(little, archive, tmp_path):
    little.run("import", str(archive))
    kept = little.weights()
    run = Run(**RUN, root=little.root)
    run.result("scores.csv").unlink()  # so that it is not finished
    bad = changed(archive, tmp_path, with_file("model.safetensors", b"weights"))
    assert "1 refused" in little.run("import", str(bad), code=1)
    assert little.weights() == kept and run.result("manifest.json").exists() and not run.result("scores.csv").exists()
    assert "1 imported" in little.run("import", str(archive)) and runs.finished(run)


def test_what_a_lineage_carries_over_is_admitted(little, archive, tmp_path):
    little.run("import", str(archive))
    run = Run(**RUN, root=little.root)
    manifest = read_manifest(run)
    new = {name: manifest["digests"][name] for name in ("configuration", "source")}
    middle, old = {**new, "source": "source/2:middle"}, {"configuration": "c", "source": "source/2:old"}
    steps = [{"commit": "first", "old": old, "new": middle, "proof": "p"}]
    steps += [{"commit": "second", "old": middle, "new": new, "proof": "p"}]
    other = Run(**{**RUN, "seed": 7}, root=little.root)  # another seed of it has the lineage
    other.result("manifest.json").parent.mkdir(parents=True, exist_ok=True)
    of_other = {**manifest, "run": {**manifest["run"], "seed": 7}, "lineage": steps}
    text = json.dumps({**of_other, "sha256": seal(of_other)})
    other.result("manifest.json").write_text(text, encoding="utf-8")
    run.model.unlink()
    said = little.run("import", str(changed(archive, tmp_path, with_digests(**old))))
    assert "imported: smoke/few_shot/lstm/one/seed0 (carried over from first)" in said
    found = read_manifest(run)
    assert found["lineage"] == steps and found["digests"] == manifest["digests"]
    assert runs.finished(run) == found["fingerprint"] == manifest["fingerprint"]


def test_the_further_checkpoint_is_kept(make_little, tmp_path):
    away, home = make_little("away"), make_little("home")
    for project in (away, home):
        project.run("run", "few_shot", "--method", "lstm", "--minutes", "0")
    home.run("run", "few_shot", "--method", "lstm", "--minutes", "0")
    away.run("work", *ONE, "--minutes", "0", "--export", str(tmp_path / "out"), code=3)
    assert "already here: smoke/few_shot/lstm/one/seed0, unfinished at episode 16" in home.run(
        "import", str(tmp_path / "out")
    )
    for _ in range(2):
        away.run("run", "few_shot", "--method", "lstm", "--minutes", "0")
    away.run("work", *ONE, "--minutes", "0", "--export", str(tmp_path / "out"), code=3)
    assert "unfinished at episode 24" in home.run("import", str(tmp_path / "out"))
    (path,) = (home.root / ".resume").glob("*.pt")
    _, state = next(Checkpoint(path).states("cpu"))
    assert state["position"]["episodes"] == 24


def test_damaged_archives_are_refused(little, archive, tmp_path):
    """A byte is another, or the end is missing: what is placed nevertheless is whole."""
    content, draws = archive.read_bytes(), random.Random(0)
    bad = tmp_path / "bad.zip"
    ways = [content[: draws.randrange(len(content))] for _ in range(30)]
    for _ in range(60):
        at = draws.randrange(len(content))
        ways.append(content[:at] + bytes([content[at] ^ (1 << draws.randrange(8))]) + content[at + 1 :])
    whole = {each.place: each.files for each in read([archive])[0]}
    refused = 0
    for each in ways:
        bad.write_bytes(each)
        found, wrong = read([bad])
        assert all(item.files == whole.get(item.place, item.files) for item in found)
        refused += bool(wrong)
    assert refused >= 60
    bad.write_bytes(content[: len(content) // 2])
    assert "refused: " in little.run("import", str(bad), code=1) and not little.weights()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "is not there"),
        (lambda path: path.write_bytes(b""), "is no archive of `work --export`, or damaged"),
        (lambda path: path.mkdir(), "holds no archives (*.zip) of `work --export`"),
        (lambda path: zipfile.ZipFile(path, "w").close(), "it has no index.json"),
        (lambda path: of_index(path, {"format": "other"}), "its format is 'other', not 'metamemory-runs/1'"),
        (lambda path: of_index(path, [1]), "or damaged"),
        (lambda path: of_index(path, {"format": "metamemory-runs/1", "items": [{"run": 3}]}), "or damaged"),
        (lambda path: of_index(path, {"format": "metamemory-runs/1"}), "or damaged"),
    ],
)
def test_what_is_no_archive_is_said_in_one_line(little, tmp_path, make, message):
    path = tmp_path / "some.zip"
    make(path)
    said = little.run("import", str(path), code=1)
    assert message in said and "Traceback" not in said


def of_index(path, value):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("index.json", json.dumps(value))


def test_no_more_is_read_than_the_index_says(archive, tmp_path):
    """An entry that unpacks to more than it should is not unpacked."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, bytes(50_000_000) if name.endswith("model.safetensors") else source.read(name))
    (tmp_path / "bomb.zip").write_bytes(buffer.getvalue())
    found, wrong = read([tmp_path / "bomb.zip"])
    assert not found and "has more than" in wrong[0]


def test_archives_of_runs_that_are_not_here_are_not_written_over(little, archive, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    shutil.copy(archive, out / "runs-1.zip")
    said = little.run("work", *ONE, "--export", str(out), code=1)
    assert "has smoke/few_shot/lstm/one/seed0, which is not here" in said and not little.weights()
    (out / "runs-1.zip").write_bytes(b"damaged")
    assert "delete it, or name another folder" in little.run("work", *ONE, "--export", str(out), code=1)
    (tmp_path / "file").write_bytes(b"")
    assert "cannot be made" in little.run("work", *ONE, "--export", str(tmp_path / "file" / "out"), code=1)
    assert "is not from 1 to 1000" not in little.run("import", str(archive))
