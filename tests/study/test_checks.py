"""What is refused before any training, in one line that names the key and the mend."""

from types import SimpleNamespace

import pytest

from metamemory.errors import UserError
from metamemory.study import runs
from metamemory.study.checks import require_known, require_possible, stores_samples
from metamemory.study.parameters import SCALES, Parameters, parse_overrides, project_root
from metamemory.study.runs import Run, planned

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
        ("lstm", "training.batch_size=0", "training.batch_size is 0, and must be a whole number from 1 on"),
        ("lstm", "evaluation.batch_size=0", "evaluation.batch_size is 0, and must be a whole number from 1 on"),
        ("lstm", "data.size=0", "data.size is 0, and must be a whole number from 1 on"),
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
            runs.configuration(Run(scale, run.experiment, run.method, run.setting, root=ROOT))


@pytest.mark.parametrize(("method", "says_so"), [("apl", True), ("lstm", False)])
def test_a_learner_that_stores_samples_says_so(monkeypatch, capsys, method, says_so):
    monkeypatch.setattr(runs, "load_images", lambda *_: None)
    monkeypatch.setattr(runs, "conduct", lambda *_: None)
    runs.execute(Run("smoke", "online_few_shot", method, "omniglot", root=ROOT), again=True)
    assert ("stores samples until they come" in capsys.readouterr().out) == says_so


def test_what_a_learner_can_be_told_is_known_though_params_yaml_does_not_say_it():
    for method, override in (("cl_lstm", "model.gain=0.1"), ("cpm", "model.features=8"), ("opn", "model.features=8")):
        config = {"learner": method, "protocol": "online_few_shot"}
        require_known(parse_overrides([override, "training.beta2=0.9", "task.images_per_class=1"]), config)


def test_which_learners_store_samples():
    streaming = ["cl_lstm", "cnn_f_lstm", "cnn_lstm", "counting", "lstm", "mann", "ntm", "snail", "transformer"]
    storing = ["anml", "apl", "cpm", "fine_tuning", "nearest_neighbour", "oml", "opn"]
    assert all(map(stores_samples, storing)) and not any(map(stores_samples, streaming))
