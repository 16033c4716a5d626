"""What a figure of a page shows, in words, for readers who do not see it: its caption.

A page displays a figure and then its caption in italics (`pages.show`), which the book's tools do not connect. As an
extension of Sphinx, this module makes the caption the alternative text of the image.
"""

from typing import Any

from docutils import nodes


def describe(doctree: nodes.Node) -> None:
    """Give each image without alternative text the first words in italics that follow it, if no other image does."""
    image = None
    for node in doctree.findall(lambda each: isinstance(each, nodes.image | nodes.emphasis)):
        if isinstance(node, nodes.image):
            image = None if node.get("alt") else node
        elif image is not None:
            image["alt"] = node.astext()
            image = None


def setup(app: Any) -> dict[str, bool]:
    """As Sphinx calls it."""
    app.connect("doctree-resolved", lambda app, doctree, page: describe(doctree))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
