"""params.yaml is read, merged and refused with one clear line."""

import json

import pytest

from metamemory.errors import UserError
from metamemory.models import TaskDescription, build, learner_class
from metamemory.nn.labels import Values
from metamemory.study.parameters import SCALES, Parameters, label_overrides, merge, parse_overrides, project_root
from metamemory.study.runs import planned
from metamemory.training.update import settings_of


@pytest.fixture
def parameters():
    return Parameters(project_root() / "params.yaml")


@pytest.mark.parametrize("scale", SCALES)
def test_every_configuration_in_the_file_is_valid(parameters, scale):
    for run in planned(parameters, scale, parameters.experiments):
        config = parameters.configuration(run.scale, run.experiment, run.method, run.setting, {})
        task, size = config["task"], config.get("data", {"size": 8})["size"]
        kinds = {"mask": 2, "value": Values(1)}.get(learner_class(run.method).answers, 5)  # object or ground; a number
        n_way, delay = task.get("n_way", kinds), task.get("delay", 1)
        learner = build(run.method, TaskDescription((1, size, size), n_way, delay), config.get("model", {}))
        if list(learner.parameters()):
            assert settings_of(config["training"]).episodes > 0
        assert "." not in run.method + run.setting  # dvc.yaml would take it for a key below


def test_later_layers_win(parameters, tmp_path):
    (tmp_path / "params.yaml").write_text(
        """
scale: smoke
seeds: [0]
headline: {}
experiments:
  e:
    scales: {smoke: {model: {a: 1, b: 1, c: 1, d: 1, e: 1}}}
    settings: {s: {model: {b: 2, c: 2, d: 2, e: 2}, smoke: {data: 7}}, t: {laptop: {data: 8}}, u: {methods: {m: {
      model: {c: 6, d: 6}, smoke: {model: {d: 7}}}}}, v: {methods: {n: {}}}}
    methods: {m: {model: {c: 3, d: 3, e: 3}, smoke: {model: {d: 4, e: 4}}, laptop: {model: {a: 9}}}, bare: }
"""
    )
    own = Parameters(tmp_path / "params.yaml")
    config = own.configuration("smoke", "e", "m", "s", {"model": {"e": 5}})
    assert config == {"model": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}, "data": 7}
    assert own.configuration("smoke", "e", "bare", "t", {}) == {"model": dict.fromkeys("abcde", 1)}
    assert own.configuration("smoke", "e", "m", "u", {}) == {"model": {"a": 1, "b": 1, "c": 6, "d": 7, "e": 4}}
    assert own.configuration("smoke", "e", "bare", "u", {}) == {"model": dict.fromkeys("abcde", 1)}
    with pytest.raises(UserError, match="no method in e.settings.v.methods: 'n'. There are m, bare"):
        own.configuration("smoke", "e", "m", "v", {})


def test_data_sets_are_those_of_every_scale_setting_and_method_once(tmp_path):
    (tmp_path / "params.yaml").write_text(
        """
scale: smoke
seeds: [0]
headline: {}
experiments:
  one:
    scales: {smoke: {data: {name: a}}, laptop: {data: {name: b}}}
    settings: {plain: {}, other: {data: {name: c}}}
    methods: {m: {}}
  two:
    scales: {smoke: {data: {name: c}}, laptop: {data: {name: a}}}
    settings: {plain: {}}
    methods: {m: {laptop: {data: {name: d}}}}
"""
    )
    assert Parameters(tmp_path / "params.yaml").data_sets == ["a", "c", "b", "d"]


def test_what_is_not_there_is_named_with_what_is(parameters, tmp_path):
    with pytest.raises(UserError, match="no method 'cl_lsmt'; did you mean cl_lstm. There are .*nearest_neighbour"):
        parameters.configuration("smoke", "online_few_shot", "cl_lsmt", "omniglot", {})
    with pytest.raises(UserError, match="no experiment 'few'"):
        parameters.experiment("few")
    with pytest.raises(UserError, match="not here: run from the top"):
        Parameters(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("a: [")
    with pytest.raises(UserError, match="params.yaml is not YAML"):
        Parameters(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no scale"),
        ("- scale", "has no scale"),
        ("{scale: smoke, headline: {}, experiments: {}}", "has no seeds"),
        ("{scale: smoke, seeds: 3, headline: {}, experiments: {}}", "seeds is 3, and must be a list of whole numbers"),
        ("{scale: smoke, seeds: [], headline: {}, experiments: {}}", r"seeds is \[\], and must be"),
        ("{scale: smoke, seeds: [a], headline: {}, experiments: {}}", r"seeds is \['a'\], and must be"),
        ("{scale: smoke, seeds: [0], headline: {}, experiments: {e: {seeds: [-1]}}}", r"experiments.e.seeds is \[-1\]"),
    ],
)
def test_a_file_without_its_sections_is_refused(tmp_path, text, message):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        Parameters(tmp_path / "params.yaml")


def test_a_scale_that_there_is_not_has_no_runs(parameters):
    with pytest.raises(UserError, match="no scale 'big'"):
        planned(parameters, "big", ["recipe"])


@pytest.mark.parametrize("notebook", sorted((project_root() / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_as_it_is(parameters, notebook):
    cells = json.loads(notebook.read_text())["cells"]
    (chosen,) = ("".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", ()))
    values: dict = {}
    exec(chosen, values)
    assert parameters.configuration(
        values["scale"], notebook.stem, values["method"], values["setting"], values["overrides"]
    )


def test_overrides_are_read_and_named():
    overrides = parse_overrides(["training.episodes=100", "model.inject=[cl1]", "training.batch_size=8"])
    assert overrides == {"training": {"episodes": 100, "batch_size": 8}, "model": {"inject": ["cl1"]}}
    assert label_overrides(overrides) == ["model.inject=['cl1']", "training.batch_size=8", "training.episodes=100"]
    with pytest.raises(UserError, match="section.key=value"):
        parse_overrides(["episodes"])
    with pytest.raises(UserError, match="is not YAML"):
        parse_overrides(["model.hidden=[1"])


def test_merging_copies():
    layer = {"a": {"b": [1]}}
    merged = merge({}, layer)
    merged["a"]["b"].append(2)
    assert layer == {"a": {"b": [1]}}


def test_an_experiments_own_seeds_win(parameters):
    parameters.values["seeds"] = [0, 3]
    runs = planned(parameters, "laptop", ["recipe", "mann_classification"])
    seeds = {name: {run.seed for run in runs if run.experiment == name} for name in ("recipe", "mann_classification")}
    assert seeds == {"recipe": {0, 3}, "mann_classification": {0, 1, 2}}
