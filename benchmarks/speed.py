"""Speed of the study's operations against plain references, side by side in one run: `make bench`.

Every round times each variant once, in turn, so that a machine whose speed drifts slows all of them alike; what
is reported is the median over rounds of the ratio within a round. A training iteration is forward, backward and
nothing else; weights and inputs are the same for all variants of a row.
"""

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.kernels import delta_rule, least_recently_used, self_reference
from metamemory.kernels.least_recently_used import Memory
from metamemory.kernels.memory import keep_freed_memory
from metamemory.models import TaskDescription
from metamemory.models.fast_weights.meta_networks import MetaNetworks
from metamemory.models.memory.mann import MANN
from metamemory.models.recurrent.cl_lstm import CLLSTM
from metamemory.models.self_modifying.blur import Blur
from metamemory.models.self_modifying.vsml import VSML
from metamemory.nn.labels import one_hot
from metamemory.papers.babu2021.cost import size
from metamemory.study.methods import method
from metamemory.study.parameters import Parameters, project_root
from metamemory.study.runs import hardware
from metamemory.tasks.online_few_shot import OnlineFewShot

STEPS, BATCH, SIZE, FILTERS, N_WAY = 25, 8, 28, 64, 5
STREAM = 10_000  # steps
LONG = 1_000  # steps of an episode in which learners are compared
LONG_TRAINING = 200  # steps of an episode whose training has to fit into memory
MANN_STEPS, MANN_BATCH, MANN_SIZE, SLOTS, WIDTH, HEADS = 50, 16, 20, 128, 40, 4
SRWM_STEPS, SRWM_BATCH, SRWM_HEADS, SRWM_SIZE = 30, 8, 16, 16  # of a layer of fast weights
STREAMS, EXAMPLES = 4, 20  # networks that learn by VSML, and what each sees
QUERIES = 10  # of each class, in a task of MetaNet
LIVES, LIFE, MINIBATCH, LIFE_SIZE, DIGITS, HIDDEN = 4, 10, 64, 10, 10, (64, 32)  # of networks that learn by BLUR
PIXELS = {1: 28, 2: 14, 3: 7, 4: 3}  # side of the maps of each CL layer


class PlainCLLSTM(nn.Module):
    """CL+LSTM as it is commonly written: for each step, for each layer, one convolution of cat(x, h)."""

    def __init__(self):
        super().__init__()
        channels = (1 + N_WAY, FILTERS, FILTERS, FILTERS)
        self.cl = nn.ModuleList(nn.Conv2d(c + FILTERS, 4 * FILTERS, 3, padding=1) for c in channels)
        self.lstm = nn.LSTMCell(FILTERS * 9 + N_WAY, 256)
        self.classifier = nn.Linear(256, N_WAY)

    def forward(self, x: Tensor, y_seen: Tensor) -> Tensor:
        batch = x.shape[1]
        state = [(x.new_zeros(batch, FILTERS, side, side),) * 2 for side in PIXELS.values()]
        top = None
        logits = []
        for t in range(len(x)):
            label = fn.one_hot(y_seen[t] + 1, N_WAY + 1)[:, 1:].float()
            z = torch.cat([x[t], label[:, :, None, None].expand(-1, -1, SIZE, SIZE)], dim=1)
            for n, conv in enumerate(self.cl):
                h, c = state[n]
                i, f, o, g = conv(torch.cat([z + skip if n == 3 else z, h], dim=1)).chunk(4, dim=1)  # noqa: F821
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
                state[n] = h, c
                z = fn.max_pool2d(h, 2) if n < 3 else h
                if n == 1:
                    skip = fn.max_pool2d(z, 2)  # noqa: F841
            top = self.lstm(torch.cat([z.flatten(1), label], dim=1), top)
            logits.append(self.classifier(top[0]))
        return torch.stack(logits)


class PlainMANN(nn.Module):
    """MANN as it is commonly written: for each step an LSTM cell, the heads, and the formulas of the access."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(MANN_SIZE**2 + N_WAY + HEADS * WIDTH, 200)
        self.keys, self.gates = nn.Linear(200, HEADS * WIDTH), nn.Linear(200, HEADS)
        self.classifier = nn.Linear(200 + HEADS * WIDTH, N_WAY)

    def forward(self, x: Tensor, y_seen: Tensor) -> Tensor:
        batch = x.shape[1]
        state = (x.new_zeros(batch, 200),) * 2
        reads = x.new_zeros(batch, HEADS, WIDTH)
        memory = Memory(x.new_zeros(batch, WIDTH, SLOTS), x.new_zeros(batch, HEADS, SLOTS), x.new_zeros(batch, SLOTS))
        logits = []
        for t in range(len(x)):
            label = one_hot(y_seen[t], N_WAY)
            state = self.cell(torch.cat([x[t].flatten(1), label, reads.flatten(1)], dim=1), state)
            keys = self.keys(state[0]).tanh().view(batch, HEADS, WIDTH)
            gates = self.gates(state[0]).sigmoid()
            reads, memory, _ = least_recently_used.access_reference(keys, gates, memory, 0.99, 1.0)
            logits.append(self.classifier(torch.cat([state[0], reads.flatten(1)], dim=1)))
        return torch.stack(logits)


class InputLSTM(nn.Module):
    """An LSTM of the controller's size on the same inputs, by torch itself."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(MANN_SIZE**2 + N_WAY, 200)

    def forward(self, x: Tensor, y_seen: Tensor) -> Tensor:
        return self.lstm(torch.cat([x.flatten(2), one_hot(y_seen, N_WAY)], dim=-1))[0]


def plain_meta_networks(learner: MetaNetworks, x: Tensor, y: Tensor, queries: Tensor) -> Tensor:
    """Logits [Q, K] of one task as their Algorithm 1 is commonly written: example by example, query by query.

    Args:
        learner: whose weights and settings are used.
        x, y: support set [S, ...] and its labels [S].
        queries: [Q, ...].
    """
    known = sorted(set(y.tolist()))  # an episode's classes take the first outputs
    places, again = [known.index(each) for each in y.tolist()], learner.order == 2
    base, embedding = dict(learner.base.weights.items()), dict(learner.embedding.weights.items())
    if learner.ways is not None and learner.ways != len(known):
        base["softmax"] = learner.other_softmax.clone().requires_grad_()
    of_base, of_embedding = ([layer.name for layer in each.augmented] for each in (learner.base, learner.embedding))

    def gradients(loss: Tensor, weights: dict[str, Tensor], names: list[str]) -> dict[str, Tensor]:
        chosen = [weights[name] for name in names]
        found = torch.autograd.grad(loss, chosen, create_graph=again)
        return dict(zip(names, found, strict=True))

    def loss_of(logits: Tensor, place: int) -> Tensor:
        return fn.cross_entropy(logits[None, : len(known)], torch.tensor([place]))

    def task_weights(losses: list[Tensor], weights: dict[str, Tensor], names: list[str]) -> dict[str, Tensor]:
        chunks = min(learner.chunks or len(losses), len(losses))
        bounds = [len(each) for each in np.array_split(np.arange(len(losses)), chunks)]
        means = [sum(losses[sum(bounds[:n]) : sum(bounds[: n + 1])]) / bounds[n] for n in range(chunks)]
        steps = [gradients(mean, weights, names) for mean in means]
        return {name: plain_lstm(learner.d[kind_of(name)], [step[name] for step in steps]) for name in names}

    fast_embedding = []
    if learner.task_weights != "none":
        if learner.representation_loss == "cross_entropy":
            losses = [loss_of(plain_network([embedding], each), place) for each, place in zip(x, places, strict=True)]
        else:
            losses = []
            for i in range(len(x)):
                j = (i + 1) % len(x)
                d = (plain_network([embedding], x[i], True) - plain_network([embedding], x[j], True)).square().sum()
                d = (d + torch.finfo(torch.float32).eps).sqrt()
                losses.append(d**2 if places[i] == places[j] else (1 - d).relu() ** 2)
        fast_embedding = [task_weights(losses, embedding, of_embedding)]
    index = [plain_network([embedding, *fast_embedding], each, True) for each in x]
    read = index if learner.reads_embedding else x
    if not again:
        read = [each.detach() for each in read]
    losses = [loss_of(plain_network([base], each), place) for each, place in zip(read, places, strict=True)]
    memory = []
    for loss in losses:
        of_example = torch.autograd.grad(loss, [base[name] for name in of_base], create_graph=again, retain_graph=True)
        memory.append([plain_mlp(learner.m[kind_of(name)], g) for name, g in zip(of_base, of_example, strict=True)])
    fast_base = [task_weights(losses, base, of_base)] if learner.task_weights == "both" else []
    logits = []
    for query in queries:
        r = plain_network([embedding, *fast_embedding], query, True)
        a = torch.stack([r @ each / (r @ r + 1e-6).sqrt() / (each @ each + 1e-6).sqrt() for each in index]).softmax(0)
        rows = zip(*memory, strict=True)
        fast = {
            name: sum(w * row for w, row in zip(a, each, strict=True)) for name, each in zip(of_base, rows, strict=True)
        }
        slow = {name: each for name, each in base.items() if learner.parts != "fast" or name not in fast}
        parts = [slow] if learner.parts == "slow" else [slow, fast, *fast_base]
        found = plain_network(parts, r if learner.reads_embedding else query, names=list(base))
        logits.append(
            torch.full((learner.n_way,), -1e9, dtype=x.dtype).index_put((torch.tensor(known),), found[: len(known)])
        )
    return torch.stack(logits)


def plain_network(
    parts: list[dict[str, Tensor]], image: Tensor, embedding: bool = False, names: list[str] | None = None
) -> Tensor:
    """One image through the layers: of each the sum of what slow and fast weights find."""
    h = image[None]
    for name in names or list(parts[0]):
        if embedding and name == "softmax":
            break
        found = []
        for weights in (each[name] for each in parts if name in each):
            z = fn.conv2d(h, weights, padding=1) if name.startswith("conv") else fn.linear(h.flatten(1), weights)
            found.append(z if name == "softmax" or (embedding and name == "linear") else z.relu())
        h = sum(found)
        if name.startswith("conv"):
            h = fn.max_pool2d(h, 2, ceil_mode=True)
    return h[0]


def kind_of(layer: str) -> str:
    return "conv" if layer.startswith("conv") else "linear"


def plain_read(g: Tensor, p: float) -> Tensor:
    """Size and sign of each coordinate of a gradient: [coordinate, 2]."""
    g = g.flatten()
    size = ((g.abs() + torch.finfo(torch.float32).eps).log() / p).clamp(min=-1)
    return torch.stack([size, (g * math.exp(p)).clamp(-1, 1)], dim=1)


def plain_mlp(m: nn.Module, g: Tensor) -> Tensor:
    return m.last(m.second(m.first(plain_read(g, m.p)).relu()).relu()).view(g.shape)


def plain_lstm(d: nn.Module, steps: list[Tensor]) -> Tensor:
    h = c = steps[0].new_zeros(steps[0].numel(), d.hidden)
    for g in steps:
        i, f, new, o = (d.input(plain_read(g, d.p)) + d.recurrent(h)).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * new.tanh()
        h = o.sigmoid() * c.tanh()
    return d.last(h).view(steps[0].shape)


def convolutions_alone(precision: torch.dtype) -> Callable[[], None]:
    """The convolutions of one training iteration and nothing else, batched over time where they can be."""

    def maps(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=precision).contiguous(memory_format=torch.channels_last)

    layers = []
    for layer, side in PIXELS.items():
        channels = 1 + N_WAY if layer == 1 else FILTERS
        x, hs = maps(STEPS * BATCH, channels, side, side), maps(STEPS * BATCH, FILTERS, side, side)
        d_u = maps(STEPS * BATCH, 4 * FILTERS, side, side)
        w_x, w_h = maps(4 * FILTERS, channels, 3, 3), maps(4 * FILTERS, FILTERS, 3, 3)
        layers.append((x, hs, d_u, w_x, w_h, layer > 1))  # the first layer's input needs no gradient

    def iteration():
        for x, hs, d_u, w_x, w_h, needs_input_gradient in layers:
            fn.conv2d(x, w_x, padding=1)
            for h in hs.split(BATCH):
                fn.conv2d(h, w_h, padding=1)
            for d in d_u.split(BATCH):
                fn.grad.conv2d_input((BATCH, *hs.shape[1:]), w_h, d, padding=1)
            fn.grad.conv2d_weight(hs, w_h.shape, d_u, padding=1)
            fn.grad.conv2d_weight(x, w_x.shape, d_u, padding=1)
            if needs_input_gradient:
                fn.grad.conv2d_input(x.shape, w_x, d_u, padding=1)

    return iteration


def training_iteration(learner: nn.Module, x: Tensor, y_seen: Tensor) -> Callable[[], None]:
    def iteration():
        learner.zero_grad(set_to_none=True)
        learner(x, y_seen).square().sum().backward()

    return iteration


def meta_networks_iteration(plain: bool) -> Callable[[], None]:
    """A training iteration of MetaNet on one task: a support image of each class, and queries."""
    learner = MetaNetworks((1, SIZE, SIZE), N_WAY, filters=FILTERS)
    x, queries = torch.rand(N_WAY, 1, 1, SIZE, SIZE), torch.rand(N_WAY * QUERIES, 1, 1, SIZE, SIZE)
    y, query_y = torch.arange(N_WAY)[:, None], torch.arange(N_WAY).repeat(QUERIES)

    def iteration() -> None:
        learner.zero_grad(set_to_none=True)
        if plain:
            logits = plain_meta_networks(learner, x[:, 0], y[:, 0], queries[:, 0])
        else:
            logits = learner.answer_queries(x, y, queries)[:, 0]
        fn.cross_entropy(logits, query_y, reduction="sum").backward()

    return iteration


def fast_weights_iteration(layer: str, plain: bool) -> Callable[[], None]:
    """A training iteration of the fast weights of a layer, which are written step by step."""
    size, heads = SRWM_SIZE, SRWM_BATCH * SRWM_HEADS
    if layer == "self_reference":
        operation = self_reference.self_reference_reference if plain else self_reference.self_reference
        inputs = [torch.randn(SRWM_STEPS, heads, size), torch.randn(heads, size, 3 * size + 4) / size**0.5]
    else:
        operation = delta_rule.delta_rule_reference if plain else delta_rule.delta_rule
        q, k, v = (torch.randn(SRWM_STEPS, heads, size) for _ in range(3))
        rates, before = torch.rand(SRWM_STEPS, heads), torch.zeros(heads, size, size)
        inputs = [q.softmax(dim=-1), k.softmax(dim=-1), v, rates, before]
    inputs = [each.requires_grad_() for each in inputs]

    def iteration() -> None:
        torch.autograd.grad(operation(*inputs)[0].square().sum(), inputs)

    return iteration


def fast_weights_products(layer: str) -> Callable[[], None]:
    """Products of matrices of one such iteration, step by step, and nothing else: of vectors with the weights, forward
    (two of each layer) and back (the same four), and sums of outer products with what is written (one) or its gradient
    (two)."""
    size, heads = SRWM_SIZE, SRWM_BATCH * SRWM_HEADS
    columns = 3 * size + 4 if layer == "self_reference" else size
    weights, x, u = torch.randn(heads, size, columns), torch.randn(heads, 1, size), torch.randn(heads, 1, columns)
    turned, outer = weights.transpose(1, 2), x.transpose(1, 2)

    def iteration() -> None:
        for _ in range(SRWM_STEPS):
            for _ in range(2):
                x @ weights
            torch.baddbmm(weights, outer, u)
        for _ in range(SRWM_STEPS):
            x @ weights
            for _ in range(3):
                u @ turned
            for _ in range(2):
                torch.baddbmm(weights, outer, u)

    return iteration


def plain_blur(rule: Blur, x: Tensor, y: Tensor, queries: Tensor) -> Tensor:
    """Logits [Q, B, K] of networks that learn by BLUR, as its equations are written: for each layer einsum over
    neurons [b, m, j, state] and synapses [b, i, j, state], with a neuron of ones for the biases.

    Args:
        rule: whose genome is used; with its settings as they are by default.
        x, y: samples [S, B, ...] in their order and labels [S, B].
        queries: [Q, B, ...].
    """
    found = iter(rule.start(x.shape[1]))
    forward, backward = [], []
    for number in range(len(rule.sizes) - 1):
        w, bias = next(found), next(found)
        w = w.transpose(2, 3) if number == 0 else w.permute(0, 2, 3, 1)
        forward.append(torch.cat([w, bias.transpose(1, 2)[:, None]], dim=1))
        backward.append(next(found).permute(0, 2, 3, 1) if number else None)

    def active(z: Tensor, which: str) -> Tensor:
        variance, mean = torch.var_mean(z, dim=1, keepdim=True, correction=0)
        of_genome = getattr(rule, f"{which}_deviation"), getattr(rule, f"{which}_mean")
        return (of_genome[0] * (z - mean) / (variance + 1e-5).sqrt() + of_genome[1]).tanh()

    def with_ones(a: Tensor) -> Tensor:
        return torch.cat([a, torch.ones_like(a[:, :, :1])], dim=2)

    def limited(w: Tensor) -> Tensor:
        return rule.synapse_keep * w / (1 + rule.bound.abs() * (w**2).sum(dim=1, keepdim=True))

    def run(x: Tensor) -> list[Tensor]:
        x = x.flatten(2).transpose(0, 1)[..., None]
        a = [torch.cat([x, x.new_zeros(*x.shape[:3], rule.states - 1)], dim=3)]
        for w in forward:
            a.append(active(rule.gain * torch.einsum("bmid,dc,bijc->bmjc", with_ones(a[-1]), rule.nu, w), "forward"))
        return a

    for part, labels in zip(x.split(rule.minibatch), y.split(rule.minibatch), strict=True):
        a = run(part)
        label = 2 * fn.one_hot(labels.T, rule.n_way)[..., None].float() - 1
        a[-1] = torch.cat([a[-1][..., :1], label, torch.zeros_like(a[-1][..., 2:])], dim=3)
        for number in range(len(forward) - 1, 0, -1):
            z = torch.einsum("bmjd,dc,bjic->bmic", a[number + 1], rule.mu, backward[number])
            a[number] = active(rule.keep * a[number] + rule.gain * z, "backward")
        rate = rule.synapse_gain / rule.minibatch
        for number, w in enumerate(forward):
            genome, pre, post = (rule.pre, rule.post), a[number], a[number + 1]
            hebb = torch.einsum("bmie,ec,cd,bmjd->bijc", with_ones(pre), *genome, post)
            forward[number] = torch.cat([limited(w[:, :-1]), limited(w[:, -1:])], dim=1) + rate * hebb
            if number:
                hebb = torch.einsum("bmje,ec,cd,bmid->bjic", post, *genome, pre)
                backward[number] = limited(backward[number]) + rate * hebb
    return run(queries)[-1][..., 0].transpose(0, 1)


def blur_iteration(plain: bool) -> Callable[[], None]:
    """A training iteration of BLUR: a few networks, each with a life of some minibatches."""
    torch.manual_seed(0)
    rule = Blur((1, LIFE_SIZE, LIFE_SIZE), DIGITS, hidden=HIDDEN, minibatch=MINIBATCH)
    x = torch.randn(LIFE * MINIBATCH, LIVES, 1, LIFE_SIZE, LIFE_SIZE)
    y, query_y = torch.randint(DIGITS, x.shape[:2]), torch.randint(DIGITS, (100, LIVES))

    def iteration() -> None:
        rule.zero_grad(set_to_none=True)
        logits = plain_blur(rule, x, y, x[:100]) if plain else rule.answer_queries(x, y, x[:100])
        fn.cross_entropy(logits.flatten(0, 1), query_y.flatten()).backward()

    return iteration


class PlainVSML(nn.Module):
    """VSML with one layer as it is commonly written: an LSTM cell of torch for all synapses, which reads the messages
    of its two neurons, and heads for each synapse, whose messages are then summed."""

    def __init__(self, rule: VSML):
        super().__init__()
        self.rule = rule
        self.cell = nn.LSTMCell(2 * rule.messages, rule.units)
        self.heads = nn.ModuleList([rule.forward_head, rule.backward_head])
        with torch.no_grad():
            i, f, o, g = torch.cat([rule.w_forward, rule.w_backward]).T.chunk(4)
            self.cell.weight_ih.copy_(torch.cat([i, f, g, o]))
            i, f, o, g = rule.w_own.T.chunk(4)
            self.cell.weight_hh.copy_(torch.cat([i, f, g, o]))
            i, f, o, g = rule.bias.chunk(4)
            self.cell.bias_ih.copy_(torch.cat([i, f, g, o]))
            self.cell.bias_hh.zero_()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Logits [S, B, K] of samples [S, B, I], each before its label [S, B] is learned."""
        rule, batch, (ins, outs) = self.rule, x.shape[1], self.rule.sizes
        h, c, error = rule.start(batch)
        h, c = h.flatten(0, 2), c.flatten(0, 2)
        logits = []
        for sample, label in zip(x, y, strict=True):
            below = fn.pad(sample[..., None], (0, rule.messages - 1))[:, :, None].expand(-1, -1, outs, -1)
            above = fn.pad(error[..., None], (0, rule.messages - 1))[:, None].expand(-1, ins, -1, -1)
            read = torch.cat([below, above], dim=-1).flatten(0, 2)
            for _ in range(rule.ticks):
                h, c = self.cell(read, (h, c))
            said = self.heads[0](h).unflatten(0, (batch, ins, outs))
            message = (said - rule.forward_head.bias).sum(dim=1) / ins**rule.power + rule.forward_head.bias
            logit = rule.bound * (message[..., 1] / rule.bound).tanh()
            error = logit.softmax(dim=-1) - fn.one_hot(label, outs)
            logits.append(logit)
        return torch.stack(logits)


def vsml_iteration(plain: bool) -> Callable[[], None]:
    """A training iteration of VSML: a few networks, each with a stream of examples."""
    torch.manual_seed(0)
    rule = VSML((1, LIFE_SIZE, LIFE_SIZE), DIGITS, minibatch=EXAMPLES)
    x, y = torch.randn(EXAMPLES, STREAMS, LIFE_SIZE**2), torch.randint(DIGITS, (EXAMPLES, STREAMS))
    module = PlainVSML(rule) if plain else rule

    def iteration() -> None:
        module.zero_grad(set_to_none=True)
        logits = module(x, y) if plain else rule.answer_stream(x.unflatten(2, rule.input_shape), y)
        fn.cross_entropy(logits.flatten(0, 1), y.flatten()).backward()

    return iteration


def on_one_thread(iteration: Callable[[], None]) -> Callable[[], None]:
    """The same, as runs side by side do it."""

    def alone() -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        iteration()
        torch.set_num_threads(threads)

    return alone


def sampling() -> Callable[[], None]:
    images = torch.zeros(1028, 20, 1, SIZE, SIZE, dtype=torch.uint8)
    task, generator = OnlineFewShot(images, N_WAY, STEPS // N_WAY), torch.Generator().manual_seed(0)
    return lambda: task.sample(BATCH, generator)


def streaming(age: int) -> Callable[[], None]:
    """Online use: steps at batch 1 that go on after `age` steps have been taken."""
    learner = CLLSTM((1, 14, 14), N_WAY, filters=16, hidden=128, pool_after=(1, 2)).eval()
    x, null, state = torch.rand(1, 1, 14, 14), torch.full((1,), -1), learner.initial_state(1)

    @torch.no_grad()
    def steps(count: int = STREAM // 50) -> None:
        nonlocal state
        for _ in range(count):
            _, state = learner.step(x, null, state)

    steps(age)
    return steps


def learners() -> list[str]:
    """Those of the online few-shot experiment that keep something."""
    every = Parameters(project_root()).experiment("online_few_shot")["methods"]
    return [name for name in every if name != "counting"]


def training(name: str, rounds: int) -> dict[str, float]:
    """How long a learner at full size takes to train on a batch of episodes, times CL+LSTM beside it; a median."""
    x, y_seen = torch.rand(STEPS, BATCH, 1, SIZE, SIZE), torch.randint(-1, N_WAY, (STEPS, BATCH))
    learner, cl_lstm = (method(each).build(TaskDescription((1, SIZE, SIZE), N_WAY)) for each in (name, "cl_lstm"))
    if not any(parameter.requires_grad for parameter in learner.parameters()):
        return {}
    pair = {"its own": training_iteration(learner, x, y_seen), "CL+LSTM": training_iteration(cl_lstm, x, y_seen)}
    ratio = statistics.median(a / b for a, b in zip(*measure(pair, rounds).values(), strict=True))
    return {"training": round(ratio, 3)}


def online(name: str) -> dict[str, float]:
    """Milliseconds of a step at batch 1 and kilobytes of state, of a learner at full size: at the start of an episode
    and after `LONG` steps."""
    learner = method(name).build(TaskDescription((1, SIZE, SIZE), N_WAY)).eval()
    state, found = learner.initial_state(1), {}

    @torch.no_grad()
    def milliseconds(steps: int) -> float:
        nonlocal state
        times = []
        for t in range(steps):
            x, label = torch.rand(1, 1, SIZE, SIZE), torch.tensor([t % N_WAY])
            began = time.perf_counter()
            _, state = learner.step(x, label, state)
            times.append(1000 * (time.perf_counter() - began))
        return statistics.median(times)

    for moment, before in (("early", 5), ("late", LONG - 55)):
        milliseconds(before)
        found[f"milliseconds_{moment}"] = round(milliseconds(25), 3)
        found[f"kilobytes_{moment}"] = round(size(state) / 1000, 1)
    return found


def measure(variants: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each variant in each round, right after the same was done once, as in a training: it finds the caches
    and the freed memory as it has left them itself."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, iteration in variants.items():
            iteration()
            began = time.perf_counter()
            iteration()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def peak_gigabytes(precision: str, steps: int) -> float:
    """The largest memory of a process that does one training iteration of CL+LSTM on an episode of so many steps."""
    command = [sys.executable, __file__, "--long", str(steps), "--memory-of", precision]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout)


def train_once(precision: str, steps: int) -> float:
    """Do that, in this process, and say how much memory it has taken at most, in gigabytes."""
    x, y_seen = torch.rand(steps, BATCH, 1, SIZE, SIZE), torch.randint(-1, N_WAY, (steps, BATCH))
    training_iteration(CLLSTM((1, SIZE, SIZE), N_WAY, filters=FILTERS, precision=precision), x, y_seen)()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed against plain references, side by side.")
    parser.add_argument("--rounds", type=int, default=7, help="how many")
    parser.add_argument("--to", type=Path, default=Path("results/speed/cpu.json"), help="file to write")
    parser.add_argument("--long", type=int, default=LONG_TRAINING, help="steps of the episode whose memory is measured")
    parser.add_argument("--memory-of", choices=("float32", "bfloat16"), help="only measure it, in GB")
    options = parser.parse_args()
    if options.memory_of:
        print(f"{train_once(options.memory_of, options.long):.3f}")
        return

    memory = {precision: peak_gigabytes(precision, options.long) for precision in ("float32", "bfloat16")}
    keep_freed_memory()
    torch.manual_seed(0)
    x, y_seen = torch.rand(STEPS, BATCH, 1, SIZE, SIZE), torch.randint(-1, N_WAY, (STEPS, BATCH))

    def fast(precision: str) -> Callable[[], None]:
        return training_iteration(CLLSTM((1, SIZE, SIZE), N_WAY, normalise=False, precision=precision), x, y_seen)

    images = torch.rand(MANN_STEPS, MANN_BATCH, 1, MANN_SIZE, MANN_SIZE)
    labels = torch.randint(-1, N_WAY, (MANN_STEPS, MANN_BATCH))
    seconds = measure(
        {
            "plain loop, float32": training_iteration(PlainCLLSTM(), x, y_seen),
            "fast, float32": fast("float32"),
            "fast, bfloat16": fast("bfloat16"),
            "convolutions alone, float32": convolutions_alone(torch.float32),
            "convolutions alone, bfloat16": convolutions_alone(torch.bfloat16),
            "MANN, plain loop": training_iteration(PlainMANN(), images, labels),
            "MANN, fast": training_iteration(MANN((1, MANN_SIZE, MANN_SIZE), N_WAY), images, labels),
            "MANN that writes values, fast": training_iteration(
                MANN((1, MANN_SIZE, MANN_SIZE), N_WAY, written="value", own_slots=True), images, labels
            ),
            "LSTM of torch": training_iteration(InputLSTM(), images, labels),
            "MetaNet, plain loop": meta_networks_iteration(plain=True),
            "MetaNet, fast": meta_networks_iteration(plain=False),
            "SRWM layer, plain loop": fast_weights_iteration("self_reference", plain=True),
            "SRWM layer, fast": fast_weights_iteration("self_reference", plain=False),
            "SRWM layer, its products alone": fast_weights_products("self_reference"),
            "DeltaNet layer, plain loop": fast_weights_iteration("delta_rule", plain=True),
            "DeltaNet layer, fast": fast_weights_iteration("delta_rule", plain=False),
            "DeltaNet layer, its products alone": fast_weights_products("delta_rule"),
            "BLUR, plain einsum": blur_iteration(plain=True),
            "BLUR, fast": blur_iteration(plain=False),
            "VSML, plain LSTM cell": vsml_iteration(plain=True),
            "VSML, fast": vsml_iteration(plain=False),
            "VSML, plain LSTM cell, one thread": on_one_thread(vsml_iteration(plain=True)),
            "VSML, fast, one thread": on_one_thread(vsml_iteration(plain=False)),
            "sampling a batch": sampling(),
            "online step, late": streaming(age=STREAM),
            "online step, early": streaming(age=0),
        },
        options.rounds,
    )
    rows = []
    for what, above, below, target in (
        ("CL+LSTM training iteration: plain loop / fast, float32", "plain loop, float32", "fast, float32", ">= 4"),
        ("fast, float32 / its convolutions alone", "fast, float32", "convolutions alone, float32", "<= 1.25"),
        ("fast: float32 / bfloat16", "fast, float32", "fast, bfloat16", ">= 1.7"),
        ("fast, bfloat16 / its convolutions alone", "fast, bfloat16", "convolutions alone, bfloat16", ""),
        ("MANN training iteration: plain loop / fast", "MANN, plain loop", "MANN, fast", ">= 4"),
        ("MANN, fast / torch's LSTM of the controller's size", "MANN, fast", "LSTM of torch", "<= 3"),
        (
            "MANN that writes values, to slots of each head, fast / the same LSTM",
            *("MANN that writes values, fast", "LSTM of torch", "<= 3"),
        ),
        ("MetaNet training iteration: plain loop / fast", "MetaNet, plain loop", "MetaNet, fast", ">= 5"),
        ("SRWM layer, training iteration: plain loop / fast", "SRWM layer, plain loop", "SRWM layer, fast", ">= 4"),
        ("SRWM layer, fast / its products alone", "SRWM layer, fast", "SRWM layer, its products alone", "<= 1.5"),
        ("DeltaNet layer, the same", "DeltaNet layer, plain loop", "DeltaNet layer, fast", ">= 4"),
        (
            "DeltaNet layer, fast / its products alone",
            *("DeltaNet layer, fast", "DeltaNet layer, its products alone", "<= 1.5"),
        ),
        ("BLUR training iteration: plain einsum / fast", "BLUR, plain einsum", "BLUR, fast", ">= 2"),
        ("VSML training iteration: plain LSTM cell / fast", "VSML, plain LSTM cell", "VSML, fast", ">= 2"),
        (
            "VSML, the same, each on one thread",
            *("VSML, plain LSTM cell, one thread", "VSML, fast, one thread", ">= 2"),
        ),
        ("sampling a batch / fast, bfloat16", "sampling a batch", "fast, bfloat16", "<= 0.05"),
        (f"online step: after {STREAM:,} / at the start", "online step, late", "online step, early", "<= 1.1"),
    ):
        ratios = sorted(a / b for a, b in zip(seconds[above], seconds[below], strict=True))
        row = {"what": what, "ratio": statistics.median(ratios), "low": ratios[0], "high": ratios[-1], "target": target}
        rows.append({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()})
        print(f"{what:60} {row['ratio']:7.3f}   ({row['low']:.3f} to {row['high']:.3f})   {target}")
    report = {
        "shape": f"{STEPS} steps, batch {BATCH}, {SIZE}x{SIZE}, {FILTERS} filters, {N_WAY}-way; "
        f"MANN: {MANN_STEPS} steps, batch {MANN_BATCH}, {MANN_SIZE}x{MANN_SIZE}, {SLOTS} slots of {WIDTH}, "
        f"{HEADS} heads, 200 units; layers of fast weights: {SRWM_STEPS} steps, batch {SRWM_BATCH}, "
        f"{SRWM_HEADS} heads of {SRWM_SIZE}; BLUR: {LIVES} networks of {LIFE_SIZE}x{LIFE_SIZE}, {HIDDEN[0]}, "
        f"{HIDDEN[1]}, {DIGITS} neurons, lives of {LIFE} minibatches of {MINIBATCH}; "
        f"VSML: {STREAMS} networks of {LIFE_SIZE}x{LIFE_SIZE} and {DIGITS} neurons, {EXAMPLES} examples",
        "hardware": hardware(torch.device("cpu")),
        "torch": torch.__version__,
        "rounds": options.rounds,
        "online": {name: online(name) | training(name, options.rounds) for name in learners()},
        "ratios": rows,
        "median_seconds": {name: round(statistics.median(each), 5) for name, each in seconds.items()},
        "long_episode": {"steps": options.long, "gigabytes": memory},
    }
    print(f"memory of a training process, {options.long} steps, batch {BATCH}, GB: {memory}")
    options.to.parent.mkdir(parents=True, exist_ok=True)
    options.to.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"{report['hardware']}, torch {report['torch']}; written to {options.to}")


if __name__ == "__main__":
    main()
