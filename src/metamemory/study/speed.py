"""What `make bench` measured of the study as a whole: a run beside other processes, DVC, how long the tests take."""

from pathlib import Path
from typing import Any

from metamemory.study.tables import markdown
from metamemory.training.files import read_json

FORMS = {  # of pipelines, in benchmarks/pipeline.py
    "digests": "one an experiment; a stage depends on its digests",
    "files": "one an experiment; a stage depends on 25 source files",
    "one lock": "one; a stage depends on 25 source files",
}


def measured(name: str, root: Path = Path(".")) -> dict[str, Any] | None:
    """What a benchmark wrote to results/speed/<name>.json; None where it has not been run."""
    path = root / "results" / "speed" / f"{name}.json"
    return read_json(path, f"get it back by `git checkout {path}`") if path.exists() else None


def neighbours_table(root: Path = Path(".")) -> str:
    """How much of its lone speed a run keeps beside a busy process; a hint where it has not been measured."""
    report = measured("neighbours", root)
    if report is None:
        return "Not measured here: `python benchmarks/neighbours.py`."
    rows = [
        [
            row["what"],
            f"{row['alone']:.0f}",
            f"{row['beside']:.0f}",
            *(f"{row[f'{where} / lone']:.2f}{_aim(row, where)}" for where in ("alone", "beside")),
        ]
        for row in report["rows"]
    ]
    others = max(row[f"others {where}"] for row in report["rows"] for where in ("alone", "beside"))
    header = [
        "",
        "alone, episodes/s",
        "beside a busy process",
        "alone, share of the first",
        "beside, share of the first",
    ]
    return (
        f"{markdown(header, rows)}\n\n"
        f"{report['shape']}, on {report['processors']} processors. Medians of {report['rounds']} rounds with each "
        "variant once alone and once beside a process that never rests; other programs took at most "
        f"{others:.2f} processors (median of a row). {report['hardware'].partition(',')[0]}, torch {report['torch']}."
    )


def _aim(row: dict, where: str) -> str:
    return f" (aim: ≥ {row['target'][where]:.2f})" if where in row["target"] else ""


def durations_table(root: Path = Path(".")) -> str:
    """How long the tests take; a hint where it has not been measured."""
    report = measured("tests", root)
    if report is None:
        return "Not measured here: `python benchmarks/tests.py`."
    rows = [
        [f"`make {row['target']}`", f"{row['passed']:,}", f"{row['skipped']:,}", f"{row['minutes']:.1f}"]
        for row in report["rows"]
    ]
    return (
        f"{markdown(['', 'passed', 'skipped', 'minutes'], rows)}\n\n"
        f"On {report['workers']} cores, a worker each; other programs took {report['others']:.2f} of them. "
        f"{report['hardware'].partition(',')[0]}, torch {report['torch']}."
    )


def pipeline_table(root: Path = Path(".")) -> str:
    """What DVC needs beside the runs, by the form of the pipelines; a hint where it has not been measured."""
    report = measured("pipeline", root)
    if report is None:
        return "Not measured here: `python benchmarks/pipeline.py`."
    rows = []
    for name, words in FORMS.items():
        form = report["forms"][name]
        seconds = (f"{form[what]['processor_seconds']:.1f}" for what in ("status", "idle_repro", "finished_stage"))
        rows.append([words, f"{form['longest_lock'] / 1e3:,.0f}", *seconds])
    for column, aim in ((-1, 1), (-2, 30), (-3, 20)):
        rows[0][column] += f" (aim: ≤ {aim})"
    header = ["", "longest `dvc.lock`, kB", "`dvc status`, s", "idle `dvc repro`, s", "for a stage that has run, s"]
    a_stage = report["pass"]["processor_seconds"] / report["stages"]
    return (
        f"{markdown(header, rows)}\n\n"
        f"{report['stages']} stages in {report['pipelines']} pipelines. The last column is of the longest of them, of "
        f"{report['longest']} stages; over all stages it is {a_stage:.1f} s. Seconds of the processor, as others had "
        f"their share of it (load {report['load'][0]:g}). {report['hardware'].partition(',')[0]}, DVC {report['dvc']}."
    )
