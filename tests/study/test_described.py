"""Images of a page have their captions as alternative text."""

from docutils import nodes

from metamemory.study.described import describe


def test_an_image_is_described_by_its_caption():
    figure, described, alone = nodes.image(), nodes.image(alt="a picture"), nodes.image()
    captions = [nodes.paragraph("", "", nodes.emphasis("", text)) for text in ("Accuracy by shot.", "Another.")]
    page = nodes.container("", nodes.container("", alone), figure, nodes.paragraph("", "text"), *captions, described)
    page += nodes.paragraph("", "", nodes.emphasis("", "Not its caption."))
    describe(page)
    assert (figure["alt"], described["alt"], alone.get("alt")) == ("Accuracy by shot.", "a picture", None)
