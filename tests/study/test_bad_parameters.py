"""Whatever is wrong in params.yaml, in params/, on the command line or in a notebook: one line that names it.

Nothing is run or written.
"""

import copy
import itertools
import shutil

import pytest
import yaml

from metamemory.__main__ import main
from metamemory.errors import UserError
from metamemory.study import parameters as module
from metamemory.study.parameters import Parameters, parse_overrides, project_root
from metamemory.study.runs import Run, configuration
from metamemory.yaml_files import parse_yaml, read_yaml

ROOT = project_root()
NAMES = ["params.yaml", *(f"params/{paper}.yaml" for paper in Parameters(ROOT, checked=False).papers)]
ELSEWHERE = ("priority", "keep")  # sections of params.yaml that are checked where they are used
FILES = {name: {key: each for key, each in read_yaml(ROOT / name).items() if key not in ELSEWHERE} for name in NAMES}
TIMES = 2  # that a change is tried in a file by the quick test, at places far apart


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A project with nothing but parameters."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "params.yaml", folder)
    shutil.copytree(ROOT / "params", folder / "params")
    return folder


def places(values, before=()):
    """Of all keys and items, as keys and numbers from the top."""
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        yield (*before, key)
        if isinstance(value, dict | list):
            yield from places(value, (*before, key))


def at(values, place):
    for key in place:
        values = values[key]
    return values


def is_name(place):
    """Whether the last key of a place is a name that may be any."""
    return isinstance(place[-1], int) or len(place) == 2 or (len(place) == 4 and place[2] in ("methods", "settings"))


def misspelt(section, key):
    section.update({f"{each}q" if each == key else each: section.pop(each) for each in list(section)})


def another_kind(section, key):
    section[key] = {"q": 1} if not isinstance(section[key], dict) else "q"


def a_number(section, key):
    section[key] = -7.5


def not_a_number(section, key):
    section[key] = float("nan")


def empty(section, key):
    section[key] = None


def missing(section, key):
    del section[key]


CHANGES = [misspelt, another_kind, a_number, not_a_number, empty, missing]


def said(root, name, values):
    """The error of a changed file, in one line; None where it is taken."""
    (root / name).write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    try:
        module.VALID.clear()
        Parameters(root)
    except UserError as error:
        assert len(str(error).splitlines()) == 1 and any(each in str(error) for each in NAMES), str(error)
        return str(error)
    finally:
        (root / name).write_text(yaml.safe_dump(FILES[name], sort_keys=False), encoding="utf-8")
    return None


def may_be(change, name, place, value):
    """Whether a file may be so changed: names are any; what says nothing stands for nothing; what has defaults."""
    if change is misspelt:
        return is_name(place) or place[-2:-1] == ("others",)
    if change is missing:  # it has a default, or is one entry less
        return True
    if change is empty:  # an entry, and settings that are None by default
        entry = (len(place) == 4 and place[2] in ("methods", "settings")) or place[-2:-1] == ("methods",)
        return entry or place[-1] in ("classes", "images_per_class", "labels", "augmented", "chunks", "ways", "tasks")
    return place[-1] in ("title",) or place[0] == "papers"


def tried(root, change, name, every, first=0):
    for place in itertools.islice(places(FILES[name]), first, None, every):
        values = copy.deepcopy(FILES[name])
        section = at(values, place[:-1])
        here = copy.deepcopy(section)
        if (change is misspelt and isinstance(section, list)) or section[place[-1]] is None:
            continue
        change(section, place[-1])
        if section == here:
            continue
        message = said(root, name, values)
        assert message or may_be(change, name, place, at(FILES[name], place)), (change.__name__, name, place)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", CHANGES)
def test_some_wrong_entries_of_the_files(root, name, change):
    count = sum(1 for _ in places(FILES[name]))
    every = count // TIMES if name != "params.yaml" else 1
    tried(root, change, name, every, first=CHANGES.index(change) * 11 % every)


@pytest.mark.mutation  # minutes each
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", CHANGES)
def test_every_wrong_entry_of_the_files(root, name, change):
    tried(root, change, name, 1)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("params.yaml", "seeds: [0]", "seeds: [0]\nseeds: [1]", "params.yaml, line [0-9]+: seeds is there twice"),
        ("params.yaml", "seeds: [0]", "seeds: [0, 0]", "seeds is .*, and must have each seed once"),
        ("params/santoro2016.yaml", "scales: {extends: mann_classification}", "scales: {extends: mann_clasification}",
         "experiments.mann_strings.scales: no experiment 'mann_clasification'; did you mean mann_classification"),
        ("params.yaml", "seeds: [0]", "seeds: [010]", "line [0-9]+: 010: write a number without 0 before it"),
        ("params.yaml", "seeds: [0]", "seeds: [yes]", "seeds is .'yes'., and must be"),
        ("params.yaml", "seeds: [0]", "seeds: &a [0]", "line [0-9]+: anchors, aliases, merges and tags are not read"),
        ("params.yaml", "seeds: [0]", "seeds: [" * 5000, "is not YAML"),
        ("params.yaml", "seeds: [0]", "seeds:\t[0\n\t0", "is not YAML"),
        ("params.yaml", "seeds: [0]", "1: 2", "1 is no name"),
        ("params.yaml", "seeds: [0]", "seed: [0]", "has no seeds"),
        ("params.yaml", "scale: laptop", "scale: labtop", "scale is 'labtop', and must be one of smoke, laptop, paper"),
        ("params.yaml", "scale: laptop", "scale: [laptop]", "scale is .*, and must be one of"),
        ("params.yaml", "[omniglot]", "[omniglot, omniglot]", "must have each name once"),
        ("params/babu2021.yaml", "smoke: {model: {hidden: 16}}", "smok: {model: {hidden: 16}}", "did you mean smoke"),
        ("params/babu2021.yaml", "smoke: {model: {hidden: 16}}", "smoke: {modle: {hidden: 16}}", "did you mean model"),
        ("params/babu2021.yaml", "learning_rate: 0.01}", "learning_rate: .nan}", "learning_rate is nan, and must be"),
        ("params/babu2021.yaml", "learning_rate: 0.01}", "learning_rate: .inf}", "learning_rate is inf, and must be"),
        ("params/babu2021.yaml", "learning_rate: 0.01}", "learning_rate: 2024-01-01}", "'2024-01-01', and must be"),
        ("params/babu2021.yaml", "rotations: true", "rotations: yes", "rotations is 'yes', and must be true or false"),
        ("params/babu2021.yaml", "      smoke:\n", "      smoky:\n", "no setting 'smoky'; did you mean smoke"),
        ("params/babu2021.yaml", "{learner: vgg, title", "{learner: vgg, shade: -1, title", "shade is -1"),
        ("params/babu2021.yaml", "pool_after: [1, 2]", "pool_after: [99]", "pool_after is .99., and must be a list"),
        ("params/babu2021.yaml", "experiments:\n", "experiments: {}\nexperiments:\n", "experiments is there twice"),
    ],
)  # fmt: skip
def test_what_yaml_can_be_wrong_in(root, name, old, new, message):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert old in text
    (root / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    try:
        with pytest.raises(UserError, match=message) as refused:
            Parameters(root)
        assert len(str(refused.value).splitlines()) == 1 and name in str(refused.value)
    finally:
        (root / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfes\x00c\x00", b"scale: \xe9", b"a: \x00", b"\xef\xbb\xbf", b"- a\n--- \nb"]
)
def test_files_that_are_no_parameters(tmp_path, content):
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(UserError, match="params.yaml") as refused:
        Parameters(tmp_path)
    assert len(str(refused.value).splitlines()) == 1


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "params.yaml").mkdir()
    with pytest.raises(UserError, match="params.yaml cannot be read: Is a directory"):
        Parameters(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1E5", 1e5), ("-2.5e+1", -25.0), (".5", 0.5), ("1_000", 1000), ("0x10", 16), ("0o10", 8),
        ("yes", "yes"), ("off", "off"), ("1:30", "1:30"), ("true", True), ("~", None),
        ("0", 0), ("-0", 0), ("0.5", 0.5), ("1.", 1.0), ("e5", "e5"), ("'010'", "010"),
    ],
)  # fmt: skip
def test_scalars_are_read_as_dvc_reads_them(text, value):
    from ruamel.yaml import YAML

    found = parse_yaml(f"a: {text}")["a"]
    assert found == value and type(found) is type(value)
    assert YAML(typ="safe").load(f"a: {text}")["a"] == value


SET = [
    "training.clip_norm=.nan", "training.clip_norm=nan", "training.warmup=-5", "task.rotations='yes'",
    "task.rotations=1", "model.filters=-1", "model.filters=1e9", "model.pool_after=[99]", "model.pool_after=[1, 1]",
    "model.inject=[cl9]", "model.precision=float16", "training=5", "training.episode=5",
    "evaluation.batch_size=0", "modle.filters=4",
    "task.n_way=true", "model={}}", "model.filters", "=3", "training.learning_rate=.inf",
    "training.learning_rate=-1e-3",
    "curriculum=[3]", "curriculum=[{n_ways: 2}]", "curriculum=nobody", "data.size=-1", "learner=3",
    "training.episodes=1.5",
]  # fmt: skip


@pytest.mark.parametrize("setting", SET)
@pytest.mark.parametrize("command", ["run", "config"])
def test_what_is_set_by_hand(tmp_path, monkeypatch, capsys, command, setting):
    monkeypatch.setattr("metamemory.study.runs.conduct", lambda *_: pytest.fail("a run began"))
    words = [command, "online_few_shot", "--method", "cl_lstm", "--scale", "smoke", "--set", setting]
    monkeypatch.setattr("metamemory.study.runs.Begun", lambda *_: pytest.fail("a run was to begin"))
    before = {path for folder in ("runs", "results") for path in (ROOT / folder).rglob("*")}
    monkeypatch.chdir(ROOT)
    assert main(words) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1 and not captured.out
    assert {path for folder in ("runs", "results") for path in (ROOT / folder).rglob("*")} == before


WRONG = {
    "another kind": "{q: 1}", "items of another kind": "[{q: 1}]", "null": "null", "not a number": ".nan",
    "negative": "-7.5", "negative and whole": "-7", "a word": "qq", "endless": "1e400", "true": "true",
}  # fmt: skip


def settings(values, before=()):
    """Of all settings and sections of a configuration, with the value."""
    for key, value in values.items():
        yield (*before, key), value
        if isinstance(value, dict):
            yield from settings(value, (*before, key))


OPTIONAL = {"other", "split", "augmented", "test_steps", "ways", "points", "tasks", "groups", "classes", "labels"}
OPTIONAL |= {"images_per_class", "side", "chunks"}


def can_be(kind, key, value):
    """Whether a setting may be set so: names are looked up later, None may be a default, some numbers any."""
    if kind == "null":
        return key in OPTIONAL
    if kind == "true":
        return isinstance(value, bool)
    if kind == "a word":
        return key in ("name", "other", "split")
    return kind.startswith("negative") and key in ("forget_bias", "gain")


def set_by_hand():
    """Every setting of every protocol with every learner, of whichever run has it first."""
    parameters, seen = Parameters(ROOT), set()
    for run in (run for each in parameters.experiments for run in parameters.combinations(each)):
        config = parameters.configuration(*run, {})
        for place, value in settings(config):
            if (known := (config["protocol"], config["learner"], place)) not in seen:
                seen.add(known)
                yield parameters, run, place, value


def try_settings(every):
    refused = 0
    for parameters, run, place, value in itertools.islice(set_by_hand(), 0, None, every):
        name = ".".join(place)
        for kind, text in {**WRONG, "misspelt": "1"}.items():
            word = f"{name}q=1" if kind == "misspelt" else f"{name}={text}"
            try:
                parameters.configuration(*run, parse_overrides([word]))
            except UserError as error:
                assert len(str(error).splitlines()) == 1 and place[-1] in str(error), (run, word, str(error))
                refused += 1
            else:
                as_in_training = kind == "null" and place[0] == "tests"  # of learned rules
                assert as_in_training or can_be(kind, place[-1], value), (run, word)
    return refused


def test_some_settings_set_wrongly():
    assert try_settings(every=23) > 700


@pytest.mark.slow  # half a minute
def test_every_setting_set_wrongly():
    assert try_settings(every=1) > 19_000


@pytest.mark.parametrize(
    "path",
    ["qq", "", "runs/a", "/tmp/x", "{", "{x}", "runs/smoke/a/{x}/b/seed0/model.safetensors",
     "runs/smoke/../{method}/b/seed0/model.safetensors", "runs/smoke/a/{method.x}/b/seed0/model.safetensors",
     "../runs/smoke/a/b/c/seed0/model.safetensors", "runs/smoke/a/b/c/seed{seed}/model.pt"],
)  # fmt: skip
def test_weights_of_another_run_are_where_a_run_leaves_them(path):
    named = ("smoke", "inspection", "lstm", Parameters(ROOT).settings("inspection")[0])
    with pytest.raises(UserError, match=r"^trained is .*, and must be the weights of a run"):
        configuration(Run(*named, 0, {"trained": path}, ROOT))
    for fine in (
        "runs/smoke/a/{method}/b,c=1/seed{seed}/model.safetensors",
        "runs/laptop/a/b/c/seed3/model.safetensors",
    ):
        assert configuration(Run(*named, 0, {"trained": fine}, ROOT))["trained"] == fine


LARGE = RuntimeError("Storage size calculation overflowed with sizes=[1000000000, 1000000000, 1000000000]")


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory:\nyou tried"), LARGE, None]
)
def test_no_more_memory_is_one_line(monkeypatch, capsys, error):
    """Images, batches or layers of any size may be asked for."""
    from torch import OutOfMemoryError

    def fail(*_):
        raise error or OutOfMemoryError("CUDA out of memory.\nTried")

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("metamemory.study.runs.execute", fail)
    words = ["run", "online_few_shot", "--method", "lstm", "--scale", "smoke"]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: out of memory (") and said.count("\n") == 1 and "smaller batches" in said
    error = RuntimeError("another fault")
    with pytest.raises(RuntimeError, match="another fault"):
        main(words)


def test_a_setting_is_set_once():
    assert parse_overrides(["a.b=1", "a.c=2"]) == {"a": {"b": 1, "c": 2}}
    for twice in (["a.b=1", "a.b=2"], ["a=1", "a.b=2"], ["a.b=1", "a={c: 2}"]):
        with pytest.raises(UserError, match="is set twice"):
            parse_overrides(twice)


@pytest.mark.parametrize(
    "overrides", [{"training": {"episode": 5}}, {"task": {"n_ways": 2}}, [1], "task", {"task": {"delay": -1}}]
)
def test_overrides_of_a_notebook_are_checked_where_it_reads_its_configuration(overrides):
    """Its first cell asks for the configuration, the next ones build tasks from it."""
    named = ("smoke", "online_few_shot", "cl_lstm", "omniglot")
    with pytest.raises(UserError):
        Parameters(ROOT).configuration(*named, overrides)
    with pytest.raises(UserError):
        configuration(Run(*named, 0, overrides, ROOT))
