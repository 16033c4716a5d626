"""The papers' own differences are those that their tables of claims tell, one for each number of this study."""

import pytest

from metamemory.papers.babu2021 import continual, online_few_shot, segmentation, supervised
from metamemory.papers.learned_rules import self_reference
from metamemory.papers.munkhdalai2017 import tables as munkhdalai
from metamemory.papers.santoro2016 import tables as santoro
from metamemory.papers.survey import support_query

TOPICS = (online_few_shot, continual, segmentation, supervised, santoro, munkhdalai, support_query, self_reference)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.__name__.partition("papers.")[2])
def test_the_papers_differences_are_told_as_they_are_drawn(topic):
    for claim in topic.claims():
        if claim.reported:
            assert len(claim.reported) == len(claim.pairs)
        elif topic is not continual:
            pytest.fail(f"{claim.text} has no number of the paper")
        if "%" not in claim.paper and claim.reported:  # else it is told as an accuracy
            told = [float(each) for each in claim.paper.split(", ")]
            assert told == pytest.approx([100 * each for each in claim.reported], abs=0.0501)
        elif claim.reported and topic is not continual:
            assert claim.reported == [0.0]  # that the two are equal


def test_one_number_that_is_only_in_the_text():
    poor = next(claim for claim in continual.claims() if "20th" in claim.text)
    assert poor.paper == "56 %" and poor.reported == pytest.approx([0.9178 - 0.56])
