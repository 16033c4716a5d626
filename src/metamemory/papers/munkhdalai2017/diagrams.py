"""What a fast weight is, and how a Meta Network writes and looks up its own."""

from pathlib import Path

from matplotlib.figure import Figure

from metamemory.study.diagrams import GAP, QUIET, SMALL, Diagram, characters
from metamemory.study.methods import colour

METHOD = "meta_networks"
ROWS = ((0.9, 0.2, 0.6, 0.3, 0.8), (0.2, 0.8, 0.3, 0.9, 0.4), (0.6, 0.4, 0.9, 0.2, 0.5))
ATTENTION = (0.85, 0.05, 0.1)


def fast_weight(root: Path = Path(".")) -> Figure:
    """One layer of the network that answers: slow and fast weights, side by side, and where the fast ones come from."""
    diagram = Diagram(colour(METHOD), 3.3)
    diagram.text(0.3, 1.05, "$h$")
    slow = diagram.fixed(1.5, 0.6, 0.9, 0.42, "$W$")
    fast = diagram.changing(1.5, 1.5, 0.9, 0.42, "$W^*$")
    diagram.text(1.5, 0.24, "slow: learned over all tasks", size=SMALL, tint=QUIET)
    total = diagram.fixed(3.55, 1.05, 0.3, 0.3, "+")
    for weights, sign in ((slow, -1), (fast, 1)):
        diagram.path([(0.45, 1.05), (0.72, 1.05), (0.72, weights.y), (weights.left[0] - GAP, weights.y)])
        relu = diagram.fixed(2.65, weights.y, 0.6, 0.32, "ReLU")
        diagram.across(weights, relu)
        diagram.path([(relu.right[0] + GAP, relu.y), (3.55, relu.y), (3.55, 1.05 + sign * (0.15 + GAP))])
    diagram.arrow((total.right[0] + GAP, 1.05), (4.0, 1.05))
    diagram.text(4.05, 1.05, "next", size=SMALL, tint=QUIET, ha="left")
    diagram.text(2.05, 1.87, "fast: written for this task, or this query", size=SMALL, tint=QUIET)
    gradient = diagram.fixed(0.86, 2.42, 1.42, 0.32, "gradient of $W$", size=SMALL)
    writer = diagram.fixed(2.3, 2.42, 0.5, 0.32, "$m$")
    written = diagram.changing(3.5, 2.42, 0.9, 0.32, "$W^*$")
    diagram.across(gradient, writer)
    diagram.across(writer, written)
    diagram.legend(3.1, labels=False, query=False)
    diagram.text(2.3, 2.73, "$m$: one small network for every weight", size=SMALL, tint=QUIET)
    return diagram.figure


def meta_networks(root: Path = Path(".")) -> Figure:
    """A row of fast weights for each support image; a query reads them by likeness."""
    diagram = Diagram(colour(METHOD), 5.62, characters(root))
    diagram.text(1.35, 0.12, "support set", size=SMALL, tint=QUIET)
    diagram.text(4.0, 0.12, "query", size=SMALL, tint=QUIET)
    support = [diagram.labelled(0.45 + 0.85 * n, 0.47, n) for n in range(3)]
    query = diagram.image(4.0, 0.47, 0, 1, query=True)
    base = diagram.fixed(0.62, 1.12, 1.0, 0.3, "$b$, its loss", size=SMALL)
    embed = diagram.fixed(2.1, 1.12, 0.62, 0.3, "$u$")
    same = diagram.fixed(4.0, 1.12, 0.62, 0.3, "$u$")
    task = diagram.changing(3.02, 1.12, 0.42, 0.3, "$Q^*$", size=SMALL)
    diagram.arrow((task.left[0] - GAP, task.y), (embed.right[0] + GAP, task.y))
    diagram.across(task, same)
    diagram.text(3.02, 0.84, "by $d$", size=SMALL, tint=QUIET)
    diagram.line([(0.31, 0.76), (2.1, 0.76)])
    for x, box in ((0.62, base), (2.1, embed)):
        diagram.arrow((x, 0.76), (x, box.top[1] - GAP))
    for image in support:
        diagram.line([(image.x, image.bottom[1]), (image.x, 0.76)])
    diagram.down(query, same)
    writer = diagram.fixed(0.62, 1.85, 0.5, 0.3, "$m$")
    diagram.down(base, writer)
    diagram.text(0.7, 1.48, "gradient", size=SMALL, tint=QUIET, ha="left")
    memory = diagram.cells(0.62, 2.75, ROWS, 0.18)
    index = diagram.cells(2.1, 2.75, [row[1:4] for row in ROWS], 0.18)
    diagram.down(writer, memory)
    diagram.down(embed, index)
    diagram.text(0.7, 2.28, "memory $M$", size=SMALL, tint=QUIET, ha="left")
    diagram.text(2.18, 2.28, "index $R$", size=SMALL, tint=QUIET, ha="left")
    likeness = diagram.fixed(3.3, 2.75, 0.66, 0.42, "alike?", size=SMALL)
    diagram.across(index, likeness)
    code = diagram.cells(4.0, 1.75, ((0.7, 0.2, 0.5),), 0.15)
    diagram.down(same, code)
    diagram.text(4.3, 1.75, "$r$", size=SMALL, tint=QUIET, ha="left")
    diagram.path([(code.x - 0.1, code.bottom[1] + GAP), (code.x - 0.1, 2.2), (3.3, 2.2), (3.3, likeness.top[1] - GAP)])
    attention = diagram.cells(3.3, 3.42, (ATTENTION,), 0.16)
    diagram.down(likeness, attention)
    diagram.text(3.62, 3.42, "attention", size=SMALL, tint=QUIET, ha="left")
    found = [sum(share * row[at] for share, row in zip(ATTENTION, ROWS, strict=True)) for at in range(5)]
    fast = diagram.cells(2.1, 4.05, (found,), 0.18)
    diagram.text(1.56, 4.05, "$W^*$ of this query", size=SMALL, tint=QUIET, ha="right")
    diagram.path([(0.62, memory.bottom[1] + GAP), (0.62, 3.66), (1.9, 3.66), (1.9, fast.top[1] - GAP)])
    diagram.path([(3.3, attention.bottom[1] + GAP), (3.3, 3.66), (2.3, 3.66), (2.3, fast.top[1] - GAP)])
    answers = diagram.fixed(4.15, 4.05, 0.62, 0.36, "$b$")
    diagram.across(fast, answers, kept=True)
    diagram.path([(query.right[0] + GAP, 0.47), (4.48, 0.47), (4.48, 3.7), (4.3, 3.7), (4.3, answers.top[1] - GAP)])
    answer = diagram.chip(4.15, 4.68, "0", answer=True)
    diagram.down(answers, answer)
    diagram.text(1.9, 4.68, "$b$ answers with $W$ and $W^*$", size=SMALL, tint=QUIET)
    diagram.legend(5.12)
    return diagram.figure


def two_problems(root: Path = Path(".")) -> Figure:
    """Reverse transfer: one rule that two problems share, trained on the one, then on the other, then asked about the
    first again."""
    diagram = Diagram(colour("meta_networks_perceptron"), 3.1, characters(root))
    for x, words in ((1.5, "1  train on\ncharacters"), (2.7, "2  train on\ndigits"), (3.9, "3  test on\ncharacters")):
        diagram.text(x, 0.25, words, size=SMALL)
    rows = (  # y, name, what each column does with it: trained, kept, or neither
        (0.85, "characters:\n$W, Q$", "TK "),
        (1.5, "the rule:\n$Z, G$", "TTK"),
        (2.15, "digits:\n$W', Q'$", " T "),
    )
    for y, name, does in rows:
        diagram.text(0.85, y, name, size=SMALL, tint=QUIET, ha="right")
        boxes = []
        for x, what in zip((1.5, 2.7, 3.9), does, strict=True):
            if what == "T":
                boxes.append(diagram.changing(x, y, 0.8, 0.34, "trained", size=SMALL))
            elif what == "K" or name.startswith("char"):
                boxes.append(diagram.fixed(x, y, 0.8, 0.34, "as it is", size=SMALL))
        for first, second in zip(boxes, boxes[1:], strict=False):
            diagram.across(first, second, kept=True)
    diagram.text(2.6, 2.65, "has learning about digits changed how", size=SMALL, tint=QUIET)
    diagram.text(2.6, 2.87, "well characters are told from each other?", size=SMALL, tint=QUIET)
    return diagram.figure
