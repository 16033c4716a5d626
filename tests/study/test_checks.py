"""What is refused before any training, in one line that names the key and the mend."""

import copy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from metamemory.data import ImageSet
from metamemory.errors import UserError
from metamemory.models import TaskDescription, build, learner_class
from metamemory.nn.labels import Values
from metamemory.protocols import Context, conduct
from metamemory.study import runs
from metamemory.study.checks import require_possible, stores_samples
from metamemory.study.parameters import SCALES, Parameters, parse_overrides, project_root
from metamemory.study.runs import Run, planned
from metamemory.training.update import settings_of

ROOT = project_root()


@pytest.mark.parametrize(
    ("method", "override", "message"),
    [
        # what the learner cannot do
        ("opn", "curriculum=[{n_way: 7}]", "curriculum, stage 1: n_way is 7, but the learner knows 5 labels"),
        ("lstm", "task.n_way=1", "curriculum, stage 1: n_way is 2, but the learner knows 1 label"),
        ("cpm", "curriculum=[{}, {delay: 3}]", "curriculum, stage 2: delay is 3, but cpm stores samples until"),
        ("lstm", "task.samples_per_class=1", "task: samples_per_class is 1, so that no label comes before"),
        ("lstm", "task.delay=45", "task: delay is 45, but an episode ends after 45 steps"),
        ("lstm", "curriculum=[{n_way: 2, samples_per_class: 2, delay: 4}]", "curriculum, stage 1: delay is 4, but"),
        # what nobody reads
        ("lstm", "trainin.episodes=3", "no setting 'trainin'; did you mean training?"),
        ("lstm", "data.siz=3", "no setting 'data.siz'; did you mean size?"),
        ("lstm", "evaluation.epsiodes=3", "no setting 'evaluation.epsiodes'; did you mean episodes?"),
        ("lstm", "task.dely=3", "no setting 'task.dely'; did you mean delay?"),
        ("lstm", "curriculum=[{episods: 3}]", "curriculum, stage 1: no setting 'episods'; did you mean episodes?"),
        ("lstm", "curriculum=[3]", "curriculum, stage 1 is 3, and must be settings"),
        (
            "cnn_lstm",
            "curriculum=[{pretrain: {k_shots: 1}}]",
            "curriculum, stage 1: pretrain: no setting 'k_shots'; did you mean k_shot?",
        ),
        ("lstm", "data.split=viniyals", "omniglot: no data.split 'viniyals'; did you mean vinyals?"),
        ("lstm", "training.episods=3", "no setting 'training.episods'; did you mean episodes?"),
        ("lstm", "model.hiden=3", "no setting 'model.hiden'; did you mean hidden?"),
        ("apl", "model.delay=3", "no setting 'model.delay'."),
        # what is of another kind
        ("lstm", "task.delay=x", "task.delay is 'x', and must be a whole number"),
        ("lstm", "training.episodes=1e3", "training.episodes is 1000.0, and must be a whole number"),
        ("lstm", "task.rotations=1", "task.rotations is 1, and must be true or false"),
        ("lstm", "task=3", "task is 3, and must be a section"),
        ("lstm", "curriculum.n_way=3", "curriculum is {'n_way': 3}, and must be a list"),
        ("cl_lstm", "model.pool_after=3", "model.pool_after is 3, and must be a list"),
        ("cl_lstm", "model.gain=x", "model.gain is 'x', and must be a number"),
        ("lstm", "training.learning_rate=true", "training.learning_rate is True, and must be a number"),
        ("lstm", "training.cooldown=1.5", "training.cooldown is 1.5, and must be a number from 0 to 1"),
        ("lstm", "training.optimiser=adm", "training.optimiser is 'adm', and must be one of adam, rmsprop, sgd"),
        ("lstm", "training.warmup=-1", "training.warmup is -1, and must be a whole number from 0 to 1e+09"),
        ("lstm", "training.learning_rate=0", "training.learning_rate is 0, and must be a number from 1e-12"),
        ("cl_lstm", "model.pool_after=[x]", "model.pool_after is ['x'], and must be a list"),
        ("lstm", "model.hidden=", "model.hidden is None, and must be a whole number"),
        ("lstm", "curriculum=from_one_drawin", "params/babu2021.yaml: no curriculum 'from_one_drawin'; did you mean"),
        (
            "lstm",
            "training.batch_size=0",
            "training.batch_size is 0, and must be a whole number from 1 to 1e+09; it was 8",
        ),
        ("lstm", "evaluation.batch_size=0", "evaluation.batch_size is 0, and must be a whole number from 1 to"),
        ("lstm", "training.beta2=1", "training.beta2 is 1, and must be a number from 0 below 1"),
        ("lstm", "data.size=0", "data.size is 0, and must be a whole number from 1 to"),
        ("lstm", "model.hidden=1.5", "model.hidden is 1.5, and must be a whole number"),
        ("lstm", "curriculum=[{n_way: x}]", "curriculum, stage 1: n_way is 'x', and must be a whole number"),
        ("lstm", "curriculum=[{episodes: x}]", "curriculum, stage 1: episodes is 'x', and must be a whole number"),
    ],
)
def test_is_refused_before_any_training(monkeypatch, method, override, message):
    found = SimpleNamespace(splits={"vinyals": {}, "lake": {}}, digest="")
    monkeypatch.setattr(runs.data, "load", lambda *_, **__: found)
    monkeypatch.setattr(runs, "conduct", lambda *_: pytest.fail("it was to be conducted"))
    run = Run("smoke", "online_few_shot", method, "omniglot", 0, parse_overrides([override]), root=ROOT)
    with pytest.raises(UserError) as refused:
        runs.execute(run)
    assert str(refused.value).startswith(message) and len(str(refused.value).splitlines()) == 1


def test_a_learner_that_has_to_find_out_can_change_its_delay():
    config = Parameters(ROOT).configuration("laptop", "delayed_labels", "cl_lstm", "omniglot_delay_4_pretrained", {})
    require_possible(config)
    with pytest.raises(UserError, match="expects 4 steps later"):
        require_possible({**config, "learner": "opn", "model": {}})


def test_nothing_that_the_study_runs_is_refused():
    parameters = Parameters(ROOT)
    for scale in SCALES:
        for run in planned(parameters, scale, parameters.experiments):
            runs.configuration(Run(scale, run.experiment, run.method, run.setting, root=ROOT), parameters)


@pytest.mark.parametrize("scale", SCALES)
def test_every_learner_of_the_study_can_be_built(scale):
    parameters = Parameters(ROOT)
    for run in planned(parameters, scale, parameters.experiments):
        config = parameters.configuration(scale, run.experiment, run.method, run.setting, {})
        task, size = config["task"], config.get("data", {"size": 8})["size"]
        kinds = {"mask": 2, "value": Values(1)}.get(learner_class(config["learner"]).answers, 5)  # object or ground
        n_way, delay = task.get("n_way", kinds), task.get("delay", 1)
        shape = {"context_functions": (1,), "completion": (2,)}.get(config["protocol"], (1, size, size))
        learner = build(config["learner"], TaskDescription(shape, n_way, delay), config.get("model", {}))
        if list(learner.parameters()):
            assert settings_of(config["training"]).episodes > 0


@pytest.mark.parametrize(("method", "says_so"), [("apl", True), ("lstm", False)])
def test_a_learner_that_stores_samples_says_so(monkeypatch, capsys, method, says_so):
    monkeypatch.setattr(runs, "load_images", lambda *_: None)
    monkeypatch.setattr(runs, "conduct", lambda *_: None)
    runs.execute(Run("smoke", "online_few_shot", method, "omniglot", root=ROOT), again=True)
    assert ("stores samples until they come" in capsys.readouterr().out) == says_so


@pytest.mark.parametrize(
    ("method", "override"), [("cl_lstm", "model.gain=0.1"), ("cpm", "model.features=8"), ("opn", "model.features=8")]
)
def test_what_can_be_told_is_known_though_the_parameters_do_not_say_it(method, override):
    overrides = parse_overrides([override, "training.beta2=0.9", "task.images_per_class=1"])
    config = runs.configuration(Run("smoke", "online_few_shot", method, "omniglot", 0, overrides, ROOT))
    assert config["training"]["beta2"] == 0.9


def test_which_learners_store_samples():
    streaming = ["cl_lstm", "cnn_lstm", "counting", "lstm", "mann", "ntm", "snail", "transformer"]
    storing = ["anml", "apl", "cpm", "fine_tuning", "nearest_neighbour", "oml", "opn"]
    assert all(map(stores_samples, storing)) and not any(map(stores_samples, streaming))


PARAMETERS = Parameters(ROOT)
SMOKE = [
    ("smoke", experiment, method, PARAMETERS.settings(experiment)[0])
    for experiment in PARAMETERS.experiments
    for method in PARAMETERS.methods(experiment)
]


def places(config, before=()):
    """Of all settings, sections and stages, as keys and numbers from the top."""
    items = config.items() if isinstance(config, dict) else enumerate(config)
    for key, value in items:
        yield (*before, key)
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(each, dict) for each in value)):
            yield from places(value, (*before, key))


def changed(config, place, change):
    """A copy in which the section with the last key of `place` was changed."""
    found = copy.deepcopy(config)
    section = found
    for key in place[:-1]:
        section = section[key]
    change(section, place[-1])
    return found


def misspell(section, key):
    if isinstance(section, dict):
        section[f"{key}x"] = section.pop(key)


def drop(section, key):
    del section[key]


def another_kind(section, key):
    section[key] = 3 if isinstance(section[key], str | list | dict) else "x"


def nothing(section, key):
    section[key] = None


def images(config):
    """A data set with a few small random images that is as `data` says."""
    channels = 4 if config["protocol"] == "segmentation" else 1
    classes = torch.randint(256, (120, 20, channels, 8, 8), generator=torch.Generator().manual_seed(0))
    thirds = {part: torch.arange(40) + 40 * at for at, part in enumerate(("train", "validation", "test"))}
    names = tuple(map(str, range(120)))
    return ImageSet("glyphs", None, "", classes.to(torch.uint8), names, {config["data"].get("split", ""): thirds})


@pytest.mark.parametrize("run", SMOKE, ids="-".join)
@pytest.mark.parametrize("change", [misspell, drop, another_kind, nothing])
def test_no_setting_ends_in_a_traceback(monkeypatch, run, change):
    """A wrong key, a missing one, a value of another kind: one line, or a run that begins."""
    monkeypatch.setattr(conduct, "_train", lambda *_: None)
    plain = PARAMETERS.configuration(*run, {})
    refused, accepted = 0, []
    for place in places(plain):
        config = changed(plain, place, change)
        try:
            require_possible(config)
        except UserError as error:
            assert len(str(error).splitlines()) == 1 and str(error)
            refused += 1
        else:
            accepted.append((place, config))
    assert refused > len(accepted) or change in (drop, nothing)
    if change is misspell:
        assert all(
            isinstance(place[-1], int) or place[-2:-1] in (("others",), ("tests",)) for place, _ in accepted
        )  # names of one's own
    for _, config in accepted if run[2] == PARAMETERS.methods(run[1])[-1] else ():
        try:
            context = Context(torch.device("cpu"), Path("none"), images=images(config) if "data" in config else None)
            assert conduct.conduct(config, 0, context) is None
        except UserError as error:
            assert len(str(error).splitlines()) == 1
