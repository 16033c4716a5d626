"""Methods: a learner and settings, under the name that results, tables and figures know it by.

A method has the same title and the same colour everywhere. The colour follows from the family of its learner, which
has a range of hues and a list of places in it, taken in the order of the parameters; `shade` in the parameters names
another. Methods that an experiment shows together differ by at least 5 in OKLab (of 100 from black to white), as people
see them who have all three kinds of cones, or lack those for red or for green; a test holds that.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from metamemory.errors import UserError
from metamemory.models import available, learner_class
from metamemory.study.parameters import Parameters, project_root

PALETTES = {
    "recurrent": ("#46050E", "#5A2127", "#D66C65", "#D55E00", "#CA5753", "#773125", "#F2A67D", "#A0522D"),  # reds
    "memory": ("#17AEAA", "#009E73", "#A7E09F", "#058741", "#53B588", "#285D36", "#7FD6C2", "#12403A"),  # greens
    "fast_weights": ("#CC79A7", "#AA4499", "#E7B0D3", "#7A1F5C", "#D63E8E", "#F58FC0"),  # pinks
    "metric": ("#426FC6", "#56B4E9", "#1F5C9E", "#6A9BF9", "#12325F", "#A5CDF2", "#0072B2", "#88CCEE"),  # blues
    "gradient": ("#606431", "#CCCB73", "#E69F00", "#C08E37", "#8C6D31", "#F0E442", "#3F3A12", "#B5A642"),  # yellows
    "attention": ("#882255", "#332288", "#8E6BBF", "#BFA3DC", "#5254A3", "#4B1D6B"),  # purples
    "neural_process": ("#2F4B5C", "#7C9EB2", "#B4CDD8", "#4F7C8C"),  # blue greys
    "self_modifying": ("#6B8E23", "#A9C46C", "#3D5216", "#C5D86D"),  # olives
    "image": ("#0072B2", "#4FA3D9", "#A5CDF2", "#D55E00", "#EE9A5F", "#F7CBA8"),  # only ever among themselves
    "reference": ("#BBBBBB", "#767676", "#000000", "#999999"),  # greys
}
OTHER = ("#000000", "#637939", "#8C6D31", "#5254A3")  # of families that have no list


@dataclass(frozen=True)
class Method:
    """A learner under a name.

    Attributes:
        name: in parameters and results.
        learner: name of the learner's file.
        title: in tables and legends.
        model: the learner's settings, laid over those of the experiment.
    """

    name: str
    learner: str
    title: str
    model: dict[str, Any] = field(default_factory=dict)


def title(name: str, root: Path | None = None) -> str:
    """The method as tables and legends name it; one that is not known goes by its own name."""
    with_settings = VARIANTS.get(name)
    if with_settings is not None:
        return with_settings[1]
    if name not in available():
        return name
    return getattr(learner_class(name), "title", TITLES.get(name, name))


def colour(name: str, root: Path | None = None) -> str:
    """The method's colour, as "#RRGGBB".

    Args:
        name: of the method.
        root: top of the project whose parameters give the order; found from the working folder where None.
    """
    return _colours(root or project_root()).get(name) or OTHER[sum(map(ord, name)) % len(OTHER)]


@lru_cache(maxsize=4)
def _colours(root: Path) -> dict[str, str]:
    parameters = Parameters(root / "params.yaml")
    taken: dict[str, int] = {}
    found: dict[str, str] = {}
    for experiment in parameters.experiments:
        for name in parameters.experiment(experiment)["methods"]:
            if name not in found:
                family = _family(name)
                palette = PALETTES.get(family, OTHER)
                found[name] = palette[taken.get(family, 0) % len(palette)]
                taken[family] = taken.get(family, 0) + 1
    return found


def _family(name: str) -> str:
    """The folder of the learner's file; "" where there is no such learner."""
    try:
        return learner_class(VARIANTS.get(name, (name,))[0]).__module__.split(".")[-2]
    except UserError:
        return ""


# What follows is here until learners declare their titles and params/ their methods.
VARIANTS = {
    "mann_strength": ("mann", "MANN, key strength 10"),
    "mann_feedforward": ("mann", "MANN, feed-forward controller"),
    "cnn_f_lstm": ("cnn_lstm", "CNN-F+LSTM"),
    "vgg11": ("vgg", "VGG-11"),
    "cl_vgg11_050": ("vgg", "CL-VGG-11 (0.5×)"),
    "cl_vgg11_035": ("vgg", "CL-VGG-11 (0.35×)"),
    "resnet20": ("resnet", "ResNet-20"),
    "cl_resnet20_050": ("resnet", "CL-ResNet-20 (0.5×)"),
    "cl_resnet20_035": ("resnet", "CL-ResNet-20 (0.35×)"),
}
TITLES = {
    "counting": "Counting labels",
    "nearest_neighbour": "Nearest neighbour",
    "lstm": "LSTM",
    "ntm": "NTM",
    "apl": "APL",
    "opn": "OPN",
    "cpm": "CPM",
    "snail": "SNAIL",
    "transformer": "Transformer",
    "feedforward": "Feed-forward",
    "mann": "MANN",
    "autoencoder_neighbour": "Nearest neighbour, deep features",
    "gaussian_process": "Gaussian process",
    "cnn_lstm": "CNN+LSTM",
    "cl_lstm": "CL+LSTM",
    "oml": "OML",
    "anml": "ANML",
    "fine_tuning": "Fine-tuning (MAML)",
}
