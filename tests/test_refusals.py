"""Learners, tasks and labels called by code: what their constructors do not declare is refused in one line."""

import math
import pickle
import types
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
import torch
from torch.utils._pytree import tree_leaves, tree_map_only

from metamemory.errors import UserError
from metamemory.models import LSTM, available, learner_class
from metamemory.models.learner import Learner, TaskDescription
from metamemory.nn.labels import Characters, Classes, Masks, Values
from metamemory.refusals import Checked, check_arguments
from metamemory.settings import Among, Items, Range, declared
from metamemory.tasks.backpropagation import Backpropagation
from metamemory.tasks.binding import Binding
from metamemory.tasks.completion import Completion
from metamemory.tasks.context_functions import ContextFunctions
from metamemory.tasks.continual import Continual
from metamemory.tasks.control import CartPole, SwappingBandit
from metamemory.tasks.data_set import DataSet
from metamemory.tasks.functions import GaussianProcessFunctions
from metamemory.tasks.online_few_shot import OnlineFewShot, delayed
from metamemory.tasks.permuted import PermutedSupportQuery
from metamemory.tasks.persistent_binding import PersistentBinding
from metamemory.tasks.projected import Projected
from metamemory.tasks.reconstruction import Reconstruction
from metamemory.tasks.sampling import normalise
from metamemory.tasks.segmentation import Segmentation
from metamemory.tasks.segmentation_support_query import SegmentationSupportQuery
from metamemory.tasks.supervised import Normalisation, Supervised
from metamemory.tasks.support_query import SupportQuery
from metamemory.tasks.two_tasks import TwoTasks

CPU = torch.device("cpu")
SHAPES = {"mask": (3, 16, 16), "value": (2,), "action": (4,)}
LABELS = {"mask": Masks(16, 16), "value": Values(1)}


def images(channels: int = 1) -> torch.Tensor:
    return torch.randint(0, 256, (6, 8, channels, 8, 8), dtype=torch.uint8)


def normalisation() -> Normalisation:
    return Normalisation.of(images())


def binding() -> Binding:
    return Binding(images(), 2, 5, size=4)


TASKS = {
    Backpropagation: lambda: {"device": CPU},
    Binding: lambda: {"images": images(), "n_way": 2, "length": 5, "size": 4},
    CartPole: dict,
    Completion: lambda: {"images": images(), "points": 5},
    ContextFunctions: lambda: {"points": 5, "length_scales": [0.5], "reach": 1.0, "noise": 0.1, "device": CPU},
    Continual: lambda: {"images": images(), "n_way": 3, "subtasks": 2, "k_shot": 2},
    DataSet: lambda: {
        "images": images(), "queries": images(), "normalisation": normalisation(), "n_way": 2, "steps": 2,
        "minibatch": 2, "n_query": 2,
    },
    GaussianProcessFunctions: lambda: {
        "dimensions": 1, "length": 5, "length_scale": 0.5, "reach": 1.0, "noise": 0.1, "device": CPU,
    },
    OnlineFewShot: lambda: {"images": images(), "n_way": 2, "samples_per_class": 3},
    PermutedSupportQuery: lambda: {"images": images(), "permutations": 2, "n_way": 2, "k_shot": 1, "n_query": 1},
    PersistentBinding: lambda: {"episodes": binding(), "row": 2},
    Projected: lambda: {"images": images(), "n_way": 2, "steps": 3, "features": 4},
    Reconstruction: lambda: {"episodes": OnlineFewShot(images(), 2, 3)},
    Segmentation: lambda: {"images": images(4), "samples_per_class": 3},
    SegmentationSupportQuery: lambda: {"images": images(4), "k_shot": 1, "n_query": 1},
    Supervised: lambda: {"images": images(), "normalisation": normalisation()},
    SupportQuery: lambda: {"images": images(), "n_way": 2, "k_shot": 1, "n_query": 1},
    SwappingBandit: dict,
    TwoTasks: lambda: {"images": images(), "other": images(), "n_way": 2, "samples_per_class": 3},
}  # fmt: skip


def built_of(name: str) -> dict[str, Any]:
    """What a small learner of that name is built of."""
    of = learner_class(name)
    return {"input_shape": SHAPES.get(of.answers, (1, 16, 16)), "n_way": LABELS.get(of.answers, 3)}


MADE = {
    **{name: (learner_class(name), lambda name=name: built_of(name)) for name in available()},
    **{of.__name__: (of, made) for of, made in TASKS.items()},
}


def wrong(kind: Any, optional: bool = False) -> Iterator[Any]:
    """Values that are none of a kind: of other kinds, and out of its range."""
    origin, within = get_origin(kind), get_args(kind)
    optional = optional or types.NoneType in within
    yield from () if optional else (None,)
    if origin in (Union, types.UnionType):
        kinds = [each for each in within if each is not types.NoneType]
        yield from wrong(kinds[0], optional) if len(kinds) == 1 else ()
    elif origin is Annotated and get_origin(within[0]) in (list, Sequence):
        (items,) = (each for each in within[1:] if isinstance(each, Items))
        one = next(iter(get_args(within[0])), Any)
        yield from (3, "many", {}, *([[]] if items.least else []))
        yield from ([each] * max(items.least, 1) for each in wrong(one))
    elif origin is Annotated:
        yield from (each for each in wrong(within[0], optional=True))
        for each in within[1:]:
            if isinstance(each, Range):
                small, large = (each.least, each.above), (each.most, each.below)
                step = 1 if within[0] is int else 1e-3
                yield from (end - (step if end == each.least else 0) for end in small if end is not None)
                yield from (
                    end + (step * max(abs(end), 1) if end == each.most else 0) for end in large if end is not None
                )
            elif isinstance(each, Among):
                yield from ("no such thing", 77)
    elif origin is Literal:
        yield from ("no such thing", 77, ["list"])
    elif kind is bool:
        yield from ("yes", 1, 0.0, [True])
    elif kind is int:
        yield from ("many", 1.5, True, [2], math.nan, torch.tensor(2.5))
    elif kind is float:
        yield from ("many", math.nan, math.inf, True, [0.5], torch.rand(2, 2))
    elif kind is str:
        yield from (3, ["name"])


def refused(make, what):
    """What it says in refusing; None where it does not refuse."""
    try:
        make()
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 400, what
        return str(error)
    return None


@pytest.mark.parametrize("name", MADE)
def test_settings_that_are_none_are_refused(name):
    of, given = MADE[name]
    settings, told = given(), declared(of)
    of(**settings)
    taken = []
    for key, each in told.items():
        if key in ("input_shape", "n_way"):
            continue
        for value in wrong(each.kind, optional=each.default is None):
            said = refused(partial(of, **{**settings, key: value}), (key, value))
            if said is None or not said.startswith(f"{of.__name__}: {key} is "):
                taken.append((key, value, said))
    assert not taken


# what all learners are told


@pytest.mark.parametrize("name", available())
def test_a_shape_that_is_none_is_refused(name):
    of, given = learner_class(name), built_of(name)
    whole = given["input_shape"]
    for shape in (3, None, "many", (), (0, *whole[1:]), (-1, *whole[1:]), (*whole[:-1], 2.5), [*whole[:-1], None], {}):
        assert refused(lambda shape=shape: of(shape, given["n_way"]), shape), shape
        assert refused(lambda shape=shape: of(input_shape=shape, n_way=given["n_way"]), shape), shape
    if "tuple[int, int, int]" in str(declared(of)["input_shape"].kind):
        assert refused(lambda: of(whole[1:], given["n_way"]), "two axes")
        assert refused(lambda: of((1, *whole), given["n_way"]), "four axes")


@pytest.mark.parametrize("name", available())
def test_labels_that_are_none_are_refused(name):
    of, given = learner_class(name), built_of(name)
    for n_way in (0, -1, 2.5, "many", None, True, [3], (3,), torch.tensor(3), CPU):
        said = refused(lambda n_way=n_way: of(given["input_shape"], n_way), n_way)
        assert said is not None and f"{of.__name__}: n_way is " in said, n_way


@pytest.mark.parametrize("name", [name for name in available() if "delay" in declared(learner_class(name))])
def test_a_delay_that_is_none_is_refused(name):
    of, given = learner_class(name), built_of(name)
    for delay in (-1, 1.5, "many", None, True, torch.tensor(1)):
        assert refused(lambda delay=delay: of(**given, delay=delay), delay), delay


@pytest.mark.parametrize(
    "made",
    [
        lambda: Classes(0), lambda: Classes(2.0), lambda: Classes("many"), lambda: Classes(None), lambda: Classes(True),
        lambda: Classes(n_way=-3), lambda: Characters(0, 5), lambda: Characters(5, -1), lambda: Characters(5, "five"),
        lambda: Values(0), lambda: Values(1.0), lambda: Masks(0, 4), lambda: Masks(4, None), lambda: Masks([4], 4),
    ],
)  # fmt: skip
def test_labels_of_no_size_are_refused(made):
    with pytest.raises(UserError, match="must be a whole number from 1"):
        made()


# what is no mistake


def test_labels_and_learners_are_copied_and_compared_as_before():
    labels = Characters(length=5, alphabet=3)
    assert pickle.loads(pickle.dumps(labels)) == labels == Characters(5, 3) != Characters(3, 5)
    assert hash(labels) == hash(Characters(5, 3)) and repr(labels) == "Characters(length=5, alphabet=3)"
    learner = pickle.loads(pickle.dumps(LSTM((1, 8, 8), 3, hidden=4)))
    assert learner.input_shape == (1, 8, 8) and learner.labels == Classes(3)
    task = pickle.loads(pickle.dumps(OnlineFewShot(images(), 2, 3)))
    assert task.n_way == 2


def test_numbers_of_numpy_and_sizes_of_tensors_are_taken():
    numpy = pytest.importorskip("numpy")
    check_arguments(LSTM, (torch.Size([1, 8, 8]), 3), {"hidden": numpy.int32(4)})
    check_arguments(LSTM, ([1, 8, 8],), {"n_way": Classes(3), "forget_bias": numpy.float64(1)})
    with pytest.raises(UserError, match="^LSTM: hidden is 0, and must be"):
        check_arguments(LSTM, (), {"hidden": numpy.int64(0)})
    with pytest.raises(UserError, match="^LSTM: n_way is a int64, and must be a whole number"):
        check_arguments(LSTM, ((1, 8, 8), numpy.int64(3)), {})


def test_what_is_missing_or_unknown_is_left_to_python():
    with pytest.raises(TypeError, match="hiden"):
        LSTM((1, 8, 8), 3, hiden=4)
    with pytest.raises(TypeError, match="n_way"):
        LSTM((1, 8, 8))
    with pytest.raises(TypeError, match="samples_per_class"):
        OnlineFewShot(images(), 2)


def test_a_class_of_ones_own_is_checked_by_what_it_declares():
    class Named(Checked):
        def __init__(self, name, size: Annotated[int, Range(least=2)] = 2, **more: Any):
            self.name, self.size = name, size

    assert Named("a").size == 2 and Named(object(), 5, other=7).size == 5
    with pytest.raises(UserError, match="^Named: size is 1, and must be a whole number from 2 on$"):
        Named("a", size=1)

    class Unreadable(Checked):
        def __init__(self, size: "NothingOfThatName"):  # noqa: F821
            self.size = size

    assert Unreadable("many").size == "many"


def test_settings_that_a_constructor_hands_on_are_checked():
    assert refused(lambda: PermutedSupportQuery(images(), 2, n_way=0, k_shot=1, n_query=1), "n_way")
    assert refused(lambda: PermutedSupportQuery(images(), 2, n_way=2, k_shot="one", n_query=1), "k_shot")


# what they are asked with


@pytest.mark.parametrize("batch", [-1, 1.5, "many", None, True, [2], torch.tensor(2.0)])
def test_a_batch_that_is_none_is_refused(batch):
    learner, task = LSTM((1, 8, 8), 3, hidden=4), OnlineFewShot(images(), 2, 3)
    with pytest.raises(UserError, match="^lstm: batch is .* must be a whole number from 0 on"):
        learner.initial_state(batch)
    with pytest.raises(UserError, match="^task: batch is .* must be a whole number from 0 on"):
        task.sample(batch, torch.Generator())


@pytest.mark.parametrize("of", [of for of in TASKS if "sample" in dir(of)])
def test_a_generator_that_is_none_is_refused(of):
    task = of(**TASKS[of]())
    for generator in (None, 0, "seed", torch.rand(2)):
        assert refused(lambda generator=generator: task.sample(2, generator), generator)
        assert refused(lambda generator=generator: task.sample(2, generator=generator), generator)


class Says(torch.nn.Module):
    """A learner that answers with zeros [..., *outputs]."""

    name = "says"

    def __init__(self, *outputs: int):
        super().__init__()
        self.outputs = outputs

    def forward(self, x, y_seen):
        return x.new_zeros(*x.shape[:2], *self.outputs)

    def answer_queries(self, support_x, support_y, query_x):
        return self(query_x, None)

    def initial_state(self, batch):
        return ()

    def absorb(self, x, y_seen, state):
        return state

    def predict(self, query_x, state):
        return self(query_x, None)


@pytest.mark.parametrize(
    "of", [Binding, Continual, OnlineFewShot, PermutedSupportQuery, Projected, Supervised, SupportQuery, TwoTasks]
)
def test_answers_that_are_none_are_refused(of):
    task = of(**TASKS[of]())
    episode, n_way = task.sample(4, torch.Generator().manual_seed(0)), getattr(task, "n_labels", task.n_way)
    for ask in (task.answer, task.score):
        with pytest.raises(UserError, match=r"^says: it answers with a tensor .* logits \[steps or queries, 4, \d+\]$"):
            ask(Says(n_way - 1), episode)
    for more in (0, 2):  # a learner may know of more classes than a task has
        assert task.answer(Says(n_way + more), episode).shape[-1] == n_way + more
        assert task.score(Says(n_way + more), episode).loss.isfinite()


def test_answers_of_another_form_are_refused():
    class Asks(Checked):
        n_way = 2

        def answer(self, learner, episode):
            return learner

    episode = OnlineFewShot(images(), 2, 3).sample(4, torch.Generator())
    for answers in (None, 0.5, torch.zeros(()), torch.zeros(6, 4), torch.zeros(4, 6, 2), torch.zeros(6, 4, 2, 2)):
        with pytest.raises(UserError, match=r"are logits \[steps or queries, 4, 2\]$"):
            Asks().answer(answers, episode)
    assert Asks().answer(torch.zeros(6, 4, 2), episode).shape == (6, 4, 2)


@pytest.fixture(scope="module", params=available())
def one(request) -> tuple[Learner, Any, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    of, given = learner_class(request.param), built_of(request.param)
    learner = of(**given).eval()
    labels = learner.labels
    return learner, learner.initial_state(2), torch.rand(2, 2, *given["input_shape"]), labels.null(2, 2)


def test_a_state_of_other_episodes_is_refused(one):
    learner, _, x, y = one
    with torch.no_grad():
        other = learner.initial_state(3)
        if refused(lambda: learner.run(x, y, other), "run") is None:
            assert not any(
                isinstance(each, torch.Tensor) and each.numel() for each in torch.utils._pytree.tree_leaves(other)
            )
            return  # there is nothing in it yet, as of one that keeps what it sees
        assert "episodes" in refused(lambda: learner.step(x[0], y[0], other), "step")
        assert "episodes" in refused(lambda: learner.absorb(x, y, state=other), "absorb")
        assert "episodes" in refused(lambda: learner.predict(x, other), "predict")


def test_a_state_that_is_none_is_refused(one):
    learner, state, x, y = one
    with torch.no_grad():
        for other in (None, 3, "state", x[0], {}, [None], (None,) * (len(state) + 1)):
            if type(other) is type(state) and len(other) == len(state) == 0:
                continue
            assert refused(lambda other=other: learner.run(x, y, other), other), other
            assert refused(lambda other=other: learner.predict(x, other), other), other


def test_a_state_goes_on_as_it_is(one):
    learner, state, x, y = one
    with torch.no_grad():
        for _ in range(2):
            _, state = learner.run(x, y, state)
        learner.predict(x, state)


def test_a_state_of_another_learner_is_refused(one):
    learner, state, x, y = one
    wide = tree_map_only(
        torch.Tensor, lambda each: torch.cat([each, each], dim=-1) if each.dim() > 1 and each.numel() else each, state
    )
    if [each.shape for each in tree_leaves(wide)] != [each.shape for each in tree_leaves(state)]:
        with torch.no_grad():
            assert refused(lambda: learner.run(x, y, wide), "wider")
            assert refused(lambda: learner.predict(x, wide), "wider")


def test_looking_at_a_state_draws_no_random_numbers():
    class Drawn(Learner):
        title, paper = "Drawn", "nobody"

        def __init__(self, input_shape: tuple[int, ...], n_way: int):
            super().__init__()
            self.labels = Classes(n_way)

        def initial_state(self, batch):
            return (torch.randn(batch, 3),)

        def step(self, x_t, y_seen_t, state):
            return state[0], state

    learner = Drawn((2,), 3)
    state, answers = learner.initial_state(2), []
    for _ in range(2):
        torch.manual_seed(0)
        learner.run(torch.rand(4, 2, 2), torch.full((4, 2), -1), state)
        answers.append(torch.rand(1).item())
    assert answers[0] == answers[1]


def test_inputs_of_another_type_than_the_weights_are_refused(one):
    learner, state, x, y = one
    with torch.no_grad():
        asked = (
            lambda x: learner(x, y),
            lambda x: learner.step(x[0], y[0], state),
            lambda x: learner.predict(x, state),
        )
        for ask in asked:
            if any(each.is_floating_point() for each in learner.parameters()):
                assert "float64" in refused(lambda ask=ask: ask(x.double()), "double")
                assert "meta" in refused(lambda ask=ask: ask(x.to("meta")), "meta")
        assert "a step at least" in refused(lambda: learner(x[:0], y[:0]), "no step")


def test_labels_that_are_numbers_and_cannot_be_are_refused():
    masks, values = (learner_class(name)(**built_of(name)) for name in ("cl_unet", "cnp_regression"))
    x, y = torch.rand(2, 2, 3, 16, 16), torch.zeros(2, 2, 16, 16)
    for wrong_one in (255.0, -7.0, math.nan, math.inf):
        assert "from 0 to 1" in refused(lambda y=y + wrong_one: masks(x, y), wrong_one)
    masks(x, y), masks(x, y + 1), masks(x, y - 1)
    x, y = torch.rand(2, 2, 2), torch.zeros(2, 2, 1)
    assert refused(lambda: values(x, y + math.inf), "inf")
    values(x, y + math.nan), values(x, y + 1e6)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: TaskDescription((1, 8, 8), "abc"), "TaskDescription: labels is"),
        (lambda: TaskDescription("abc", 3), "TaskDescription: input_shape is"),
        (lambda: TaskDescription((1, 8, 8), 3, delay=math.nan), "TaskDescription: delay is"),
        (lambda: TaskDescription(5, 3), "TaskDescription: input_shape is"),
        (lambda: normalise(torch.rand(2, 1, 8, 8)), "float32 and must be uint8"),
        (lambda: normalise(torch.zeros(2, 8, 8, 3, dtype=torch.uint8)), "channels are the third axis from the end"),
        (lambda: delayed(torch.zeros(3, 2).long(), 0), "delay is 0"),
        (lambda: DataSet(**{**TASKS[DataSet](), "queries": images(3)}), "must agree"),
        (lambda: DataSet(**{**TASKS[DataSet](), "queries": images()[:4]}), "must agree"),
        (lambda: DataSet(**{**TASKS[DataSet](), "groups": []}), "groups is empty"),
        (lambda: DataSet(**{**TASKS[DataSet](), "normalisation": (0.0, 1.0)}), "normalisation is"),
        (lambda: DataSet(**{**TASKS[DataSet](), "normalisation": Normalisation.of(images(3))}), "mean of"),
        (lambda: Supervised(images(), Normalisation(torch.zeros(1, 1, 1), torch.zeros(1, 1, 1))), "deviation of"),
        (lambda: TwoTasks(images(), images(3), 2, 3), "must be alike"),
        (lambda: TwoTasks(images(), images(), 2, 3, normalisations=[normalisation()]), "normalisations are 1"),
        (lambda: learner_class("exact_process")((1,), Values(1), length_scales=()), "length_scales is"),
        (lambda: learner_class("exact_process")((1,), Values(1), length_scales=(-1.0,)), "length_scales is"),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_made(made, told):
    with pytest.raises(UserError, match=told):
        made()
