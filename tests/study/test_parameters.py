"""params.yaml and params/ are read, merged and refused with one clear line."""

import json
import re
import shutil
from itertools import count

import pytest
import yaml

from metamemory.errors import UserError
from metamemory.study.parameters import SCALES, Parameters, label_overrides, merge, parse_overrides, project_root
from metamemory.study.runs import planned

ROOT = project_root()
FILES = [ROOT / "params.yaml", *sorted((ROOT / "params").glob("*.yaml"))]
FRONT = "scale: smoke\nseeds: [0]\nheadline: {}\npapers: [p]\n"


@pytest.fixture
def parameters():
    return Parameters(ROOT)


@pytest.fixture
def write(tmp_path):
    """Parameters of a paper's file, each in a project of its own."""
    number = count()

    def written(paper: str, front: str = FRONT, **more: str) -> Parameters:
        root = tmp_path / str(next(number))
        (root / "params").mkdir(parents=True)
        (root / "params.yaml").write_text(front, encoding="utf-8")
        for name, text in {"p": paper, **more}.items():
            (root / "params" / f"{name}.yaml").write_text(text, encoding="utf-8")
        return Parameters(root, checked=False)

    return written


def test_the_files_read_without_looking_back():
    """No anchors, aliases or merges; blocks that are short enough to read; every line within the width of code."""
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert not [token for token in yaml.scan(text) if isinstance(token, yaml.AliasToken | yaml.AnchorToken)]
        assert "<<" not in text and max(map(len, text.splitlines())) <= 140
        named = {f"params/{paper}.yaml" for paper in Parameters(ROOT).papers} | {"params.yaml"}
        assert str(path.relative_to(ROOT)) in named


def test_names_can_be_keys_of_dvc(parameters):
    for experiment in parameters.experiments:
        for name in (experiment, *parameters.methods(experiment), *parameters.settings(experiment)):
            assert re.fullmatch(r"\w+", name)  # a dot would be a key below, a dash is between parts of a stage's name


def test_later_layers_win(write):
    own = write(
        """
methods: {n: {learner: m, title: N, model: {b: 2.5, c: 2.5, f: 2.5}}}
experiments:
  e:
    scales: {smoke: {model: {a: 1, b: 1, c: 1, d: 1, e: 1}}}
    settings: {s: {model: {b: 2, c: 2, d: 2, e: 2}, smoke: {data: 7}}, t: {laptop: {data: 8}}, u: {methods: {m: {
      model: {c: 6, d: 6}, smoke: {model: {d: 7}}}}}, v: {methods: {o: {}}}}
    methods: {m: {model: {c: 3, d: 3, e: 3}, smoke: {model: {d: 4, e: 4}}, laptop: {model: {a: 9}}}, bare: , n: {
      model: {c: 3}}}
"""
    )

    def model(method, setting, overrides=None):
        config = own.configuration("smoke", "e", method, setting, overrides or {})
        assert (config.pop("learner"), config.pop("protocol")) == ("m" if method == "n" else method, "e")
        return config

    assert model("m", "s", {"model": {"e": 5}}) == {"model": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}, "data": 7}
    assert model("bare", "t") == {"model": dict.fromkeys("abcde", 1)}
    assert model("m", "u") == {"model": {"a": 1, "b": 1, "c": 6, "d": 7, "e": 4}}
    assert model("bare", "u") == {"model": dict.fromkeys("abcde", 1)}
    assert model("n", "s") == {"model": {"a": 1, "b": 2.5, "c": 3, "d": 2, "e": 2, "f": 2.5}, "data": 7}
    with pytest.raises(UserError, match="p.yaml: no method in e.settings.v.methods: 'o'. There are m, bare, n"):
        own.configuration("smoke", "e", "m", "v", {})


EXTENDING = """
curricula: {easy: [{n_way: 2}], hard: [{n_way: 5}]}
parts:
  photographs: {data: photographs, curriculum: easy, laptop: {a: 1}, paper: {extends: laptop, b: 2}}
experiments:
  e:
    scales: {smoke: {size: 1}, laptop: {size: 2, more: {x: 1, y: 1}}, paper: {extends: laptop, more: {y: 2}}}
    settings: {s: {}, p: {extends: parts.photographs, a: 0}, q: {extends: p, c: 3, curriculum: hard}}
    methods: {m: {laptop: {k: 1}, l: [1]}, n: {extends: m, laptop: {j: 2}}}
  f:
    protocol: e
    scales: {extends: e, laptop: {size: 3}}
    settings: {s: {methods: {o: {z: 1}, m: {extends: o}}}}
    methods: {o: {extends: e.n, l: [2]}, m: {}}
  g: {scales: {extends: f, paper: {more: {x: 9}}}, settings: {s: {}}, methods: {o: {extends: f.o}}}
"""


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (("smoke", "e", "m", "s"), {"size": 1, "l": [1]}),
        (("paper", "e", "m", "s"), {"size": 2, "more": {"x": 1, "y": 2}, "l": [1]}),
        (("laptop", "e", "n", "s"), {"size": 2, "more": {"x": 1, "y": 1}, "k": 1, "j": 2, "l": [1]}),
        # what is said of a scale wins over what is said always, wherever in the chain it stands
        (("paper", "e", "m", "q"),
         {"size": 2, "more": {"x": 1, "y": 2}, "data": "photographs", "curriculum": [{"n_way": 5}], "a": 1, "b": 2,
          "c": 3, "l": [1]}),
        (("smoke", "e", "m", "p"), {"size": 1, "data": "photographs", "curriculum": [{"n_way": 2}], "a": 0, "l": [1]}),
        (("laptop", "f", "o", "s"), {"size": 3, "more": {"x": 1, "y": 1}, "k": 1, "j": 2, "l": [2], "z": 1}),
        (("smoke", "f", "m", "s"), {"size": 1, "z": 1}),
        # a scale that others extend brings what it extends itself: the laptop of e, not that of f
        (("paper", "g", "o", "s"), {"size": 2, "more": {"x": 9, "y": 2}, "l": [2]}),
    ],
)  # fmt: skip
def test_an_entry_extends_another_by_name(write, run, expected):
    config = write(EXTENDING).configuration(*run, {})
    del config["learner"], config["protocol"]
    assert config == expected


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("extends: m, laptop", "extends: k, laptop", "experiments.e.methods.n: no entry 'k'. There are m."),
        ("extends: e.n", "extends: e.nn", "experiments.f.methods.o: no entry 'nn'; did you mean n? There are m, n."),
        ("extends: e.n", "extends: ee.n", "experiments.f.methods.o: no experiment 'ee'; did you mean e?"),
        ("parts.photographs", "parts.photograph", "no entry 'photograph'; did you mean photographs?"),
        ("scales: {extends: e,", "scales: {extends: h,", "experiments.f.scales: no experiment 'h'."),
        ("laptop: {k: 1}, l: [1]", "extends: n", "experiments.e.methods.m -> experiments.e.methods.n -> experi"),
        ("laptop: {k: 1}, l: [1]", "extends: m", "experiments.e.methods.m: no entry 'm'. There are n."),
        ("scales: {smoke: {size: 1}", "scales: {extends: f, smoke: {size: 1}", "extends goes in a circle: e -> f -> e"),
        ("curriculum: hard", "curriculum: hart", "experiments.e.settings.q: no curriculum 'hart'; did you mean hard?"),
        ("methods: {o: {z: 1}", "methods: {o: 3", "experiments.f.settings.s.methods.o is 3, and must be settings"),
        ("m: {laptop: {k: 1}", "m: {laptop: 3", "experiments.e.methods.m.laptop is 3, and must be settings"),
    ],
)
def test_what_cannot_be_extended_is_one_line(write, old, new, message):
    assert old in EXTENDING

    def read():
        parameters = write(EXTENDING.replace(old, new, 1))
        for experiment in parameters.experiments:
            for run in parameters.combinations(experiment):
                parameters.configuration(*run, {})

    with pytest.raises(UserError) as refused:
        read()
    assert message in str(refused.value) and "params/p.yaml" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_where_each_value_is_written(write):
    parameters = write("methods: {o: {learner: m, model: {w: 1}}}" + EXTENDING)
    layers = parameters.layers("laptop", "f", "o", "s", {"size": 5})
    origins = {}
    for layer in layers:
        merge(origins, layer.origins)
    assert origins == {
        "learner": "methods.o",
        "protocol": "experiments.f",
        "size": "overrides",
        "more": dict.fromkeys("xy", "experiments.e.scales.laptop"),
        "model": {"w": "methods.o"},
        "k": "experiments.e.methods.m.laptop",
        "j": "experiments.e.methods.n.laptop",
        "l": "experiments.f.methods.o",
        "z": "experiments.f.settings.s.methods.o",
    }


def test_a_curriculum_can_be_named_by_hand(write):
    parameters = write(EXTENDING)
    run = ("smoke", "e", "m", "s")
    assert parameters.configuration(*run, {"curriculum": "hard"})["curriculum"] == [{"n_way": 5}]
    with pytest.raises(UserError, match="no curriculum 'hrd'; did you mean hard?"):
        parameters.configuration(*run, {"curriculum": "hrd"})


def test_data_sets_are_those_of_every_scale_setting_and_method_once(write):
    own = write(
        """
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
    assert own.data_sets == ["a", "c", "b", "d"]


def test_what_is_not_there_is_named_with_what_is(parameters, tmp_path):
    with pytest.raises(UserError, match="babu2021.yaml: no method 'cl_lsmt'; did you mean cl_lstm. There are .*apl"):
        parameters.configuration("smoke", "online_few_shot", "cl_lsmt", "omniglot", {})
    with pytest.raises(UserError, match="params.yaml: no experiment 'few'"):
        parameters.experiment("few")
    with pytest.raises(UserError, match="params.yaml is not here: run from the top"):
        Parameters(tmp_path)
    (tmp_path / "params.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(UserError, match="params.yaml is not YAML"):
        Parameters(tmp_path)
    (tmp_path / "params.yaml").write_text(FRONT, encoding="utf-8")
    with pytest.raises(UserError, match="params/p.yaml is not here"):
        Parameters(tmp_path)


EXPERIMENTS = "experiments: {e: {methods: {m: {}}, settings: {s: {}}, scales: {smoke: {}}}}"


@pytest.mark.parametrize(
    ("front", "message"),
    [
        ("", "params.yaml has no scale"),
        ("- scale", "has no scale"),
        ("{scale: smoke, headline: {}, papers: [p]}", "has no seeds"),
        ("{scale: smoke, seeds: 3, headline: {}, papers: [p]}", "seeds is 3, and must be a list of whole numbers"),
        ("{scale: smoke, seeds: [], headline: {}, papers: [p]}", r"seeds is \[\], and must be"),
        ("{scale: smoke, seeds: [a], headline: {}, papers: [p]}", r"seeds is \['a'\], and must be"),
        ("{scale: smoke, seeds: [0], headline: {}}", "has no papers"),
        ("{scale: smoke, seeds: [0], headline: {}, papers: p}", "papers is 'p', and must be a list of names"),
        ("{scale: smoke, seeds: [0], headline: 3, papers: [p]}", "headline is 3, and must be experiments"),
        ("{scale: smoke, seeds: [0], headline: {}, papers: [p], paper: 1}", "no section 'paper'; did you mean papers?"),
        ("{scale: smoke, scale: smoke}", "params.yaml, line 1: scale is there twice"),
    ],
)
def test_a_front_without_its_sections_is_refused(write, front, message):
    with pytest.raises(UserError, match=message):
        write(EXPERIMENTS, front)


@pytest.mark.parametrize(
    ("paper", "message"),
    [
        ("", "params/p.yaml has no experiments"),
        ("experiments: 3", "experiments is 3"),
        ("experiments: {e: 3}", "experiments.e is 3"),
        ("experiments: {e: {}}", "experiments.e has no methods"),
        (EXPERIMENTS.replace("methods", "method"), "no key in experiments.e: 'method'; did you mean methods?"),
        (EXPERIMENTS.replace("{e: {", "{e: {seeds: [-1], "), r"p.yaml: experiments.e.seeds is \[-1\], and must be"),
        (f"curiculum: {{}}\n{EXPERIMENTS}", "no section 'curiculum'; did you mean curricula?"),
        (f"methods: {{m: {{title: M}}}}\n{EXPERIMENTS}", "methods.m has no learner"),
        (f"methods: {{m: {{learner: m, titel: M}}}}\n{EXPERIMENTS}", "methods.m: no key 'titel'; did you mean title?"),
        (f"methods: {{m: {{learner: 3}}}}\n{EXPERIMENTS}", "methods.m: learner is 3, and must be a name"),
        (f"{EXPERIMENTS}\nexperiments: {{}}", "params/p.yaml, line 2: experiments is there twice"),
        ("experiments: {1: {}}", "params/p.yaml, line 1: 1 is no name"),
    ],
)
def test_a_paper_without_its_sections_is_refused(write, paper, message):
    with pytest.raises(UserError, match=message):
        parameters = write(paper)
        parameters.method("m")


def test_a_name_is_of_one_paper(write):
    front = FRONT.replace("[p]", "[p, q]")
    with pytest.raises(UserError, match="params/q.yaml: experiments.e is in params/p.yaml already"):
        write(EXPERIMENTS, front, q=EXPERIMENTS)
    declared = "methods: {n: {learner: m}}\n"
    with pytest.raises(UserError, match="params/q.yaml: methods.n is in params/p.yaml already"):
        write(declared + EXPERIMENTS, front, q=declared + EXPERIMENTS.replace("{e:", "{f:"))


def test_an_experiment_of_one_paper_extends_that_of_another(write):
    other = "experiments: {f: {methods: {n: {extends: e.m}}, settings: {s: {}}, scales: {extends: e}}}"
    both = write(EXPERIMENTS.replace("m: {}", "m: {k: 1}"), FRONT.replace("[p]", "[p, q]"), q=other)
    assert both.configuration("smoke", "f", "n", "s", {}) == {"learner": "n", "protocol": "f", "k": 1}
    assert both.experiments == ["e", "f"] and both.paper_of("f") == "q" and both.papers == ["p", "q"]


def test_numbers_and_letters_are_read_as_they_are_meant(write):
    text = "{m: {a: 1e-3, b: 2E5, c: -1.5e+2, d: 1_000, e: Größe ×, f: 1e, g: '1e-3', h: 0.5}}"
    config = write(EXPERIMENTS.replace("{m: {}}", text)).configuration("smoke", "e", "m", "s", {})
    assert config == {"learner": "m", "protocol": "e"} | {
        "a": 0.001, "b": 2e5, "c": -150.0, "d": 1000, "e": "Größe ×", "f": "1e", "g": "1e-3", "h": 0.5,
    }  # fmt: skip
    assert isinstance(config["a"], float) and isinstance(config["b"], float)


def test_a_method_is_a_learner_and_settings(parameters):
    method = parameters.method("mann_strength")
    assert (method.learner, method.title, method.model) == ("mann", "MANN, key strength 10", {"strength": 10.0})
    method = parameters.method("cl_lstm")
    assert (method.learner, method.title, method.model) == ("cl_lstm", "CL+LSTM", {})
    config = parameters.configuration("laptop", "mann_classification", "mann_strength", "five", {})
    assert config["learner"] == "mann" and config["protocol"] == "binding"
    assert config["model"] == {"strength": 10.0, "label_gain": 10.0}


def test_a_scale_that_there_is_not_has_no_runs(parameters):
    with pytest.raises(UserError, match="no scale 'big'"):
        planned(parameters, "big", ["recipe"])


@pytest.mark.parametrize("scale", SCALES)
def test_all_scales_have_all_runs(parameters, scale):
    for experiment in parameters.experiments:
        assert scale in parameters.scales(experiment)


NOTEBOOKS = sorted((ROOT / "notebooks").glob("*/*/*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_as_it_is(parameters, notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    (chosen,) = ("".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", ()))
    values: dict = {}
    exec(chosen, values)
    assert parameters.configuration(
        values["scale"], notebook.stem, values["method"], values["setting"], values["overrides"]
    )


def test_an_experiment_has_its_notebook(parameters):
    assert {path.stem for path in NOTEBOOKS} == set(parameters.experiments)


def test_overrides_are_read_and_named():
    overrides = parse_overrides(["training.episodes=100", "model.inject=[cl1]", "training.batch_size=8"])
    assert overrides == {"training": {"episodes": 100, "batch_size": 8}, "model": {"inject": ["cl1"]}}
    assert label_overrides(overrides) == ["model.inject=['cl1']", "training.batch_size=8", "training.episodes=100"]
    assert parse_overrides(["training.learning_rate=1e-3"]) == {"training": {"learning_rate": 0.001}}
    with pytest.raises(UserError, match="section.key=value"):
        parse_overrides(["episodes"])
    for text in ("model.hidden=[1", "model={a: 1, a: 2}"):
        with pytest.raises(UserError, match="is not YAML"):
            parse_overrides([text])


def test_merging_copies():
    layer = {"a": {"b": [1]}}
    merged = merge({}, layer)
    merged["a"]["b"].append(2)
    assert layer == {"a": {"b": [1]}}


def test_a_configuration_is_the_callers_own(parameters):
    run = ("laptop", "online_few_shot", "lstm", "omniglot")
    parameters.configuration(*run, {})["curriculum"][0]["n_way"] = 99
    assert parameters.configuration(*run, {})["curriculum"][0]["n_way"] == 2


def test_an_experiments_own_seeds_win(parameters):
    parameters.values["seeds"] = [0, 3]
    runs = planned(parameters, "laptop", ["recipe", "mann_classification"])
    seeds = {name: {run.seed for run in runs if run.experiment == name} for name in ("recipe", "mann_classification")}
    assert seeds == {"recipe": {0, 3}, "mann_classification": {0, 1, 2}}


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("babu2021", "laptop: {training: {episodes: 800000", "laptop: {trainin: {episodes: 800000",
         "params/babu2021.yaml: experiments.online_few_shot.methods.lstm.laptop: no setting 'trainin'; did you mean"),
        ("babu2021", "smoke: {model: {hidden: 16}}", "smok: {model: {hidden: 16}}",
         "params/babu2021.yaml: experiments.online_few_shot.methods.lstm: no setting 'smok'; did you mean smoke?"),
        ("babu2021", "evaluation: {episodes: 1000, batch_size: 50}", "evaluation: {episode: 1000, batch_size: 50}",
         "babu2021.yaml: experiments.online_few_shot.scales.laptop: no setting 'evaluation.episode'; did you mean"),
        ("babu2021", "advance_at: 0.4}", "advance_at: 4}",
         "params/babu2021.yaml: parts.photographs.laptop: training.advance_at is 4, and must be a number from 0 to 1"),
        ("babu2021", "- {n_way: 3, samples_per_class: 4, images_per_class: 1}", "- {n_way: 3, sample_per_class: 4}",
         "params/babu2021.yaml: experiments.online_few_shot.settings.omniglot.methods.mann.laptop: curriculum, stage 2:"
         " no setting 'sample_per_class'; did you mean samples_per_class?"),
        ("babu2021", "model: {frozen: true}", "model: {frozn: true}",
         "params/babu2021.yaml: methods.cnn_f_lstm: no setting 'model.frozn'; did you mean frozen?"),
        ("babu2021", "learner: cnn_lstm", "learner: cnn_lsm",
         "params/babu2021.yaml: methods.cnn_f_lstm: no learner 'cnn_lsm'"),
        ("santoro2016", "protocol: binding_rows", "protocol: binding_row",
         "params/santoro2016.yaml: experiments.mann_persistence: no protocol 'binding_row'"),
        ("santoro2016", "rows: {row: 4}", "rows: {rows: 4}",
         "params/santoro2016.yaml: experiments.mann_persistence.scales.laptop: no setting 'rows.rows'; did you"),
        ("santoro2016", "{dimensions: 1, length_scale: 0.5}", "{dimensions: 1}",
         "task.length_scale is missing"),
    ],
)  # fmt: skip
def test_the_whole_of_params_is_checked_when_it_is_read(tmp_path, file, old, new, message):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "params", tmp_path / "params")
    path = tmp_path / "params" / f"{file}.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError) as refused:
        Parameters(tmp_path)
    assert message in str(refused.value) and len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "  online_few_shot:",
            "  online_few_shott:",
            "no experiment of headline: 'online_few_shott'; did you",
        ),
        (
            "[omniglot]",
            "[omnigloth]",
            "no entry in headline.online_few_shot.settings: 'omnigloth'; did you",
        ),
        ("    methods:", "    method:", "no key in headline.online_few_shot: 'method'; did you mean methods?"),
    ],
)
def test_the_headline_is_of_what_there_is(tmp_path, old, new, message):
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    shutil.copytree(ROOT / "params", tmp_path / "params")
    with pytest.raises(UserError, match=message):
        Parameters(tmp_path)
