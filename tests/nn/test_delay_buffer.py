"""Embeddings meet their labels `delay` steps later, in one go or step by step."""

import pytest
import torch

from metamemory.nn.delay_buffer import until_labelled


@pytest.mark.parametrize("delay", [1, 3, 9])
def test_what_was_seen_delay_steps_before_comes_out(delay):
    e = torch.arange(1.0, 7.0)[:, None]  # steps 0 .. 5 hold 1 .. 6
    expected = [[max(t + 1 - delay, 0)] for t in range(6)]
    whole, left = until_labelled(torch.zeros(delay, 1), e)
    assert whole.tolist() == expected
    waiting, one_by_one = torch.zeros(delay, 1), []
    for e_t in e:
        now, waiting = until_labelled(waiting, e_t[None])
        one_by_one += now.tolist()
    assert one_by_one == expected
    assert torch.equal(waiting, left) and len(left) == delay
