"""DVC's pipelines, written from the parameters, and the digests that their stages depend on.

    dvc.yaml                                                the stages `digests` and `book`
    notebooks/<paper>/<experiment>/dvc.yaml                 a stage a run: method x setting x seed, at the scale chosen
    digests/<scale>/<experiment>/<method>/<setting>.json    of the configuration, the source and the data of a run

DVC reads every dvc.lock at each command, and writes one after each stage that it has run. So each experiment has its
own, and a stage depends on one small file of digests, rather than on some 25 source files and on all of `data/`. A file
of digests is written anew only when they change: editing a docstring, or adding a data set, runs the stage `digests`,
and no other.
DVC itself reads methods, settings, scale and seeds from the parameters: a new method needs no new pipeline.
"""

import ast
import functools
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from metamemory import data
from metamemory.errors import UserError, closest
from metamemory.protocols import protocol_class
from metamemory.study import source
from metamemory.study.parameters import SCALES, Parameters
from metamemory.study.runs import ENDINGS, Run, planned, roots, sha256
from metamemory.study.syntax import without_docstring
from metamemory.training.files import reading, write_text
from metamemory.yaml_files import read_yaml, set_entry, writes

DIGESTS = "digests"
ITEMS = ("scale", "method", "setting", "seed")  # of a stage's matrix
METRICS, SCORES, HISTORY, *_ = ENDINGS
HEADER = "# Written by `python -m metamemory pipeline`, from params/ and study/pipeline.py: edit these.\n"
SCORES_PLOT = {"title": "Accuracy by shot", "x": "shot", "y": "accuracy"}
HISTORY_PLOT = {"title": "Learning curve", "x": "episodes", "y": "loss"}
OF_GIT = {"cache": False, "persist": True}  # kept in Git, not in DVC's cache; still there while the stage runs again


def folder(experiment: str, root: Path = Path(".")) -> Path:
    """notebooks/<paper>/<experiment>, with the notebook and the pipeline of the experiment.

    Raises:
        UserError: there is none.
    """
    found = list((root / "notebooks").glob(f"*/{experiment}/{experiment}.ipynb"))
    if not found:
        raise UserError(
            f"notebooks/<paper>/{experiment}/{experiment}.ipynb is not there: copy that of another experiment, "
            f"and name {experiment} in its Run(...)"
        )
    return found[0].parent


def stage_name(run: Run) -> str:
    """The name of its stage in the dvc.yaml of its experiment."""
    return f"{run.experiment}@{run.scale}-{run.method}-{run.setting}-{run.seed}"


def target(run: Run) -> str:
    """What `dvc repro` calls its stage, from the top of the project."""
    return f"{folder(run.experiment, run.root).relative_to(run.root)}/dvc.yaml:{stage_name(run)}"


def resolved_stage(run: Run, parameters: Parameters) -> dict[str, Any]:
    """The stage of a run as DVC sees it: cmd, deps, and outs with metrics and plots among them."""
    place = folder(run.experiment, run.root).relative_to(run.root)
    text = json.dumps(_runs(run.experiment, parameters, place, run.root))
    for name in ITEMS:
        text = text.replace(f"${{item.{name}}}", str(getattr(run, name)))
    stage = json.loads(text)
    outs = [path for part in ("outs", "metrics", "plots") for each in stage[part] for path in each]
    return {"cmd": stage["cmd"], "deps": stage["deps"], "outs": outs}


def write_pipelines(root: Path = Path(".")) -> list[Path]:
    """Write every dvc.yaml; returns those that were not yet as they are now."""
    return [path for path, text in pipelines(root).items() if write_if_changed(path, text)]


def pipelines(root: Path = Path(".")) -> dict[Path, str]:
    """What each dvc.yaml holds."""
    parameters = Parameters(root, checked=False)
    texts = {root / "dvc.yaml": _text({"stages": {"digests": _digests(), "book": _book(root)}})}
    for experiment in parameters.experiments:
        place = folder(experiment, root)
        stages = {"stages": {experiment: _runs(experiment, parameters, place.relative_to(root), root)}}
        texts[place / "dvc.yaml"] = _text(
            {"vars": ["../../../params.yaml", f"../../../{parameters.file_of(experiment)}"]} | stages
        )
    return texts


class _Dumper(yaml.SafeDumper):
    """Writes out what comes twice, and indents lists, as DVC's documentation does."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)


def _text(values: dict[str, Any]) -> str:
    return HEADER + yaml.dump(values, Dumper=_Dumper, sort_keys=False, width=120)


def _digests() -> dict[str, Any]:
    return {
        "desc": "Digests of the configuration, the source and the data of each run",
        "cmd": "python -m metamemory digests",
        "deps": ["params.yaml", "params", "src/metamemory", "data"],
        "outs": [{DIGESTS: OF_GIT}],
    }


def _book(root: Path) -> dict[str, Any]:
    pages = sorted(each.name for each in (root / "book").iterdir() if each.name != "_build")
    weights = ["pretrained"] if (root / "pretrained").exists() else []
    return {
        "desc": "The book, from all results",
        "cmd": "jupyter-book build --all -W -n --keep-going -q book",
        "deps": [*(f"book/{each}" for each in pages), f"{DIGESTS}/package.json", "results", *weights],
        "outs": [{"book/_build/html/index.html": OF_GIT}],
    }


@functools.cache
def _runs(experiment: str, parameters: Parameters, place: Path, root: Path) -> dict[str, Any]:
    notebook = place / f"{experiment}.ipynb"
    with reading(root / notebook, f"get it back by `git checkout {notebook}`"):
        title = json.loads((root / notebook).read_text(encoding="utf-8"))["cells"][0]["source"][0]
    section = parameters.experiment(experiment)
    runs = [run for scale in SCALES for run in planned(parameters, scale, [experiment], root)]
    configurations = [(run.scale, parameters.configuration(*_named(run), {})) for run in runs]
    trained = {
        config["trained"].replace(f"/{scale}/", "/{scale}/") for scale, config in configurations if "trained" in config
    }
    names = {name: f"${{item.{name}}}" for name in ITEMS}
    files = "{scale}/{experiment}/{method}/{setting}/seed{seed}".format(experiment=experiment, **names)
    plots = {
        SCORES: _plot_of_scores(parameters.protocol(experiment)),
        HISTORY: HISTORY_PLOT,
    }
    if trained:
        del plots[HISTORY]  # it is empty: the run looks at what another has trained
    kept = [ending for ending in ENDINGS if ending != METRICS and not plots.get(ending)]
    return {
        "desc": title.lstrip("# ").strip(),
        "wdir": "../../..",
        "matrix": {
            "scale": ["${scale}"],
            "method": f"${{experiments.{experiment}.methods}}",
            "setting": f"${{experiments.{experiment}.settings}}",
            "seed": f"${{experiments.{experiment}.seeds}}" if "seeds" in section else "${seeds}",
        },
        "cmd": f"python -m metamemory run {experiment} --notebook "
        + " ".join(f"--{name} {value}" for name, value in names.items()),
        "deps": [
            f"{DIGESTS}/{{scale}}/{experiment}/{{method}}/{{setting}}.json".format(**names),
            str(notebook),
            *(template.format(**names) for template in trained),
        ],
        "outs": [
            {f"runs/{files}/model.safetensors": {"persist": True}},
            *({f"results/{files}.{ending}": OF_GIT} for ending in kept),
        ],
        "metrics": [{f"results/{files}.{METRICS}": OF_GIT}],
        "plots": [{f"results/{files}.{ending}": {**OF_GIT, **plot}} for ending, plot in plots.items() if plot],
    }


def _plot_of_scores(protocol: str) -> dict[str, str] | None:
    """The protocol's `SCORES_PLOT`, where its file has one."""
    return getattr(import_module(protocol_class(protocol).__module__), "SCORES_PLOT", SCORES_PLOT)


def _named(run: Run) -> tuple[str, str, str, str]:
    return run.scale, run.experiment, run.method, run.setting


def write_digests(root: Path = Path(".")) -> tuple[int, int]:
    """Write digests/ for all runs of all scales, and for the package as a whole, which the book depends on.

    Returns:
        The number of files that changed, and of all.
    """
    parameters = Parameters(root, checked=False)
    of_source, of_data = functools.cache(source.digest), functools.cache(data.digest)
    texts = {root / DIGESTS / "package.json": digests_text({"source": _package_digest()})}
    for run in (run for scale in SCALES for run in planned(parameters, scale, parameters.experiments, root)):
        path = root / DIGESTS / run.scale / run.experiment / run.method / f"{run.setting}.json"
        if path in texts:
            continue  # of another seed
        try:
            config = parameters.configuration(*_named(run), {})
            digests = {"configuration": sha256(config), "source": of_source(tuple(roots(config)))}
            with suppress(KeyError, UserError):  # it has no data set, or that is not prepared
                digests["data"] = of_data(config["data"]["name"], root / "data", config["data"].get("other"))
        except Exception as error:  # whatever a learner's file may raise: its own runs say it, the others go on
            digests = {"error": f"{type(error).__name__}: {error}"}
        texts[path] = digests_text(digests)
    for path in (root / DIGESTS).rglob("*.json"):
        if path not in texts:
            path.unlink()
    return sum(write_if_changed(path, text) for path, text in texts.items()), len(texts)


def _package_digest() -> str:
    """Of all code but comments and docstrings."""
    total = hashlib.sha256()
    for path in sorted(map(Path, source.paths(source.PACKAGE))):
        content = path.read_bytes()
        if path.suffix == ".py":
            with suppress(SyntaxError, ValueError):  # of a learner that is being written
                content = _without_docstrings(content)
        total.update(f"{path.name}\n".encode() + content + b"\n")
    return total.hexdigest()


def _without_docstrings(code: bytes) -> bytes:
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = without_docstring(node.body)
    return ast.dump(tree).encode()


def digests_text(digests: Mapping[str, Any]) -> str:
    """What a file of digests/ holds, or, given those of a manifest, held when the run was made."""
    kept = {name: digests[name] for name in ("configuration", "source", "data", "error") if digests.get(name)}
    return json.dumps(kept, indent=1) + "\n"


def write_if_changed(path: Path, text: str) -> bool:
    """Write a file unless it holds just that; whether it was written."""
    with suppress(OSError, UnicodeDecodeError):  # it is damaged, and written anew
        if path.read_text(encoding="utf-8") == text:
            return False
    write_text(path, text, durable=False)
    return True


def choose(root: Path, **values: Any) -> list[str]:
    """Set top-level entries of params.yaml, such as scale or seeds, and leave the rest of the file as it is.

    Returns:
        What was changed, as `scale: smoke`.

    Raises:
        UserError: there is no such scale; the file has no such entry, is no YAML, or has it in a form that cannot be
            set. Then it is as it was.
    """
    path = root / "params.yaml"
    if (scale := values.get("scale", SCALES[0])) not in SCALES:
        raise UserError(f"{path}: scale cannot be {scale!r}{closest(scale, SCALES)}")
    changed = []
    for name, value in values.items():
        before = read_yaml(path)
        if not isinstance(before, dict) or name not in before:
            raise UserError(f"{path} has no line '{name}: ...'")
        if before[name] != value:
            line = f"{name}: {json.dumps(value) if isinstance(value, list) else value}"
            text = set_entry(path.read_bytes().decode(), name, line)
            if not writes(text, {**before, name: value}):
                raise UserError(f"{path}: {name} is written in a way that cannot be set: write `{line}` there")
            write_text(path, text)
            changed.append(line)
    return changed
