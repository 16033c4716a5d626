"""What pages quote of the code."""

import pytest

from metamemory.models import CNP, MAML, ProtoNet, Reptile, Ridge
from metamemory.study.pages import quoted


@pytest.mark.parametrize(
    "rules",
    [
        (MAML.answer_queries,),
        (Reptile._trained,),
        (ProtoNet.answer_queries, ProtoNet.logits),
        (Ridge.answer_queries, Ridge._solved),
        (CNP.answer_queries, CNP.logits),
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
