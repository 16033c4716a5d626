"""The page on which the reader teaches a trained CL+LSTM by drawing (book/babu2021/teach.md).

A page that is opened as a file cannot fetch another, so that all it works on is written into it: the weights of
pretrained/ as they are kept, in half precision; what the training drawings are like, for strokes to be made like them;
and some drawings of test characters. The program, `teach.js`, has its own CL+LSTM: tests hold it equal to this one.
"""

import base64
import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from metamemory import data
from metamemory.data import store
from metamemory.data.images import ImageSet
from metamemory.errors import UserError
from metamemory.models import CLLSTM
from metamemory.nn.precision import multiply_in_float32
from metamemory.study import pretrained
from metamemory.tasks.online_few_shot import OnlineFewShot
from metamemory.training.files import read_json
from metamemory.training.rollout import accuracies, rollout

PLACE = Path("book/babu2021")
METHOD, DATA, SPLIT = "cl_lstm", "omniglot", "vinyals"
DELAYS = {1: "with the next drawing", 2: "two drawings later", 4: "four drawings later"}
EPISODES, SEED = 200, 0  # of a measurement at another delay than the trained one
SETS, CHARACTERS, IMAGES = 3, 5, 6  # alphabets to choose from, characters of each, images of each


def page(root: Path) -> str:
    """The interactive part of the page, in HTML."""
    learners = kept(root)
    if not learners:
        return "<p>There are no trained weights in <code>pretrained/</code>, so that there is nothing to teach.</p>"
    size = learners[0][1].input_shape[-1]
    images = data.load(DATA, size, root=root / "data")
    networks = [{**network(learner), "delay": record["task"]["delay"]} for record, learner in learners]
    trained = {each["delay"] for each in networks}
    others = [delay for delay in DELAYS if delay not in trained]
    networks[0]["notes"] = {delay: note(learners[0][1], images, delay, networks[0]["delay"]) for delay in others}
    return filled(root, {"networks": networks, "size": size, **examples(root, images)}, images.title)


def filled(root: Path, content: dict[str, Any], title: str) -> str:
    """The markup with the program and what it works on in it."""
    options = "".join(f'<option value="{delay}">{words}</option>' for delay, words in DELAYS.items())
    source = f"Drawings of {title}, none of whose characters the network was trained on, chosen at random."
    if title == "Omniglot":
        source += " Omniglot is by Brenden Lake and others (2015), MIT licence."
    text = (root / PLACE / "teach.html").read_text(encoding="utf-8")
    parts = {
        "data": json.dumps(content).replace("</", "<\\/"),
        "program": (root / PLACE / "teach.js").read_text(encoding="utf-8"),
        "source": source,
        "delays": options,
    }
    for name, part in parts.items():
        text = text.replace(f"@{name}@", part)
    return text


def kept(root: Path) -> list[tuple[dict[str, Any], CLLSTM]]:
    """What pretrained/ has of CL+LSTM on drawings: for each delay the record and the learner that is best at five
    shots, the shortest delay first. Products are in float32, as in the page."""
    best = {}
    for path in sorted((root / pretrained.FOLDER).glob(f"*/{METHOD}/{DATA}*.json")):
        record = read_json(path, f"get it back by `git checkout {path}`")
        score, delay = record["metrics_of_these_weights"]["accuracy_5_shot"], record["task"]["delay"]
        best[delay] = max(best.get(delay, (0.0, None, None)), (score, path, record), key=lambda each: each[0])
    found = []
    for _, (_, path, record) in sorted(best.items()):
        found.append((record, multiply_in_float32(pretrained.load(METHOD, path.stem, path.parts[-3], root))))
    return found


def network(learner: CLLSTM) -> dict[str, Any]:
    """A learner as the program reads it.

    Raises:
        UserError: it normalises in a way that the program does not know, or its images are not square.
    """
    if not all(layer.normalise and layer.statistics == "batch" for layer in learner.cl):
        raise UserError("teach.js knows normalisation by running statistics only: keep weights of a run with it")
    if any(height != width for height, width in learner.sizes):
        raise UserError(f"teach.js knows square images only, and these are {learner.input_shape[1:]}")
    return {
        "tensors": {name: _encoded(value) for name, value in learner.state_dict().items()},
        "sizes": [height for height, _ in learner.sizes],
        "pool_after": sorted(learner.pool_after),
        "inject": sorted(learner.inject),
        "n_way": learner.n_way,
    }


def _encoded(value: Tensor) -> dict[str, str]:
    """In float16 where that loses nothing."""
    array = value.numpy()
    if np.array_equal(array.astype(np.float16).astype(np.float32), array):
        return {"type": "float16", "data": _base64(array.astype("<f2").tobytes())}
    return {"type": "float32", "data": _base64(array.astype("<f4").tobytes())}


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def note(learner: CLLSTM, images: ImageSet, delay: int, trained: int) -> str:
    """What a learner does at another delay than the one that it was trained at, in a sentence for the page."""
    task = OnlineFewShot(images.images[images.splits[SPLIT]["test"]], learner.n_way, samples_per_class=9, delay=delay)
    found = accuracies(rollout(learner, task, EPISODES, 50, SEED), task.right, task.samples_per_class)
    right = found[:, 5].nanmean().item()
    return (
        f"This network was trained to be told a name {DELAYS[trained]}. Told {DELAYS[delay]}, it is right in "
        f"{100 * right:.0f} % of cases after five names of a character, in {EPISODES} test episodes; guessing gives "
        f"{100 * task.chance:.0f} %. The neighbour knows the delay, and keeps every drawing."
    )


def examples(root: Path, images: ImageSet) -> dict[str, Any]:
    """What the training drawings are like, and drawings of the test set to choose from, at full resolution."""
    folder = root / "data" / images.name
    record = store.read_record(folder)
    train, test = (images.splits[SPLIT][part].tolist() for part in ("train", "test"))
    chosen = list(_chosen(record.classes, test))
    wanted = {*train[::20], *(each for characters in chosen for each in characters)}
    every = {index: each for index, each in enumerate(store.read_classes(folder, record)) if index in wanted}
    sets = [
        {
            "title": _alphabet(record.classes[characters[0]]),
            "characters": [
                {
                    "title": f"character {record.classes[each].rpartition('/')[2].removeprefix('character')}",
                    "images": [_base64(run_lengths(ink)) for ink in every[each][:IMAGES] > 127],
                }
                for each in characters
            ],
        }
        for characters in chosen
    ]
    return {"likeness": likeness(np.concatenate([every[each] for each in train[::20]]) > 127), "sets": sets}


def _alphabet(name: str) -> str:
    return name.partition("/")[0].replace("_", " ")


def _chosen(classes: tuple[str, ...], test: list[int]) -> Iterator[list[int]]:
    """Characters of a few alphabets that have enough in the test split, by chance."""
    by_alphabet = [list(group) for _, group in groupby(test, key=lambda each: _alphabet(classes[each]))]
    enough = [each for each in by_alphabet if len(each) >= CHARACTERS]
    generator = np.random.default_rng(SEED)
    for place in sorted(generator.choice(len(enough), min(SETS, len(enough)), replace=False)):
        yield sorted(generator.choice(enough[place], CHARACTERS, replace=False).tolist())


def likeness(ink: np.ndarray) -> dict[str, Any]:
    """What drawings bool [drawing, side, side] have in common, in pixels.

    Returns:
        middle: mean of the middles of what is drawn, [x, y]; least, most: 5 and 95 % quantiles of the longer side of
        what the pen went along; width: of the pen. A line of width w and length l has an area of w l and an edge of
        2 l, of which the sides of pixels make 4 / pi as much, on average over directions.
    """
    middles, longest = [], []
    for each in ink:
        extents = [(lambda at: (at.min(), at.max() + 1))(np.flatnonzero(each.any(axis=axis))) for axis in (0, 1)]
        middles.append([(low + high) / 2 for low, high in extents])
        longest.append(max(high - low for low, high in extents))
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    edge = sum(int((np.diff(padded, axis=axis)).sum()) for axis in (1, 2))
    width = 2 * int(ink.sum()) / (edge * np.pi / 4)
    least, most = np.quantile(longest, [0.05, 0.95]) - width
    middle = np.mean(middles, axis=0)
    return {
        "middle": [round(float(each), 2) for each in middle],
        "least": round(float(least), 2),
        "most": round(float(most), 2),
        "width": round(float(width), 2),
    }


def run_lengths(ink: np.ndarray) -> bytes:
    """Lengths of runs of paper and ink in turn along the rows of bool [side, side], paper first; one of more than 255
    is written in parts, with nothing of the other between."""
    flat = ink.ravel()
    ends = [*(np.flatnonzero(np.diff(flat)) + 1).tolist(), flat.size]
    lengths = [end - begin for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
    found = [0] if flat[0] else []
    for length in lengths:
        found += [255, 0] * ((length - 1) // 255) + [(length - 1) % 255 + 1]
    return bytes(found)


def accuracy(root: Path) -> str:
    """How good the network of the page is, in a sentence with its measured numbers."""
    if not (found := kept(root)):
        return ""
    record = found[0][0]
    size, scale = record["task"]["input_shape"][-1], record["run"]["scale"]
    one, five = (100 * record["metrics_of_these_weights"][f"accuracy_{shots}_shot"] for shots in (1, 5))
    return (
        f"The network here is that of the {scale} scale, for drawings of {size}×{size} pixels: it is right in "
        f"{one:.0f} % of cases after one named drawing of a test character, in {five:.0f} % after five, so it makes "
        "mistakes."
    )
