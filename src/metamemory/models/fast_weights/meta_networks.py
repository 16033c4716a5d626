"""Meta Networks, MetaNet (Munkhdalai and Yu 2017): fast weights made from gradients, and looked up by example.

A base learner b answers; a meta learner makes weights for it. The meta learner is an embedding u and two generators, d
and m, which read the gradient of a loss coordinate by coordinate and write a weight for each. For a support set
(x'_i, y'_i), i = 1..N, and a query x (their Algorithm 1):

    grad_i = d loss_emb(u(x'_i; Q), y'_i) / dQ         Q* = d(grad_1, .., grad_T)        task-level fast weights of u
    grad_i = d loss_task(b(x'_i; W), y'_i) / dW        W*_i = m(grad_i)                  row i of a memory M
    r'_i = u(x'_i; Q, Q*)                                                                row i of its index R
    r = u(x; Q, Q*)        a = softmax(cosine(R, r))        W* = a^T M        y = b(x; W, W*)

Slow weights W and Q and the weights of m and d are learned together, from the loss of the queries. A layer with slow
and fast weights adds what both find (`nn.fast_weights`).

Variants: `task_weights` says where the task-level weights are: "embedding" (MetaNet), "none" (MetaNet-), or "both", in
the base learner too (MetaNet+).

From the paper: all of the above; two networks of five convolutions with 64 filters and one linear layer, r being what
that finds; fast weights in the last three layers; LSTM and MLP with 20 units, their parameters shared by all
coordinates, p = 7; weights drawn from [-0.1, 0.1). From the authors' code, where the paper says nothing: no biases and
no normalisation; pooling that rounds up; one generator for the coordinates of convolutions and one for those of linear
layers; gradients are constants, through which nothing is learned (`order` 1); d reads the support set in at most five
chunks (ten in their code for miniImageNet), each with the gradient of its mean loss, and its last answer counts; the
embedding r is a sum without non-linearity. Their code draws weights with variance 1 / inputs (`initialisation` "lecun")
and has fast weights in all layers (`augmented`).

A generator that is drawn at random writes weights that are nearly all of one sign, since gradients differ little as it
reads them. Where it is the negative one, and a ReLU comes after what the layer finds in a map without negative values,
nothing passes and nothing is learned: such a layer has no fast weights any more. It happens at the start, by chance of
the seed, and in training. `centred`, which is not in the paper, subtracts the mean of the fast weights into each unit;
of use with "lecun", since what is left of those drawn "uniform" is tiny.

More classes than in training. An episode's classes take the first outputs of the last layer, in the order of their
labels. With `ways` the slow weights of the last layer are learned for episodes of so many classes; others get a last
layer of random slow weights, which are never trained, as in the authors' code: what it knows comes by fast weights.

In a stream, which the paper does not have, the support set is what has been labelled so far, and each answer is one to
a query after it; every label keeps its own output, and the representation loss is cross-entropy. Layers from the first
augmented one on are computed for each pair of a step and an earlier sample, so that all of them augmented are for short
streams.

Shape legend: B tasks, S support samples, Q queries, K labels, P coordinates, D features; tasks first inside.
"""

import copy
from collections.abc import Collection, Sequence
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor, nn

from metamemory.errors import UserError
from metamemory.models.fast_weights.exchange import ExchangesNetwork, Inside, SharesRule, ShowsFastWeights
from metamemory.nn.delay_buffer import until_labelled
from metamemory.nn.fast_weights import (
    Coordinates,
    ExampleGenerator,
    SlowNetwork,
    TaskGenerator,
    Weights,
    contrastive,
    convolutional,
    cross_entropy,
    draw,
    gradients_of,
    perceptron,
)
from metamemory.nn.inner_loop import require_order
from metamemory.nn.labels import Classes, Labels, labels_for, one_hot
from metamemory.settings import Among, Count, Items, Order, Positive, Width
from metamemory.shapes import Float, Int

BLOCKS = 5  # of the convolutional networks
HIDDEN_LAYERS = 2  # of the perceptrons, beside the last
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "linear1", "linear", "softmax")  # which may be augmented
ABSENT = -1e9  # logit of a label that the support set does not have: finite, so that gradients are
TINY = 1e-6  # within the root of a norm


class Labelled(NamedTuple):
    """A stream so far: images without a label yet [delay, B, ...]; images [S, B, ...] and labels [S, B] of the
    others."""

    waiting: Tensor
    x: Tensor
    y: Tensor


class MetaNetworks(ExchangesNetwork, SharesRule, ShowsFastWeights):
    """A network with example-level fast weights, and a memory of them with an index.

    Args:
        input_shape: (channel, height, width).
        n_way: K, the number of labels.
        delay: steps between a sample and its label, in a stream.
        filters: channels of each convolution.
        hidden: units of linear layers.
        network: "convolutional", or "perceptron" of two hidden layers.
        reads: what the base learner reads: "image", or "embedding", r; then it is a perceptron of one hidden layer.
        augmented: names of the layers with fast weights, as `conv5`, `linear`, `softmax`; None for the last three.
        task_weights: which networks have task-level weights: "embedding", "none" or "both".
        order: of the derivatives that training takes: 1, gradients that are read are constants; or 2.
        representation_loss: "cross_entropy"; or "contrastive", of each sample and the next, where a class has several.
        chunks: steps of d, at most; None for a step a sample.
        ways: classes of the episodes for which the last layer's slow weights are learned; None for any.
        parts: what the base learner's augmented layers use: "both", or "slow" or "fast" weights alone.
        generator_hidden: units of d and m.
        p: of the gradients' preprocessing.
        initialisation: "uniform" or "lecun".
        centred: whether the fast weights into each unit sum to zero; see above.

    Raises:
        UserError: a setting is not one of those above.

    Example:
        >>> learner = MetaNetworks((1, 28, 28), n_way=5, filters=8)
        >>> support, queries = torch.rand(5, 2, 1, 28, 28), torch.rand(25, 2, 1, 28, 28)
        >>> learner.answer_queries(support, torch.arange(5)[:, None].expand(5, 2), queries).shape
        torch.Size([25, 2, 5])
    """

    title = "MetaNet"
    paper = "munkhdalai2017"
    differentiates = True
    needs_delay = True
    without: Collection[str] = ()  # layers whose fast weights are taken away

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        delay: int = 1,
        filters: Width = 64,
        hidden: Width = 64,
        network: Literal["convolutional", "perceptron"] = "convolutional",
        reads: Literal["image", "embedding"] = "image",
        augmented: Annotated[Sequence[Annotated[str, Among(*LAYERS)]], Items(1, distinct=True)] | None = None,
        task_weights: Literal["embedding", "none", "both"] = "embedding",
        order: Order = 1,
        representation_loss: Literal["cross_entropy", "contrastive"] = "cross_entropy",
        chunks: Width | None = 5,
        ways: Count | None = None,
        parts: Literal["both", "slow", "fast"] = "both",
        generator_hidden: Width = 20,
        p: Positive = 7.0,
        initialisation: Literal["uniform", "lecun"] = "uniform",
        centred: bool = False,
    ):
        super().__init__()
        self.labels = labels_for("meta_networks", n_way, Classes)
        self.n_way, self.delay = self.labels.n_way, delay
        require_order("meta_networks", order)
        if ways is not None and ways > self.n_way:
            raise UserError(f"meta_networks: ways is {ways} and must be from 1 to {self.n_way}, the labels")
        self.input_shape, self.order, self.chunks, self.ways, self.parts = input_shape, order, chunks, ways, parts
        self.task_weights, self.representation_loss = task_weights, representation_loss
        self.initialisation, self.centred = initialisation, centred
        pixels = torch.Size(input_shape).numel()
        if network == "convolutional":
            layers = convolutional(input_shape, filters, hidden, BLOCKS)
        else:
            layers = perceptron(pixels, hidden, HIDDEN_LAYERS)
        self.reads_embedding = reads == "embedding"
        of_base = perceptron(hidden, hidden, 1) if self.reads_embedding else layers
        names = [*(layer.name for layer in layers), "softmax"]
        chosen = names[-3:] if augmented is None else augmented
        for name in chosen:
            if name not in names:
                raise UserError(f"meta_networks: no layer {name!r} to augment; there are {', '.join(names)}")
        self.base = SlowNetwork(of_base, self.n_way, chosen, initialisation)
        in_embedding = set(chosen) - {"softmax"} if task_weights != "none" else set()
        self.embedding = SlowNetwork(layers, self.n_way, in_embedding, initialisation)
        self.m = nn.ModuleDict(
            {kind: ExampleGenerator(generator_hidden, p, initialisation) for kind in self.base.kinds}
        )
        of_task = {"none": [], "embedding": self.embedding.kinds, "both": {*self.embedding.kinds, *self.base.kinds}}
        self.d = nn.ModuleDict(
            {kind: TaskGenerator(generator_hidden, p, initialisation) for kind in sorted(of_task[task_weights])}
        )
        if ways is not None:
            other = torch.empty(self.n_way, hidden)
            draw(other, initialisation, hidden)
            self.register_buffer("other_softmax", other)

    def answer_queries(
        self,
        support_x: Float[Tensor, "support batch *shape"],
        support_y: Int[Tensor, "support batch"],
        query_x: Float[Tensor, "query batch *shape"],
    ) -> Float[Tensor, "query batch n_way"]:
        """As in `Learner`. A label that the support set does not have gets a logit of -1e9.

        Raises:
            UserError: training with another number of classes than `ways`; a contrastive loss without a pair.
        """
        present = one_hot(support_y, self.n_way).bool().any(dim=0)  # [B, K]
        self._require_fitting(support_x, present)
        place, labels = self._places(present, support_y)
        x, queries = support_x.transpose(0, 1), query_x.transpose(0, 1)
        index, r = self._embed(x, queries, labels)
        a = attention(index, r).softmax(dim=-1)  # [B, Q, S]
        read, asked = (index, r) if self.reads_embedding else (x, queries)
        gradients = self._base_gradients(read, labels)
        fast = [self._read_memory(a, gradients)]
        if self.task_weights == "both":
            fast.append(self._by_layer(self.base, self._task_weights(gradients)))
        logits = self._answer(self.base.lower(asked), labels, fast)
        logits = logits.gather(2, place.clamp(min=0)[:, None].expand(-1, len(query_x), -1))  # by label
        return logits.masked_fill(~present[:, None], ABSENT).transpose(0, 1)

    def inside(
        self,
        support_x: Float[Tensor, "support batch *shape"],
        support_y: Int[Tensor, "support batch"],
        query_x: Float[Tensor, "query batch *shape"],
    ) -> Inside:
        """As in `ShowsFastWeights`."""
        _, labels = self._places(one_hot(support_y, self.n_way).bool().any(dim=0), support_y)
        x, queries = support_x.transpose(0, 1), query_x.transpose(0, 1)
        task = {}
        if self.task_weights != "none":
            h = self.embedding.lower(x)
            task = self._by_layer(
                self.embedding, self._task_weights(self._embedding_gradients(h, labels, self.representation_loss))
            )
        index, r = self._embed(x, queries, labels)
        a = attention(index, r).softmax(dim=-1)
        gradients = self._base_gradients(index if self.reads_embedding else x, labels)
        slow = {name: each for name, each in self.base.slow.items() if name != "softmax"}
        return Inside(a, {**slow, "softmax": labels.softmax}, self._read_memory(a, gradients), task)

    def altered(self, parts: str = "both", task_weights: bool = True, without: Collection[str] = ()) -> "MetaNetworks":
        """As in `ShowsFastWeights`."""
        other = copy.deepcopy(self)
        other.parts, other.without = parts, without
        if not task_weights:
            other.task_weights = "none"
        return other

    def with_other_network(self, filters: int, seed: int) -> "MetaNetworks":
        """As in `ExchangesNetwork`: a base learner of other width, for the same layers, kinds and last layer.

        Raises:
            UserError: the base learner is no convolutional network.
        """
        if self.reads_embedding or not any(layer.kind == "conv" for layer in (*self.base.below, *self.base.above)):
            raise UserError("meta_networks: only a convolutional base learner has filters to be exchanged")
        other, hidden = copy.deepcopy(self), self.base.above[-1].shape[1]
        with torch.random.fork_rng(devices=[]):  # the same weights each time, and nothing else drawn otherwise
            torch.manual_seed(seed)
            layers = convolutional(self.input_shape, filters, hidden, BLOCKS)
            augmented = [layer.name for layer in self.base.augmented]
            fresh = SlowNetwork(layers, self.n_way, augmented, self.initialisation)
        other.base = fresh.to(self.base.weights["softmax"])
        return other

    def for_another_problem(self, seed: int) -> "MetaNetworks":
        """As in `SharesRule`; the rule is the generators m and d."""
        other = copy.deepcopy(self)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            other.base, other.embedding = self.base.drawn_anew(), self.embedding.drawn_anew()
        other.m, other.d = self.m, self.d
        return other

    def initial_state(self, batch: int) -> Labelled:
        zeros = next(self.parameters()).new_zeros
        return Labelled(
            waiting=zeros(self.delay, batch, *self.input_shape),
            x=zeros(0, batch, *self.input_shape),
            y=zeros(0, batch, dtype=torch.int64),
        )

    def run(
        self, x: Float[Tensor, "time batch *shape"], y_seen: Int[Tensor, "time batch"], state: Labelled
    ) -> tuple[Float[Tensor, "time batch n_way"], Labelled]:
        labelled, waiting = until_labelled(state.waiting, x)
        state = Labelled(waiting, torch.cat([state.x, labelled]), torch.cat([state.y, y_seen]))
        steps, batch, samples = len(x), x.shape[1], len(state.x)
        known = state.y >= 0  # [S, B]
        labels = _Labels(
            y=state.y.clamp(min=0).T,
            there=known.new_ones(batch, self.n_way),
            softmax=self.base.weights["softmax"],
        )
        support, now = state.x.transpose(0, 1), x.transpose(0, 1)
        so_far = torch.ones(steps, samples, dtype=torch.bool, device=x.device).tril(samples - steps)
        visible = so_far & known.T[:, None]  # [B, T, S]
        index, r = self._embed_each(support, now, labels, known)
        a = attention(index, r)[:, 0].unflatten(0, (batch, steps))
        a = a.masked_fill(~visible, -torch.inf).softmax(dim=-1).where(visible, 0.0)
        if self.reads_embedding:  # each step has embeddings, and so gradients, of its own
            labels = _Labels(*(each.repeat_interleave(steps, dim=0) for each in labels[:2]), labels.softmax)
            a, known = a.flatten(0, 1)[:, None], visible.flatten(0, 1).T
            gradients, asked, last = self._base_gradients(index, labels), r, 1
        else:
            gradients, asked, last = self._base_gradients(support, labels), now, steps
        fast = [self._read_memory(a, gradients)]
        if self.task_weights == "both":
            fast.append(self._by_layer(self.base, self._task_weights_after_each(gradients, known, last)))
        logits = self._answer(self.base.lower(asked), labels, fast)
        return logits.reshape(batch, steps, -1).transpose(0, 1), state

    def _places(self, present: Tensor, support_y: Tensor) -> tuple[Tensor, "_Labels"]:
        """Of each label, its place [B, K] among those of its episode; and of the support set's. present [B, K]."""
        place = present.cumsum(dim=-1) - 1
        count = present.sum(dim=-1)
        labels = _Labels(
            y=place.gather(1, support_y.T),  # [B, S]
            there=torch.arange(self.n_way, device=count.device) < count[:, None],
            softmax=self._softmax(count),
        )
        return place, labels

    def _embed(self, x: Tensor, queries: Tensor, labels: "_Labels") -> tuple[Tensor, Tensor]:
        """r' [B, S, D] and r [B, Q, D], with the task-level weights of the support set."""
        h = self.embedding.lower(torch.cat([x, queries], dim=1))
        parts: list[Weights] = [self.embedding.slow]
        if self.task_weights != "none":
            gradients = self._embedding_gradients(h[:, : x.shape[1]], labels, self.representation_loss)
            parts.append(self._by_layer(self.embedding, self._task_weights(gradients)))
        r = self.embedding.upper(h, parts, embedding=True)
        return r[:, : x.shape[1]], r[:, x.shape[1] :]

    def _embed_each(self, x: Tensor, now: Tensor, labels: "_Labels", known: Tensor) -> tuple[Tensor, Tensor]:
        """r' [B T, S, D] and r [B T, 1, D], with the task-level weights of each step."""
        samples, steps = x.shape[1], now.shape[1]
        support, queries = self.embedding.lower(torch.cat([x, now], dim=1)).split([samples, steps], dim=1)
        pairs = torch.cat([support[:, None].expand(-1, steps, *support.shape[1:]), queries[:, :, None]], dim=2)
        parts: list[Weights] = [self.embedding.slow]
        if self.task_weights != "none":
            gradients = self._embedding_gradients(support, labels, "cross_entropy")
            task = self._task_weights_after_each(gradients, known, steps)
            parts.append(self._by_layer(self.embedding, {kind: each.flatten(0, 1) for kind, each in task.items()}))
        r = self.embedding.upper(pairs.flatten(0, 1), parts, embedding=True)
        return r[:, :samples], r[:, samples:]

    def _embedding_gradients(self, h: Tensor, labels: "_Labels", kind: str) -> dict[str, Tensor]:
        """Of the representation loss, by example: [B, S, P]; of the maps h [B, S, ...] below the augmented layers."""
        h = h.detach() if self.order == 1 else h
        slow, theta = self.embedding.slow, self.embedding.own(h.shape[:2], {})
        if kind == "cross_entropy":

            def loss(theta: Weights) -> Tensor:
                return cross_entropy(self.embedding.upper(h, [{**slow, **theta}]), labels.y, labels.there)

        else:
            pairs = torch.stack([h, h.roll(-1, dims=1)], dim=2).flatten(0, 1)  # [B S, 2, ...]
            same = (labels.y == labels.y.roll(-1, dims=1)).flatten()

            def loss(theta: Weights) -> Tensor:
                own = {name: each.flatten(0, 1) for name, each in theta.items()}
                return contrastive(self.embedding.upper(pairs, [{**slow, **own}], embedding=True), same)

        return self.embedding.flat(gradients_of(loss, theta, self.order))

    def _base_gradients(self, x: Tensor, labels: "_Labels") -> dict[str, Tensor]:
        """Of the task's loss, by example: [B, S, P]; x [B, S, ...] is what the base learner reads."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.order == 2):
            h = self.base.lower(x)
        slow = {**self.base.slow, "softmax": labels.softmax}
        theta = self.base.own(x.shape[:2], {"softmax": _by_example(labels.softmax)})

        def loss(theta: Weights) -> Tensor:
            return cross_entropy(self.base.upper(h, [{**slow, **theta}]), labels.y, labels.there)

        return self.base.flat(gradients_of(loss, theta, self.order))

    def _task_weights(self, gradients: Coordinates) -> dict[str, Tensor]:
        """Gradients of examples [B, S, P] -> weights [B, P], of the support set in chunks."""
        found = {}
        for kind, each in gradients.items():
            steps = min(self.chunks or each.shape[1], each.shape[1])
            means = [chunk.mean(dim=1) for chunk in each.tensor_split(steps, dim=1)]
            found[kind] = self.d[kind](torch.stack(means))
        return found

    def _task_weights_after_each(self, gradients: Coordinates, known: Tensor, steps: int) -> dict[str, Tensor]:
        """Gradients of examples [B, S, P] -> weights [B, T, P], after each of the last T examples."""
        found = {}
        for kind, each in gradients.items():
            counts = known[..., None].expand(*known.shape, each.shape[-1])
            found[kind] = self.d[kind].after_each(each.transpose(0, 1), counts)[-steps:].transpose(0, 1)
        return found

    def _by_layer(self, network: SlowNetwork, coordinates: Coordinates) -> dict[str, Tensor]:
        """Fast weights by layer of a network."""
        found = network.unflat(coordinates)
        if not self.centred:
            return found
        inputs = {layer.name: tuple(range(1 - len(layer.shape), 0)) for layer in network.augmented}
        return {name: each - each.mean(dim=inputs[name], keepdim=True) for name, each in found.items()}

    def _read_memory(self, a: Tensor, gradients: Coordinates) -> dict[str, Tensor]:
        """Weights by layer [B, Q, ...]: attention a [B, Q, S] to the memory, a row for each example's gradient."""
        return self._by_layer(self.base, {kind: a @ self.m[kind](each) for kind, each in gradients.items()})

    def _answer(self, h: Tensor, labels: "_Labels", fast: Sequence[Weights]) -> Tensor:
        """Logits [B, Q, K] of the base learner, from the maps h below its augmented layers."""
        slow = {**self.base.slow, "softmax": labels.softmax}
        if self.without:
            fast = [{name: each for name, each in made.items() if name not in self.without} for made in fast]
        if self.parts == "slow":
            return self.base.upper(h, [slow])
        if self.parts == "fast":
            slow = {name: each for name, each in slow.items() if name not in fast[0]}
        return self.base.upper(h, [slow, *fast])

    def _softmax(self, count: Tensor) -> Tensor:
        """The last layer's slow weights, [K, D]; [B, K, D] where they depend on the number of classes, count [B]."""
        learned = self.base.weights["softmax"]
        return learned if self.ways is None else learned.where((count == self.ways)[:, None, None], self.other_softmax)

    def _require_fitting(self, support_x: Tensor, present: Tensor) -> None:
        if present.device.type != "cpu":  # elsewhere looking would stop the device
            return
        count = present.sum(dim=-1)
        if self.training and self.ways is not None and (count != self.ways).any():
            raise UserError(
                f"meta_networks: trained with {count.max().item()} classes in an episode, but ways is {self.ways}"
            )
        if self.representation_loss == "contrastive" and len(support_x) <= count.max():
            raise UserError("meta_networks: a contrastive loss needs two samples of a class; set k_shot to 2 or more")


class _Labels(NamedTuple):
    """An episode's labels: their places y [B, S] in the last layer, which of its outputs are there [B, K], and
    its slow weights [K, D] or [B, K, D]."""

    y: Tensor
    there: Tensor
    softmax: Tensor


def _by_example(weights: Tensor) -> Tensor:
    """Room for an axis of examples, if there is one of tasks."""
    return weights if weights.dim() == 2 else weights[:, None]


def attention(
    index: Float[Tensor, "batch samples features"], r: Float[Tensor, "batch queries features"]
) -> Float[Tensor, "batch queries samples"]:
    """Cosine of each row of the index and each query."""
    index, r = (each / (each.square().sum(dim=-1, keepdim=True) + TINY).sqrt() for each in (index, r))
    return r @ index.mT
