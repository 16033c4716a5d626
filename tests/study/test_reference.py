"""The reference has every public class; learners and tasks each have an example, which `test_examples` runs."""

import inspect
import re
from pathlib import Path

import pytest

from metamemory.models import available, learner_class
from metamemory.study.reference import docstring, modules_of, public, reference

PAGES = sorted((Path(__file__).parents[2] / "book/reference").glob("*.md"))
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
        name = f"{cls.__module__}.{cls.__name__}"
        assert text.count(f'<a id="{name}"></a>') == text.count(f'<a href="#{name}">') == 1
    assert len(SAMPLED) >= 10 and "**_" not in text
    assert "- `filters`: F of each CL layer." in text
    assert text.count("```") % 2 == 0 and not re.search(r"^(Args|Raises):\s*$\n\n\n", text, re.MULTILINE)


def test_a_page_of_the_reference_has_what_is_in_the_packages():
    calls = re.findall(
        r"display\(Markdown\((reference\(.*\))\)\)", "".join(page.read_text(encoding="utf-8") for page in PAGES)
    )
    pages = [eval(call, {"reference": reference}) for call in calls]
    for package in ("models", "tasks", "protocols", "nn", "analysis"):
        for module in modules_of(f"metamemory.{package}"):
            for each in public(module):
                assert sum(f'<a id="{each.__module__}.{each.__name__}"></a>' in page for page in pages) == 1, each


def test_what_a_package_defines_itself_is_had_without_what_is_below():
    assert "**build**" in reference("models", below=False) and "**LSTM**" not in reference("models", below=False)


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
