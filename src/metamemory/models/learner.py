"""The contract of all learners: what each can be asked, and what each declares about itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from metamemory.errors import UserError
from metamemory.models.inputs import PUBLIC, checked, shape_of_input
from metamemory.nn.labels import Labels, labels_of
from metamemory.refusals import Checked, check_arguments, check_calls
from metamemory.shapes import Float, Shaped


@dataclass(frozen=True)
class TaskDescription(Checked):
    """What a learner is told of the task that it is built for.

    Attributes:
        input_shape: of one input: (channel, height, width), or (feature,).
        labels: how labels are written; a number of classes stands for `Classes`.
        delay: steps between an input and its label.
    """

    input_shape: tuple[int, ...]
    labels: Labels
    delay: int = 1

    def __init__(self, input_shape: tuple[int, ...], labels: int | Labels, delay: int = 1):
        object.__setattr__(self, "input_shape", tuple(input_shape))
        object.__setattr__(self, "labels", labels_of(labels))
        object.__setattr__(self, "delay", delay)


class Learner(nn.Module):
    """A model that learns a task within an episode, from inputs and the labels shown with them.

    A subclass is built as `Subclass(input_shape, n_way, **settings)`, where n_way is a number of classes or another
    kind of labels (`nn.labels`); one that declares `needs_delay` takes `delay` as well. It sets `self.labels` and
    defines `initial_state` and at least one of `run`, which continues an episode by any number of steps, and `step`,
    which continues it by one; each defaults to the other. `forward` is a whole episode. All of them agree in evaluation
    mode.

    `answer_queries` is the same learner with a support set and queries. By default the support set is streamed, each
    label `delay` steps after its sample, and each query is then a next step of its own, with which the last label is
    shown. Learners that see a support set as a set override it, and so do those that adapt to it by gradient descent.

    Attributes:
        title: of the learner, in tables and legends.
        paper: citation key of the paper that it is from, as "santoro2016".
        name, family: of its file, and of the folder of that.
        answers: what an answer is: "label", of those that the episode hands out; "mask", a label for each pixel;
            "image", the class of an image, the same in every episode, which only weights can know; "value" of a
            function; "rule", the class of an image, given by a network that lives in the episode and learns by the
            learner's rule; or "action", what to do next, where labels are the actions that were done.
        transductive: whether an answer may depend on other inputs that are to be answered at the same time.
        needs_delay: whether it stores samples until their labels come, and therefore is told the delay.
        adapts: whether it learns from a support set by gradient descent, so that it can be pre-trained on support sets.
        trained_by: "gradient" of its answers, "reconstruction" of its inputs, or "nothing".
        told: names of the task's settings that it is told as settings of its own.
        external_memory: whether its state has an external memory, `memory`, which can be carried over to another
            episode without the rest.
        traces_memory: whether its memory can be looked into (`analysis.memory`).
        layered_state: whether its state is that of layers, which can be reset or frozen one by one (`analysis.state`).
        differentiates: whether it takes gradients in evaluation as well, other than by `nn.inner_loop`.
        input_shape: of one input, as it was built.
        labels: how its labels are written.
        delay: steps between a sample and its label where a support set is streamed.

    Raises:
        UserError: (when the class is made) it defines neither `run` nor `step`; (when it is asked) inputs or labels are
            of another type or shape than the learner's, or labels are none of its own (`models.inputs`).

    Example:
        >>> class LastLabel(Learner):
        ...     title, paper = "The label shown last", "nobody"
        ...
        ...     def __init__(self, input_shape, n_way):
        ...         super().__init__()
        ...         self.labels = labels_of(n_way)
        ...
        ...     def initial_state(self, batch):
        ...         return ()
        ...
        ...     def step(self, x_t, y_seen_t, state):
        ...         return self.labels(y_seen_t), state
        >>> learner = LastLabel((1, 28, 28), n_way=5)
        >>> x, y_seen = torch.rand(25, 8, 1, 28, 28), torch.full((25, 8), -1)
        >>> learner(x, y_seen).shape  # time, batch, n_way
        torch.Size([25, 8, 5])
        >>> learner.answer_queries(x[:5], torch.arange(5)[:, None].expand(5, 8), x[5:]).shape
        torch.Size([20, 8, 5])
    """

    title: ClassVar[str]
    paper: ClassVar[str]
    name: ClassVar[str]
    family: ClassVar[str]
    answers: ClassVar[str] = "label"
    transductive: ClassVar[bool] = False
    needs_delay: ClassVar[bool] = False
    adapts: ClassVar[bool] = False
    trained_by: ClassVar[str] = "gradient"
    told: ClassVar[tuple[str, ...]] = ()
    external_memory: ClassVar[bool] = False
    traces_memory: ClassVar[bool] = False
    layered_state: ClassVar[bool] = False
    differentiates: ClassVar[bool] = False
    abstract: ClassVar[bool] = True
    input_shape: tuple[int, ...]
    labels: Labels
    delay: int = 1

    def __init_subclass__(cls, abstract: bool = False, **more: Any):
        """`abstract`: what several learners share, and no learner itself."""
        super().__init_subclass__(**more)
        *_, cls.family, cls.name = ["", *cls.__module__.split(".")]
        cls.abstract = abstract
        if not abstract and cls.run is Learner.run and cls.step is Learner.step:
            raise UserError(f"{cls.__module__}: {cls.__name__} must define run or step, by which it learns in a stream")
        if not abstract and cls.initial_state is Learner.initial_state:
            raise UserError(f"{cls.__module__}: {cls.__name__} must define initial_state, with which an episode begins")
        for each in PUBLIC:
            if each in vars(cls):
                setattr(cls, each, checked(each, vars(cls)[each]))
        check_calls(cls)

    def __new__(cls, *given: Any, **named: Any) -> "Learner":
        check_arguments(cls, given, named)
        learner = super().__new__(cls)
        learner.input_shape = shape_of_input(given, named)
        return learner

    def initial_state(self, batch: int) -> Any:
        """The state before the first step of `batch` episodes: a NamedTuple of tensors."""
        raise NotImplementedError

    def run(
        self, x: Float[Tensor, "time batch *shape"], y_seen: Shaped[Tensor, "time batch *label"], state: Any
    ) -> tuple[Float[Tensor, "time batch *answer"], Any]:
        """Continue an episode.

        Args:
            x: [time, batch, ...] float32 inputs.
            y_seen: [time, batch, ...] labels shown with them, as `labels` writes them.
            state: after the step before.

        Returns:
            Answers to all steps, [time, batch, n_way] float32 logits where labels are classes; and the state after the
            last.
        """
        answers = []
        for x_t, y_seen_t in zip(x.unbind(), y_seen.unbind(), strict=True):
            answer, state = self.step(x_t, y_seen_t, state)
            answers.append(answer)
        return torch.stack(answers), state

    def step(
        self, x_t: Float[Tensor, " batch *shape"], y_seen_t: Shaped[Tensor, " batch *label"], state: Any
    ) -> tuple[Float[Tensor, " batch *answer"], Any]:
        """Online use, one step of `run`: x_t [batch, ...], y_seen_t [batch, ...] -> answer [batch, n_way], next
        state."""
        answers, state = self.run(x_t[None], y_seen_t[None], state)
        return answers[0], state

    def forward(
        self, x: Float[Tensor, "time batch *shape"], y_seen: Shaped[Tensor, "time batch *label"]
    ) -> Float[Tensor, "time batch *answer"]:
        """A whole episode: x [time, batch, ...], y_seen [time, batch, ...] -> answers [time, batch, n_way]."""
        return self.run(x, y_seen, self.initial_state(x.shape[1]))[0]

    def absorb(
        self, x: Float[Tensor, "time batch *shape"], y_seen: Shaped[Tensor, "time batch *label"], state: Any
    ) -> Any:
        """The state after these steps, whose answers are not needed."""
        return self.run(x, y_seen, state)[1]

    def predict(
        self,
        query_x: Float[Tensor, "query batch *shape"],
        state: Any,
        y_seen: Shaped[Tensor, " batch *label"] | None = None,
    ) -> Float[Tensor, "query batch *answer"]:
        """Answers from a frozen state, each query on its own.

        Args:
            query_x: [query, batch, ...].
            state: of the batch's episodes; it is not changed.
            y_seen: [batch, ...] the label that is shown with every query of an episode; None for null.

        Returns:
            [query, batch, n_way]. Every query is a step from its own copy of the state, all of them at once.
        """
        queries, batch = query_x.shape[:2]
        shown = self.labels.null(batch, device=query_x.device) if y_seen is None else y_seen
        copies = _repeat(state, self.initial_state(1), self.initial_state(2), queries)
        answers, _ = self.step(query_x.flatten(0, 1), shown.repeat(queries, *(1,) * (shown.dim() - 1)), copies)
        return answers.unflatten(0, (queries, batch))

    def answer_queries(
        self,
        support_x: Float[Tensor, "support batch *shape"],
        support_y: Shaped[Tensor, "support batch *label"],
        query_x: Float[Tensor, "query batch *shape"],
    ) -> Float[Tensor, "query batch *answer"]:
        """Answers to queries after a support set.

        Args:
            support_x, support_y: [support, batch, ...] samples and their own labels.
            query_x: [query, batch, ...].

        Returns:
            [query, batch, n_way], each query answered on its own.
        """
        batch, delay = support_x.shape[1], self.delay
        null = self.labels.null(max(delay, 1), batch, device=support_x.device)
        shown = torch.cat([null, support_y]) if delay else torch.cat([support_y, null])
        blanks = support_x.new_zeros(max(delay - 1, 0), *support_x.shape[1:])
        state = self.absorb(torch.cat([support_x, blanks]), shown[:-1], self.initial_state(batch))
        return self.predict(query_x, state, shown[-1])

    @property
    def used_parameters(self) -> int:
        """How many of the parameters have a part in the answer."""
        return sum(each.numel() for each in self.parameters())


for _each in PUBLIC:
    setattr(Learner, _each, checked(_each, vars(Learner)[_each]))


def _repeat(state: Any, of_one: Any, of_two: Any, times: int) -> Any:
    """A state with each episode `times` times, [times * batch]. The axis of episodes is where the initial states of one
    and of two episodes differ."""
    if isinstance(state, Tensor):
        (*axis,) = (n for n, (one, two) in enumerate(zip(of_one.shape, of_two.shape, strict=True)) if one != two)
        return state.repeat(*(times if n in axis else 1 for n in range(state.dim())))
    if isinstance(state, Mapping):
        return {name: _repeat(each, of_one[name], of_two[name], times) for name, each in state.items()}
    copies = [_repeat(*each, times) for each in zip(state, of_one, of_two, strict=True)]
    return type(state)(*copies) if hasattr(state, "_fields") else tuple(copies)
