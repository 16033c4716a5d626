"""What the pages of the book display, so that their cells stay short and every number comes from results/."""

import ast
import inspect
import textwrap
from collections.abc import Callable

import matplotlib.pyplot as plt
from IPython.display import Markdown, display
from matplotlib.figure import Figure

from metamemory.study.quantities import Quantity, at_shot, over_seeds
from metamemory.study.results import Group

ONE_SHOT = at_shot(1)


def show(figure: Figure, caption: str) -> None:
    """A figure with its caption under it."""
    display(figure)
    plt.close(figure)
    display(Markdown(f"*{caption}*"))


def label_of(groups: list[Group]) -> str:
    """Scale, data set and seeds of groups of one scale, which need not have as many seeds."""
    seeds = sorted({len(group.results) for group in groups})
    if len(seeds) == 1:
        return groups[0].label
    return f"{groups[0].run.scale} scale, {groups[0].data}, {seeds[0]} to {seeds[-1]} seeds"


def interval_of(groups: list[Group], quantity: Quantity = ONE_SHOT) -> str:
    """What the intervals of a figure are, in words; `quantity` is any one that it shows."""
    kinds = {over_seeds(group, quantity).over for group in groups}
    count = groups[0].results[0].manifest["test_episodes"]
    return f"95 % bootstrap intervals over {' or '.join(sorted(kinds))}, {count:,} test episodes a seed"


def quoted(*rules: Callable) -> str:
    """Functions as their files have them, without docstrings: a block of code in Markdown."""
    return "\n".join(["```python", "\n\n".join(_without_docstring(rule) for rule in rules), "```"])


def _without_docstring(rule: Callable) -> str:
    text = textwrap.dedent(inspect.getsource(inspect.unwrap(rule)))
    (function,) = ast.parse(text).body
    lines = text.splitlines()
    if ast.get_docstring(function) is not None:
        told = function.body[0]
        del lines[told.lineno - 1 : told.end_lineno]
    return "\n".join(lines).strip()
