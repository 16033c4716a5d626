"""What pages quote of the code."""

import pytest
from markdown_it import MarkdownIt

from metamemory.kernels.least_recently_used import access_reference
from metamemory.models import CNP, MAML, Matching, ProtoNet, Reptile, Ridge, Siamese
from metamemory.models.attention.snail import AttentionBlock, DenseBlock
from metamemory.models.attention.transformer import Layer
from metamemory.models.learner import Learner
from metamemory.models.neural_process.cnp_regression import CNPRegression
from metamemory.nn.attention import attend
from metamemory.nn.delta_layers import DeltaRule
from metamemory.nn.inner_loop import _descend as descend
from metamemory.nn.inner_loop import differentiate
from metamemory.study.pages import in_italics, quoted


@pytest.mark.parametrize(
    "rules",
    [
        (MAML.answer_queries,),
        (Reptile._trained,),
        (ProtoNet.answer_queries, ProtoNet.logits),
        (Ridge.answer_queries, Ridge._solved),
        (CNP.answer_queries, CNP.logits),
        (CNPRegression.answer_queries, CNPRegression._encoded, CNPRegression._decoded),
        (Matching.scores, Matching.of_classes),
        (Siamese.scores, Siamese.of_classes),
        (descend, differentiate),
        (Learner.answer_queries,),
        (access_reference,),
        (attend, Layer.forward),
        (AttentionBlock.forward, DenseBlock.forward),
        (DeltaRule.forward,),
    ],
)
def test_a_learners_rule_is_quoted_from_its_file_in_thirty_lines(rules):
    text = quoted(*rules)
    lines = text.splitlines()
    assert (lines[0], lines[-1]) == ("```python", "```") and '"""' not in text
    for rule in rules:
        assert any(line.startswith(f"def {rule.__name__}(") for line in lines)
    code = [line for line in lines[1:-1] if line.strip()]
    signature = [line for line in code if line.startswith(("    self,", "    support_", "    query_x", ") ->"))]
    assert len(code) - len(signature) <= 30


@pytest.mark.parametrize("caption", ["Rows of M. Q* are weights.", "At laptop scale. *Means*: as in code; a_b c*d."])
def test_a_caption_is_in_italics_to_its_end(caption):
    """Whatever asterisks it has."""
    (paragraph,) = [each for each in MarkdownIt().parse(in_italics(caption)) if each.type == "inline"]
    first, *_, last = [each.type for each in paragraph.children if each.content or each.nesting]
    assert (first, last) == ("em_open", "em_close")
    assert "".join(each.content for each in paragraph.children) == caption.replace("*Means*", "Means")


def test_methods_of_one_name_are_told_apart_by_their_classes():
    text = quoted(AttentionBlock.forward, DenseBlock.forward)
    assert text.index("# AttentionBlock\ndef forward(") < text.index("# DenseBlock\ndef forward(")
    assert "# " not in quoted(ProtoNet.logits)
