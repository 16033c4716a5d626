"""A run through a notebook is the run that was asked for."""

import pytest

from metamemory.errors import UserError
from metamemory.study import notebooks
from metamemory.study.runs import Run


def test_a_notebook_that_did_another_run_is_refused(tmp_path, monkeypatch):
    """As a copy does that still names the experiment that it was copied from."""
    run = Run("smoke", "online_few_shot", "lstm", "omniglot", root=tmp_path)
    beside = tmp_path / "notebooks/babu2021/online_few_shot"
    beside.mkdir(parents=True)
    (beside / "online_few_shot.ipynb").touch()
    executed = []
    monkeypatch.setattr(notebooks, "execute", lambda *given: executed.append(given))
    with pytest.raises(UserError, match=r"online_few_shot.ipynb: .* has not been done: .* must name online_few_shot"):
        notebooks.execute_notebook(run)
    monkeypatch.setattr(notebooks, "finished", lambda asked: "as today" if asked is run else None)
    notebooks.execute_notebook(run)
    assert [given[0].name for given in executed] == ["online_few_shot.ipynb"] * 2
    assert executed[0][2] == {"scale": "smoke", "method": "lstm", "setting": "omniglot", "seed": 0}
