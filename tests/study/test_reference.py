"""The reference has every public class; learners and tasks each have an example, which `test_examples` runs."""

import inspect
import re

import pytest

from metamemory.models import available, learner_class
from metamemory.study.reference import docstring, modules_of, public, reference

LEARNERS = [name for name in available() if learner_class(name).answers != "rule"]
TASKS = [each for module in modules_of("metamemory.tasks") for each in public(module) if inspect.isclass(each)]
SAMPLED = [each for each in TASKS if "sample" in vars(each) and each.__name__ not in ("Task", "ContextTarget")]


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_has_an_example(name):
    assert ">>>" in learner_class(name).__doc__


@pytest.mark.parametrize("task", SAMPLED, ids=lambda task: task.__name__)
def test_every_task_has_an_example(task):
    assert ">>>" in task.__doc__


def test_the_reference_names_all_that_is_public():
    text = reference("models", "tasks")
    for cls in (*map(learner_class, available()), *SAMPLED):
        assert f"**{cls.__name__}** &ensp; `{cls.__module__}`" in text
    assert len(SAMPLED) >= 10 and "**_" not in text
    assert "- `filters`: F of each CL layer." in text
    assert text.count("```") % 2 == 0 and not re.search(r"^(Args|Raises):\s*$\n\n\n", text, re.MULTILINE)


def test_a_docstring_is_markdown():
    text = """What it is, of `a_b` and c_d.

    x -> y      a drawing

Args:
    first, second: numbers [time,
        batch].

Raises:
    UserError: they are none.

Example:
    >>> f(1)
    2

Last words.
"""
    assert docstring(text) == (
        "What it is, of `a_b` and c\\_d.\n\n```text\nx -> y      a drawing\n```\n\n"
        "Args:\n\n- `first, second`: numbers \\[time, batch\\].\n\nRaises:\n\n- `UserError`: they are none.\n\n"
        "Example:\n\n```python\n>>> f(1)\n2\n```\n\nLast words."
    )
