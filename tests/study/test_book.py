"""Pages of the book as they are written; that it builds is tested with the pipelines."""

import ast
import re

from metamemory.study.parameters import project_root


def test_no_line_of_a_page_is_taken_for_a_comment():
    """MyST drops a line that begins with a per cent sign, without a warning; "56 %" broken at its space ends so."""
    book = project_root() / "book"
    for path in (each for each in book.rglob("*.md") if "_build" not in each.parts):
        prose = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        assert not re.findall(r"^\s*%.*", prose, flags=re.MULTILINE), path.name


def code_of(text: str) -> list[str]:
    """The code cells of a page."""
    cells = re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [re.sub(r"^:\w+:.*\n", "", cell, flags=re.MULTILINE) for cell in cells]


def captions(code: str) -> list[str]:
    """What is written, apart from what is computed, in the captions of the figures that a cell shows."""
    found = []
    for call in (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        if name in ("pages.show", "pages.show_claims"):
            parts = [each.value for each in ast.walk(call.args[-1]) if isinstance(each, ast.Constant)]
            found.append(" ".join(str(each) for each in parts))
        elif name in ("plt.show", "plt.savefig") or name.endswith(".savefig"):
            found.append("")
    return found


def test_every_figure_of_a_page_has_a_caption_which_is_its_alternative_text():
    """`pages.show` takes it last, and `described` gives it to the image; the tour sees what comes of it."""
    book = project_root() / "book"
    count = 0
    for path in (each for each in book.rglob("*.md") if "_build" not in each.parts):
        for caption in (each for code in code_of(path.read_text(encoding="utf-8")) for each in captions(code)):
            count += 1
            assert len(caption.split()) >= 3, f"{path.name}: {caption!r}"
    assert count > 40
    assert captions("plt.show()") == [""] and captions('pages.show(f(1), f"A {b} c")') == ["A   c"]
