"""Mistakes that tests must catch: a text of the package, what takes its place, and the tests of which one must fail.

Reviews made each of them by hand, and some had passed all the tests that there were. `test_mutations.py` makes them
again, each in a copy of the package of its own.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MUTABLE = ("src/metamemory", "params")  # folders of ROOT


@dataclass(frozen=True)
class Mutation:
    """A mistake.

    Attributes:
        name: what is wrong, in a few words.
        where: end of the path of the file, where its text alone would not tell; it may move as long as it ends so.
        old, new: a text that is there once, and what takes its place.
        tests: arguments of pytest.
    """

    name: str
    where: str
    old: str
    new: str
    tests: str

    @property
    def file(self) -> Path:
        """The one file that has the text, once; below the top of the project.

        Raises:
            LookupError: there is no such file, or more than one place.
        """
        paths = (path for folder in MUTABLE for path in (ROOT / folder).rglob("*"))
        places = [path for path in paths if str(path).endswith(self.where) for _ in range(self._count(path))]
        if len(places) != 1:
            raise LookupError(
                f"{self.name}: {self.old!r} is in {len(places)} places of files that end with {self.where!r}"
            )
        return places[0].relative_to(ROOT)

    def _count(self, path: Path) -> int:
        return path.read_text(encoding="utf-8").count(self.old)


MUTATIONS = [
    # --- learners with a recurrent state
    Mutation(
        "LSTM: the forget bias is in the input gate",
        "recurrent/lstm.py",
        "bias_ih_l0.data[hidden : 2 * hidden]",
        "bias_ih_l0.data[:hidden]",
        "tests/models/recurrent/test_lstm.py",
    ),
    Mutation(
        "LSTM: labels are shown as nothing",
        "recurrent/lstm.py",
        "self.labels(y_seen)]",
        "0 * self.labels(y_seen)]",
        "tests/models/recurrent/test_lstm.py",
    ),
    Mutation(
        "CNN+LSTM: the forget bias is in the cell gate",
        "recurrent/cnn_lstm.py",
        "bias_ih_l0.data[hidden : 2 * hidden]",
        "bias_ih_l0.data[2 * hidden : 3 * hidden]",
        "tests/models/test_forget_bias.py",
    ),
    Mutation(
        "CL+LSTM: the forget bias of its LSTM is in the input gate",
        "recurrent/cl_lstm.py",
        "bias_ih_l0.data[hidden : 2 * hidden]",
        "bias_ih_l0.data[:hidden]",
        "tests/models/test_forget_bias.py",
    ),
    Mutation(
        "ConvLSTM: the forget bias is in the output gate",
        "nn/conv_lstm.py",
        "self.bias.data[filters : 2 * filters]",
        "self.bias.data[2 * filters : 3 * filters]",
        "tests/nn/test_conv_lstm.py",
    ),
    Mutation(
        "CL+LSTM: average pooling",
        "recurrent/cl_lstm.py",
        "fn.max_pool2d(",
        "fn.avg_pool2d(",
        "tests/models/recurrent/test_cl_lstm.py",
    ),
    Mutation(
        "CL+LSTM: the skip connection is lost",
        "recurrent/cl_lstm.py",
        "x = x + skip",
        "x = x + 0 * skip",
        "tests/models/recurrent/test_cl_lstm.py",
    ),
    Mutation(
        "CL+LSTM: labels do not reach the LSTM",
        "recurrent/cl_lstm.py",
        "torch.cat([features, label], dim=-1)",
        "torch.cat([features, 0 * label], dim=-1)",
        "tests/models/recurrent/test_cl_lstm.py",
    ),
    Mutation(
        "CL+LSTM: planes of the label are empty",
        "recurrent/cl_lstm.py",
        "torch.cat([x, planes], dim=2)",
        "torch.cat([x, 0 * planes], dim=2)",
        "tests/models/recurrent/test_cl_lstm.py",
    ),
    Mutation(
        "CNN+LSTM: the stream reaches a frozen CNN",
        "recurrent/cnn_lstm.py",
        "torch.is_grad_enabled() and not self.frozen",
        "torch.is_grad_enabled()",
        "tests/models/recurrent/test_cnn_lstm.py",
    ),
    Mutation(
        "CNN+LSTM: features are not scaled by the root of their number",
        "recurrent/cnn_lstm.py",
        " / math.sqrt(features.shape[1])",
        " / features.shape[1]",
        "tests/models/recurrent/test_cnn_lstm.py",
    ),
    Mutation(
        "CL U-Net: the mask is lost",
        "recurrent/cl_unet.py",
        "torch.cat([maps, mask.to(maps.dtype)], dim=2)",
        "torch.cat([maps, 0 * mask.to(maps.dtype)], dim=2)",
        "tests/models/recurrent/test_cl_unet.py",
    ),
    Mutation(
        "gates in C: the cell forgets by its input gate",
        "kernels/gates.c",
        "float cell = sigmoid(load(p[1])) * c[at + n]",
        "float cell = sigmoid(load(p[0])) * c[at + n]",
        "tests/kernels/test_gates.py tests/kernels/test_conv_lstm.py",
    ),
    Mutation(
        "gates in C, backward: the gradient of the cell passes the wrong gate",
        "kernels/gates.c",
        "d_c[at + n] = d * f;",
        "d_c[at + n] = d * i;",
        "tests/kernels/test_gates.py tests/kernels/test_conv_lstm.py",
    ),
    Mutation(
        "ConvLSTM, backward: the kernel is not turned round",
        "kernels/conv_lstm.py",
        ".flip(-2, -1).transpose(0, 1)",
        ".transpose(0, 1)",
        "tests/kernels/test_conv_lstm.py",
    ),
    # --- encoders and normalisation
    Mutation(
        "encoder: average pooling",
        "nn/encoder.py",
        "nn.MaxPool2d(2)",
        "nn.AvgPool2d(2)",
        "tests/nn/test_encoder.py",
    ),
    Mutation(
        "batch normalisation: the batch's statistics in evaluation",
        "kernels/batch_norm.py",
        "return fn.batch_norm(u, mean, var, gain, bias, training, MOMENTUM, EPS)",
        "return fn.batch_norm(u, mean, var, gain, bias, True, MOMENTUM, EPS)",
        "tests/nn tests/models/test_learners.py",
    ),
    Mutation(
        "inner loop: batch normalisation may take the statistics of queries",
        "nn/inner_loop.py",
        "if not batch_statistics and (layer.training or not layer.track_running_stats):",
        "if False:",
        "tests/nn/test_inner_loop.py",
    ),
    Mutation(
        "statistics of a sample: those of all gates together",
        "nn/conv_lstm.py",
        "fn.group_norm(u, 4, self.gain, self.bias)",
        "fn.group_norm(u, 1, self.gain, self.bias)",
        "tests/nn/test_conv_lstm.py",
    ),
    # --- external memories
    Mutation(
        "MANN: the forget bias is in the input gate",
        "nn/memory_network.py",
        "self.from_input.bias[hidden : 2 * hidden] += forget_bias",
        "self.from_input.bias[:hidden] += forget_bias",
        "tests/models/memory/test_mann.py tests/nn/test_memory_network.py",
    ),
    Mutation(
        "MANN: what is read does not reach the classifier",
        "memory/mann.py",
        "return self.classifier(outputs), state",
        "h = self.classifier.in_features - self.network.heads * self.network.width\n"
        "        return self.classifier(torch.cat([outputs[..., :h], 0 * outputs[..., h:]], dim=-1)), state",
        "tests/models/memory/test_mann.py",
    ),
    Mutation(
        "MANN: labels are shown as nothing",
        "memory/mann.py",
        "self.labels(y_seen)], dim=-1)",
        "0 * self.labels(y_seen)], dim=-1)",
        "tests/models/memory/test_mann.py tests/models/test_learners.py",
    ),
    Mutation(
        "MANN, feed-forward: reads do not reach the next step",
        "nn/memory_network.py",
        "h = (u_t + self.from_reads(reads)).tanh()",
        "h = (u_t + 0 * self.from_reads(reads)).tanh()",
        "tests/nn/test_memory_network.py",
    ),
    Mutation(
        "memory: no strength of keys",
        "kernels/least_recently_used.py",
        "reading = (strength * cosines).softmax(dim=-1)",
        "reading = cosines.softmax(dim=-1)",
        "tests/kernels/test_memory_network.py tests/nn/test_memory_network.py",
    ),
    Mutation(
        "memory: of equal usages the higher slot counts as less used",
        "kernels/least_recently_used.py",
        "least = before.usage.argsort(dim=-1, stable=True)[:, :n_heads]",
        "least = (before.usage.shape[1] - 1) - before.usage.flip(-1).argsort(dim=-1, stable=True)[:, :n_heads]",
        "tests/kernels/test_memory_network.py tests/nn/test_memory_network.py",
    ),
    Mutation(
        "memory in C: of equal usages the higher slot counts as less used",
        "kernels/least_recently_used.c",
        "at > 0 && usage[i] < values[at - 1]",
        "at > 0 && usage[i] <= values[at - 1]",
        "tests/kernels/test_memory_network.py tests/nn/test_memory_network.py",
    ),
    Mutation(
        "memory: usage does not decay",
        "kernels/least_recently_used.py",
        "usage = decay * before.usage + ",
        "usage = before.usage + ",
        "tests/kernels/test_memory_network.py tests/nn/test_memory_network.py",
    ),
    Mutation(
        "memory in C: usage does not decay",
        "kernels/least_recently_used.c",
        "get(e->used + i, n) * e->decay;",
        "get(e->used + i, n);",
        "tests/kernels/test_memory_network.py tests/nn/test_memory_network.py",
    ),
    Mutation(
        "memory: writing does not count as usage",
        "kernels/least_recently_used.py",
        "(reading + writing).detach().sum(dim=1)",
        "reading.detach().sum(dim=1)",
        "tests/kernels/test_memory_network.py tests/nn/test_memory_network.py",
    ),
    Mutation(
        "memory: gates the wrong way round",
        "kernels/least_recently_used.py",
        "writing = s * before.reading + (1 - s) * fresh",
        "writing = (1 - s) * before.reading + s * fresh",
        "tests/kernels/test_memory_network.py tests/nn/test_memory_network.py",
    ),
    Mutation(
        "memory in C: all least used slots are wiped, not the very least alone",
        "kernels/least_recently_used.c",
        "FRESH(fresh, r, slots)[least[r]] = 1, ",
        "FRESH(fresh, r, slots)[least[r]] = 1, kept[least[r]] = 0, ",
        "tests/kernels/test_memory_network.py tests/nn/test_memory_network.py",
    ),
    Mutation(
        "memory: keys are written though there are values",
        "kernels/least_recently_used.py",
        "written = keys if values is None else values",
        "written = keys",
        "tests/kernels/test_memory_network.py tests/nn/test_memory_network.py",
    ),
    Mutation(
        "memory in C: keys are written though there are values",
        "kernels/least_recently_used.c",
        "m += w[r] * WRITTEN(e)[r * width + k];",
        "m += w[r] * e->keys[r * width + k];",
        "tests/kernels/test_memory_network.py tests/nn/test_memory_network.py",
    ),
    Mutation(
        "memory in C: no gradient of gates by way of values",
        "kernels/least_recently_used.c",
        "d_writing[r] += d_m * WRITTEN(e)[r * width + k];",
        "d_writing[r] += d_m * e->keys[r * width + k];",
        "tests/kernels/test_memory_network.py tests/nn/test_memory_network.py",
    ),
    Mutation(
        "memory in C: heads with slots of their own all take the least used",
        "kernels/least_recently_used.c",
        "FRESH(fresh, r, slots)[least[r]] = 1, key_norms",
        "FRESH(fresh, r, slots)[least[OWN_SLOTS ? 0 : r]] = 1, key_norms",
        "tests/kernels/test_memory_network.py tests/nn/test_memory_network.py",
    ),
    Mutation(
        "MANN: the memory is empty at first, whatever it is told",
        "nn/memory_network.py",
        "        slots = zeros(self.width, self.slots) + self.initial_memory\n"
        "        memory = Memory(slots, zeros(self.heads, self.slots), zeros(self.slots))\n"
        "        return MemoryNetworkState",
        "        slots = zeros(self.width, self.slots)\n"
        "        memory = Memory(slots, zeros(self.heads, self.slots), zeros(self.slots))\n"
        "        return MemoryNetworkState",
        "tests/nn/test_memory_network.py tests/models/memory/test_mann.py",
    ),
    Mutation(
        "MANN: slots are never its heads' own",
        "memory/mann.py",
        '"own_slots": own_slots,',
        '"own_slots": False,',
        "tests/models/memory/test_mann.py",
    ),
    Mutation(
        "NTM: the forget bias is in the input gate",
        "memory/ntm.py",
        "self.from_input.bias.data[hidden : 2 * hidden]",
        "self.from_input.bias.data[:hidden]",
        "tests/models/test_forget_bias.py",
    ),
    Mutation(
        "NTM: reads before it writes",
        "memory/ntm.py",
        "w_read = _weights(memory, state.w_read, *of_read)",
        "w_read = _weights(state.memory, state.w_read, *of_read)",
        "tests/models/memory/test_ntm.py",
    ),
    Mutation(
        "NTM: a shift goes the other way",
        "nn/addressing.py",
        "weights.roll(by, dims=-1)",
        "weights.roll(-by, dims=-1)",
        "tests/nn/test_addressing.py",
    ),
    Mutation(
        "NTM: interpolation the wrong way round",
        "nn/addressing.py",
        "torch.lerp(previous, content, gate)",
        "torch.lerp(content, previous, gate)",
        "tests/nn/test_addressing.py tests/models/memory/test_ntm.py",
    ),
    Mutation(
        "APL: writes what does not surprise",
        "memory/apl.py",
        "(-log_p_shown > self.threshold)",
        "(-log_p_shown < self.threshold)",
        "tests/models/memory/test_apl.py",
    ),
    Mutation(
        "APL: gradients flow into the memory",
        "memory/apl.py",
        "e.detach()[:, None], memory.e)",
        "e[:, None], memory.e)",
        "tests/models/memory/test_apl.py",
    ),
    # --- metric learners
    Mutation(
        "samples wait a step too short for their label",
        "nn/delay_buffer.py",
        "stream = torch.cat([waiting, e])",
        "stream = torch.cat([waiting[1:], e, e[-1:]])",
        "tests/nn/test_delay_buffer.py tests/models/metric",
    ),
    Mutation(
        "OPN: sums in place of means",
        "metric/opn.py",
        "p = sums / counts[..., None].clamp(min=1)",
        "p = sums",
        "tests/models/metric/test_opn.py",
    ),
    Mutation(
        "OPN: keeps one sample more than the delay",
        "metric/opn.py",
        "waiting=self.beta.new_zeros(self.delay, batch, features)",
        "waiting=self.beta.new_zeros(self.delay + 1, batch, features)",
        "tests/models/metric/test_opn.py",
    ),
    Mutation(
        "CPM: keeps one sample more than the delay",
        "metric/cpm.py",
        "waiting=self.tau.new_zeros(self.delay, batch, self.features)",
        "waiting=self.tau.new_zeros(self.delay + 1, batch, self.features)",
        "tests/models/metric/test_cpm.py",
    ),
    Mutation(
        "APL: keeps one sample more than the delay",
        "memory/apl.py",
        "waiting=weight.new_zeros(self.delay, batch, self.features)",
        "waiting=weight.new_zeros(self.delay + 1, batch, self.features)",
        "tests/models/memory/test_apl.py",
    ),
    Mutation(
        "CPM: the forget bias is in the input gate",
        "metric/cpm.py",
        "bias_ih_l0.data[hidden : 2 * hidden]",
        "bias_ih_l0.data[:hidden]",
        "tests/models/test_forget_bias.py",
    ),
    Mutation(
        "CPM: prototypes move away from a sample",
        "metric/cpm.py",
        "p = p + f * (z_t[:, None] - p)",
        "p = p - f * (z_t[:, None] - p)",
        "tests/models/metric/test_cpm.py",
    ),
    Mutation(
        "a new class: known and unknown change places",
        "nn/novelty.py",
        "torch.where(known, of_known, of_unseen[..., None])",
        "torch.where(known, of_unseen[..., None], of_known)",
        "tests/nn/test_novelty.py",
    ),
    Mutation(
        "prototypical networks: sums in place of means",
        "metric/protonet.py",
        "p = sums / counts[..., None].clamp(min=1)",
        "p = sums",
        "tests/models/metric/test_protonet.py",
    ),
    Mutation(
        "prototypical networks: classes without a sample are at the origin",
        "metric/protonet.py",
        "return -d.where(counts > 0, FAR)",
        "return -d",
        "tests/models/metric/test_protonet.py",
    ),
    Mutation(
        "nearest neighbour: knows a drawing before its label was shown",
        "metric/nearest_neighbour.py",
        "known = max(before + t + 1 - self.delay, 0)",
        "known = max(before + t + 2 - self.delay, 0)",
        "tests/models/metric/test_nearest_neighbour.py",
    ),
    # --- attention
    Mutation(
        "SNAIL: a convolution looks at its own step only",
        "attention/snail.py",
        "(self.now(z) + then[: len(z)])",
        "(self.now(z) + then[-len(z) :])",
        "tests/models/attention/test_snail.py",
    ),
    Mutation(
        "transformer: queries are not rotated",
        "attention/transformer.py",
        "attend(rotate(q, start), *state)",
        "attend(q, *state)",
        "tests/models/attention/test_transformer.py",
    ),
    Mutation(
        "transformer: labels are shown as nothing",
        "attention/transformer.py",
        "z = embedded + self.label(",
        "z = embedded + 0 * self.label(",
        "tests/models/attention/test_transformer.py",
    ),
    # --- learning by gradient descent
    Mutation(
        "the inner loop is of first order whatever is asked for",
        "nn/inner_loop.py",
        "create_graph=trains and order == 2",
        "create_graph=False",
        "tests/nn/test_inner_loop.py",
    ),
    Mutation(
        "a stream by gradient descent is of first order",
        "gradient/online_sgd.py",
        "self.rate if rate is None else rate, self.order, steps, given)",
        "self.rate if rate is None else rate, 1, steps, given)",
        "tests/models/gradient/test_online_sgd.py",
    ),
    Mutation(
        "the inner loss counts null labels",
        "nn/inner_loop.py",
        'fn.cross_entropy(logits.flatten(0, 1), y.flatten(), ignore_index=-1, reduction="sum")',
        'fn.cross_entropy(logits.flatten(0, 1), y.flatten().clamp(min=0), reduction="sum")',
        "tests/nn/test_inner_loop.py",
    ),
    Mutation(
        "the inner loop climbs",
        "nn/inner_loop.py",
        "each - rate * gradient",
        "each + rate * gradient",
        "tests/nn/test_inner_loop.py",
    ),
    Mutation(
        "ANML: the gate opens after the last layer, not before it",
        "gradient/anml.py",
        "return linear(w, b, gate * features)",
        "return linear(w, b, features) * gate.mean(dim=-1, keepdim=True)",
        "tests/models/gradient/test_online_sgd.py",
    ),
    Mutation(
        "OML: the first layer is not adapted",
        "gradient/oml.py",
        "(e,), (w_1, b_1, w_2, b_2) = prepared, theta",
        "(e,), (w_1, b_1, w_2, b_2) = prepared, theta\n"
        "        w_1, b_1 = self.hidden.weight.expand_as(w_1), self.hidden.bias.expand_as(b_1)",
        "tests/models/gradient/test_online_sgd.py",
    ),
    Mutation(
        "fine-tuning: meta-training at the rate of the stream",
        "gradient/fine_tuning.py",
        "rate=self.inner_rate, steps=self.inner_steps",
        "steps=self.inner_steps",
        "tests/models/gradient/test_online_sgd.py",
    ),
    Mutation(
        "U-Net: pre-training is of first order",
        "gradient/unet.py",
        "self.inner_steps, self.inner_rate, self.order, loss=pixel_loss",
        "self.inner_steps, self.inner_rate, 1, loss=pixel_loss",
        "tests/models/gradient/test_unet.py",
    ),
    # --- tasks
    Mutation(
        "labels are shown one step early",
        "tasks/online_few_shot.py",
        "return torch.cat([torch.full_like(y[:delay], -1), y[:-delay]])[: len(y)]",
        "delay -= 1\n    return torch.cat([torch.full_like(y[:delay], -1), y[: len(y) - delay]])[: len(y)]",
        "tests/tasks/test_online_few_shot.py",
    ),
    Mutation(
        "shots count the sample itself",
        "tasks/online_few_shot.py",
        "shown = (steps[:, None] - steps[None]) >= delay",
        "shown = (steps[:, None] - steps[None]) >= delay - 1",
        "tests/tasks/test_online_few_shot.py",
    ),
    Mutation(
        "the loss of an episode is averaged over its steps",
        "tasks/online_few_shot.py",
        "return Score(loss / episode.y.shape[1], accuracy)",
        "return Score(loss / episode.y.numel(), accuracy)",
        "tests/tasks/test_online_few_shot.py tests/training",
    ),
    Mutation(
        "accuracy counts steps that nobody could know",
        "tasks/online_few_shot.py",
        "episode.shot >= 1",
        "episode.shot >= 0",
        "tests/tasks/test_online_few_shot.py tests/training",
    ),
    Mutation(
        "a drawing is shown twice in an episode",
        "tasks/sampling.py",
        "different = min(k, self.images_per_class or k)",
        "different = min(k, self.images_per_class or max(1, k - 1))",
        "tests/tasks/test_online_few_shot.py",
    ),
    Mutation(
        "rotations turn classes by 0 and 180 degrees only",
        "tasks/sampling.py",
        "torch.rot90(images, quarter, dims=(-2, -1))",
        "torch.rot90(images, 2 * quarter, dims=(-2, -1))",
        "tests/tasks/test_online_few_shot.py",
    ),
    Mutation(
        "binding: a class is not turned as a whole",
        "tasks/binding.py",
        "angles, moves = own + ROTATION * turn",
        "angles, moves = 0 * own + ROTATION * turn",
        "tests/tasks/test_binding.py",
    ),
    Mutation(
        "binding: a string is right if one character is",
        "tasks/binding.py",
        "right.all(dim=-1) if self.strings",
        "right.any(dim=-1) if self.strings",
        "tests/tasks/test_binding.py",
    ),
    Mutation(
        "rows of episodes: gradients pass from one to the next",
        "tasks/persistent_binding.py",
        "return state.detach() if isinstance(state, Tensor)",
        "return state if isinstance(state, Tensor)",
        "tests/tasks/test_binding.py",
    ),
    Mutation(
        "continual: queries are drawings of the stream",
        "tasks/continual.py",
        "x[:, self.k_shot :].transpose(0, 1)",
        "x[:, : self.n_query].transpose(0, 1)",
        "tests/tasks/test_continual.py",
    ),
    Mutation(
        "continual: the last label is not shown",
        "tasks/continual.py",
        "y_seen = torch.cat([null, label.repeat_interleave(self.k_shot, dim=0)])",
        "y_seen = torch.cat([null, label.repeat_interleave(self.k_shot, dim=0)[: -self.delay], null])",
        "tests/tasks/test_continual.py",
    ),
    Mutation(
        "segmentation: a mask of one step is shown with its own picture",
        "tasks/segmentation.py",
        "y_seen = torch.cat([torch.full_like(y[:1], -1), y[:-1]])",
        "y_seen = y.clone()",
        "tests/tasks/test_segmentation.py",
    ),
    Mutation(
        "support and query: a query is a sample of the support set",
        "tasks/support_query.py",
        "x[order, episodes], y[order, episodes], x[support:], y[support:])",
        "x[order, episodes], y[order, episodes], torch.cat([x[:1], x[support + 1 :]]), y[support:])",
        "tests/tasks/test_support_query.py",
    ),
    Mutation(
        "supervised: images that are held out are trained on",
        "tasks/supervised.py",
        "known[:, ~held_out]",
        "known[:, held_out | ~held_out]",
        "tests/tasks/test_supervised.py",
    ),
    # --- training and evaluation
    Mutation(
        "the gradient is not clipped",
        "training/update.py",
        "torch.nn.utils.clip_grad_norm_(learner.parameters(), settings.clip_norm)",
        "torch.nn.utils.clip_grad_norm_(learner.parameters(), 1e9)",
        "tests/training",
    ),
    Mutation(
        "weight decay is lost",
        "training/update.py",
        '"weight_decay": settings.weight_decay',
        '"weight_decay": 0.0',
        "tests/training",
    ),
    Mutation(
        "beta2 is lost",
        "training/update.py",
        "betas=(0.9, settings.beta2)",
        "betas=(0.9, 0.999)",
        "tests/training",
    ),
    Mutation(
        "the worst validation is kept",
        "training/loop.py",
        "if validation_score > at.best:",
        "if validation_score < at.best or not at.best_weights:",
        "tests/training/test_loop.py",
    ),
    Mutation(
        "a checkpoint forgets where the sampler was",
        "training/loop.py",
        '"generator": generator.get_state()',
        '"generator": Generator(generator.device).manual_seed(0).get_state()',
        "tests/training/test_loop.py",
    ),
    Mutation(
        "learners are evaluated in training mode",
        "training/rollout.py",
        "        learner.eval()\n",
        "        learner.train()\n",
        "tests/training",
    ),
    Mutation(
        "intervals are of single values, not of means",
        "training/statistics.py",
        "values[chosen].mean(axis=1)",
        "values[chosen][:, 0]",
        "tests/training/test_statistics.py",
    ),
    # --- protocols: what is trained and measured on what
    Mutation(
        "online few-shot: validation on test classes",
        "protocols/online_few_shot.py",
        'return self.task("validation", **AS_THEY_ARE)',
        'return self.task("test", **AS_THEY_ARE)',
        "tests/protocols/test_splits.py",
    ),
    Mutation(
        "online few-shot: tests on training classes",
        "protocols/online_few_shot.py",
        'test = self.task("test", **AS_THEY_ARE)',
        'test = self.task("train", **AS_THEY_ARE)',
        "tests/protocols/test_splits.py",
    ),
    Mutation(
        "online few-shot: test characters are turned",
        "protocols/online_few_shot.py",
        'AS_THEY_ARE = {"rotations": False, "augment": False}',
        'AS_THEY_ARE = {"rotations": True, "augment": False}',
        "tests/protocols/test_splits.py",
    ),
    Mutation(
        "delayed labels: every delay is tested at the delay of the training",
        "protocols/delayed_labels.py",
        "**AS_THEY_ARE, delay=delay)",
        "**AS_THEY_ARE)",
        "tests/protocols/test_online_few_shot.py",
    ),
    Mutation(
        "continual: validation on test classes",
        "protocols/continual.py",
        'return self.task("validation", **AS_THEY_ARE',
        'return self.task("test", **AS_THEY_ARE',
        "tests/protocols/test_splits.py",
    ),
    Mutation(
        "support and query: validation on test classes",
        "protocols/support_query.py",
        'return self.task("validation", **self.tests[0])',
        'return self.task("test", **self.tests[0])',
        "tests/protocols/test_splits.py",
    ),
    Mutation(
        "segmentation: keeps the highest loss",
        "protocols/segmentation.py",
        "return -measured.loss, {",
        "return measured.loss, {",
        "tests/protocols/test_segmentation.py",
    ),
    Mutation(
        "segmentation: the rate of the stream is chosen on test classes",
        "protocols/segmentation.py",
        'self.task("validation", augment=False, distractors=True), []',
        'self.task("test", augment=False, distractors=True), []',
        "tests/protocols/test_splits.py",
    ),
    Mutation(
        "supervised: validation on test images",
        "protocols/supervised.py",
        "images = _at_most(self.splits.validation,",
        "images = _at_most(self.splits.test,",
        "tests/protocols/test_supervised.py",
    ),
    Mutation(
        "every seed begins with the same weights",
        "protocols/conduct.py",
        "seed_generators(protocol.seed)",
        "seed_generators(0)",
        "tests/protocols/test_splits.py",
    ),
    Mutation(
        "validation episodes are those of the tests",
        "protocols/conduct.py",
        "protocol.validation_seed + protocol.seed",
        "protocol.test_seed",
        "tests/protocols/test_splits.py",
    ),
    Mutation(
        "MANN: strengths of keys change places",
        "params/santoro2016.yaml",
        'title: "MANN, key strength 10", model: {strength: 10.0}}',
        'title: "MANN, key strength 10", model: {strength: 1.0}}',
        "tests/models/memory/test_mann.py",
    ),
    # --- the contract
    Mutation(
        "queries see one another",
        "models/learner.py",
        "answers, _ = self.step(query_x.flatten(0, 1), shown.repeat(queries, *(1,) * (shown.dim() - 1)), copies)\n"
        "        return answers.unflatten(0, (queries, batch))",
        "answers = self.run(query_x, shown.expand(queries, *shown.shape), state)[0]\n        return answers",
        "tests/models/test_learners.py",
    ),
    Mutation(
        "the last label of a support set is not shown",
        "models/learner.py",
        "return self.predict(query_x, state, shown[-1])",
        "return self.predict(query_x, state)",
        "tests/models/test_contract.py",
    ),
    Mutation(
        "label gain multiplies what reads the drawing",
        "nn/labels.py",
        "weight[:, weight.shape[1] - labels.inputs :] *= gain",
        "weight[:, : weight.shape[1] - labels.inputs] *= gain",
        "tests/models/test_contract.py",
    ),
]


def make_copy(folder: Path) -> Path:
    """What can be changed and the tests, copied; what else there is, linked."""
    copied = (*MUTABLE, "tests")
    for part in copied:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for entry in ROOT.iterdir():
        if entry.name not in {Path(part).parts[0] for part in copied} and not entry.name.startswith("."):
            (folder / entry.name).symlink_to(entry)
    return folder


def run_tests(copy: Path, tests: str, cache: Path) -> subprocess.CompletedProcess:
    """Run tests in a copy up to the first that fails; exit code 1 says that one has. What is compiled of mistakes goes
    into a cache of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": str(copy / "src"), "XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *tests.split()]
    return subprocess.run(
        command,
        cwd=copy,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def mutate(copy: Path, mutation: Mutation) -> None:
    """Make a mistake in a copy."""
    path = copy / mutation.file
    path.write_text(path.read_text(encoding="utf-8").replace(mutation.old, mutation.new), encoding="utf-8")
