"""Running an experiment's notebook with papermill, refusing parameters that it does not have."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import papermill

from metamemory.errors import UserError
from metamemory.settings import SettingError
from metamemory.study.own_kernel import prefer_own_kernel
from metamemory.study.pipeline import folder
from metamemory.study.runs import Run, finished
from metamemory.training.files import reading, require_writable
from metamemory.training.interruption import Interrupted


def execute_notebook(run: Run) -> None:
    """Do a run through the notebook of its experiment; the executed copy lies beside the model.

    Raises:
        UserError: the notebook has no such parameter, ended with an error, or did another run.
    """
    parameters = {"scale": run.scale, "method": run.method, "setting": run.setting, "seed": run.seed}
    if run.overrides:
        parameters["overrides"] = dict(run.overrides)
    notebook = folder(run.experiment, run.root) / f"{run.experiment}.ipynb"
    execute(notebook, run.model.with_name("notebook.ipynb"), parameters)
    if not finished(run):
        raise UserError(
            f"{notebook}: it ended, and {run.place} has not been done: its Run(...) must name {run.experiment}"
        )


def execute(notebook: Path, executed: Path, parameters: Mapping[str, Any]) -> None:
    """Run `notebook` with `parameters` from the top of the project, and write it, with its outputs, to `executed`.

    Raises:
        UserError: the notebook has no such parameter; or the error that a cell ended with, if it
            was one of these.
    """
    prefer_own_kernel()
    with reading(notebook, f"get it back by `git checkout {notebook}`"):
        known = papermill.inspect_notebook(notebook)
    if unknown := set(parameters) - set(known):
        raise UserError(
            f"{notebook}: no parameter {', '.join(sorted(unknown))} in its `parameters` cell; there are "
            f"{', '.join(sorted(known))}"
        )
    require_writable(executed)
    try:
        papermill.execute_notebook(
            notebook,
            executed,
            dict(parameters),
            progress_bar=False,
            stdout_file=sys.stdout,
            stderr_file=sys.stderr,
        )
    except papermill.PapermillExecutionError as error:
        if error.ename in (KeyboardInterrupt.__name__, Interrupted.__name__):
            raise KeyboardInterrupt from None
        if error.ename in (UserError.__name__, SettingError.__name__):
            raise UserError(error.evalue) from None
        raise UserError(f"{notebook}: {error.ename}: {error.evalue}; the traceback is in {executed}") from error
