"""How to read the tree of commit bc53fac, the last before the package was laid out anew.

    python -m metamemory carry ../before --through migrations/bc53fac

What was otherwise there: the source digest was one of files; experiments were modules, and variants of a learner were
files; label_gain stood beside the model; some settings, metrics and result files had other names.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metamemory.study import before
from metamemory.study.runs import Run
from metamemory.study.source import Root

IDENTITIES = """
import json, sys
from pathlib import Path
from metamemory.study import runs, source
from functools import cache
from metamemory.study.parameters import Parameters
parameters, found = Parameters(Path("params.yaml")), []
source_of = cache(lambda *modules: source.digest(source.closure(modules)))
for each in json.load(sys.stdin):
    run = runs.Run(**each)
    config = parameters.configuration(run.scale, run.experiment, run.method, run.setting, run.overrides)
    found.append({"configuration": runs._sha256(config), "source": source_of(*run.modules)})
print(json.dumps(found))
"""
FORMER = {"metrics.json": "json", "scores.csv": "shots.csv", "history.csv": "csv", "example.json": "episode.json"}
SETTINGS = {"presentations": "samples_per_class", "drawings": "images_per_class"}
PROTOCOLS = {
    "label_injection": "online_few_shot",
    "recipe": "online_few_shot",
    "segmentation_injection": "segmentation",
    "mann_classification": "binding",
    "mann_strings": "binding",
    "mann_memory": "binding",
    "mann_persistence": "binding_rows",
    "mann_curriculum": "growing_classes",
    "mann_regression": "regression",
    "continual_learning": "continual",
    "supervised_learning": "supervised",
}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {  # variants that had a file: learner, settings
    "mann_strength": ("mann", {"strength": 10.0}),
    "mann_feedforward": ("mann", {"controller": "feedforward"}),
    "cnn_f_lstm": ("cnn_lstm", {"frozen": True}),
    "vgg11": ("vgg", {}),
    "cl_vgg11_050": ("vgg", {"memory": True, "share": 0.5}),
    "cl_vgg11_035": ("vgg", {"memory": True, "share": 0.35}),
    "resnet20": ("resnet", {}),
    "cl_resnet20_050": ("resnet", {"memory": True, "share": 0.5}),
    "cl_resnet20_035": ("resnet", {"memory": True, "share": 0.35}),
}
READ_NO_LABEL = ("nearest_neighbour", "autoencoder_neighbour")  # no weight of theirs does: label_gain changed nothing


class Before(before.Before):
    """The tree of commit bc53fac."""

    through = Path(__file__).resolve().with_name("conduct.py")

    def identities(self, named: list[dict[str, Any]]) -> list[dict[str, str]]:
        return json.loads(self.run("-c", IDENTITIES, given=json.dumps(named)))

    def roots(self, run: Run, config: Mapping[str, Any]) -> list[Root]:
        learner = f"metamemory.models.{run.method}"
        text = self.package.joinpath("models", f"{run.method}.py").read_text(encoding="utf-8")
        # of a learner's file the last class is the learner
        return [
            (f"metamemory.study.experiments.{run.experiment}", "conduct"),
            ("metamemory.data", "load"),
            (learner, re.findall(r"^class (\w+)", text, re.M)[-1]),
        ]

    def configuration(self, run: Run, config: Mapping[str, Any]) -> dict[str, Any]:
        if "learner" in config:  # it is written in the new way
            return dict(config)
        config = _renamed(config, SETTINGS)
        learner, settings = METHODS.get(run.method, (run.method, {}))
        gain = config.pop("label_gain", None)
        model = {**settings, **config.pop("model", {})}
        if gain is not None and learner not in READ_NO_LABEL:
            model["label_gain"] = gain
        found = {"learner": learner, "protocol": PROTOCOLS.get(run.experiment, run.experiment), **config}
        return found | ({"model": model} if model else {})

    def renamed(self, part: str, value: Any) -> Any:
        if part == "metrics":
            return {_metric(name): each for name, each in value.items()}
        if part == "history":
            return [{_metric(name): each for name, each in row.items()} for row in value]
        return value

    def former(self, run: Run, ending: str) -> Path:
        return run.result(FORMER[ending])


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {names.get(key, key): _renamed(each, names) for key, each in value.items()}
    return [_renamed(each, names) for each in value] if isinstance(value, list) else value


def _metric(name: str) -> str:
    """An instance of a class is one more than the shots before it."""
    name = re.sub(r"^accuracy_(\d+)_classes_instance_2$", r"accuracy_1_shot_\1_way", name)
    return re.sub(r"^accuracy_instance_(\d+)$", lambda found: f"accuracy_{int(found[1]) - 1}_shot", name)
