"""What the pages of the book display, so that their cells stay short and every number comes from results/."""

import ast
import inspect
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
from IPython.display import Markdown, display
from matplotlib.figure import Figure

from metamemory.study import forest
from metamemory.study.claims import claims_table
from metamemory.study.quantities import Quantity, at_shot, over_seeds
from metamemory.study.results import Group

ONE_SHOT = at_shot(1)


def show(figure: Figure, caption: str) -> None:
    """A figure with its caption under it."""
    display(figure)
    plt.close(figure)
    display(Markdown(in_italics(caption)))


def in_italics(caption: str) -> str:
    """A caption in Markdown: underlines, not asterisks, since captions have those themselves (Q*, *words*)."""
    return f"_{caption}_"


def folded(title: str, text: str) -> str:
    """What is shown only where its title is clicked on, in Markdown."""
    return f":::{{dropdown}} {title}\n\n{text}\n\n:::"


def show_claims(topic: ModuleType, root: Path, about: str) -> None:
    """The claims of a module as a forest plot, and below it, folded, its table."""
    claims = topic.claims()
    of_claims = forest.rows(claims, root)
    show(forest.forest(of_claims), f"{about}. {forest.told(of_claims)}")
    display(Markdown(folded("The same in numbers", claims_table(claims, root, topic.CLAIM_COLUMNS))))


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
    """Functions as their files have them, without docstrings: a block of code in Markdown; those of one name each below
    that of its class."""
    named = Counter(rule.__name__ for rule in rules)
    texts = (_of_class(rule, named[rule.__name__] > 1) + _without_docstring(rule) for rule in rules)
    return "\n".join(["```python", "\n\n".join(texts), "```"])


def _of_class(rule: Callable, told: bool) -> str:
    """A comment that names the class of a method, where others have its name."""
    return f"# {rule.__qualname__.rpartition('.')[0]}\n" if told else ""


def _without_docstring(rule: Callable) -> str:
    text = textwrap.dedent(inspect.getsource(inspect.unwrap(rule)))
    (function,) = ast.parse(text).body
    lines = text.splitlines()
    if ast.get_docstring(function) is not None:
        told = function.body[0]
        del lines[told.lineno - 1 : told.end_lineno]
    return "\n".join(lines).strip()
