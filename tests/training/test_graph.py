"""On a GPU an update is captured once and replayed; it is the same update."""

import pytest
import torch

from metamemory.models.recurrent.lstm import LSTM
from metamemory.tasks.online_few_shot import OnlineFewShot
from metamemory.training.update import Training, update

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="a CUDA graph needs a GPU")


def test_a_captured_update_is_the_update(images):
    from metamemory.training.graph import EAGER, CapturedUpdate

    settings = Training(episodes=1, batch_size=4)
    task = OnlineFewShot(images.cuda(), 3, 4)
    learned = []
    for advance in (update, CapturedUpdate()):
        torch.manual_seed(0)
        learner = LSTM((1, 8, 8), 3, hidden=8).cuda()
        rate = torch.full((), 1e-2, device="cuda")
        optimiser = torch.optim.Adam(learner.parameters(), rate, capturable=True)
        generator = torch.Generator("cuda").manual_seed(0)
        scores = [advance(learner, task, settings, optimiser, generator).loss.item() for _ in range(EAGER + 20)]
        learned.append((scores, [each.detach().cpu() for each in learner.parameters()]))
    (scores, weights), (captured_scores, captured_weights) = learned
    assert captured_scores == pytest.approx(scores, rel=1e-4)
    for weight, captured in zip(weights, captured_weights, strict=True):
        torch.testing.assert_close(captured, weight, rtol=1e-3, atol=1e-4)
