"""The meta-RNN by torch's own LSTM, over a stream."""

import torch
from torch.nn import functional as fn

from metamemory.models import TaskDescription, build

SHAPE, WAYS = (1, 4, 4), 3


@torch.no_grad()
def test_it_is_an_lstm_that_reads_errors_and_labels():
    torch.manual_seed(0)
    rule = build("meta_rnn", TaskDescription(SHAPE, WAYS), {"units": 7, "hidden": [5]}).eval()
    lstm = torch.nn.LSTM(5 + 2 * WAYS, 7)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(lstm, f"{name}_l0").copy_(getattr(rule.cell, name))
    x, y = torch.rand(6, 2, *SHAPE), torch.randint(WAYS, (6, 2))
    logits = rule.answer_stream(x, y)
    labels = fn.one_hot(y, WAYS).float()
    nothing = torch.zeros(1, 2, WAYS)
    errors, told = (torch.cat([nothing, each[:-1]]) for each in (logits.softmax(dim=-1) - labels, labels))
    features = (x.flatten(2) @ rule.encoder[0].weight.T + rule.encoder[0].bias).relu()
    expected, _ = lstm(torch.cat([features, errors, told], dim=-1))
    torch.testing.assert_close(logits, expected @ rule.head.weight.T + rule.head.bias)


@torch.no_grad()
def test_images_of_another_size_are_reduced_to_its_own():
    torch.manual_seed(0)
    settings = {"units": 7, "side": 4}
    small, large = (build("meta_rnn", TaskDescription((1, side, side), WAYS), settings).eval() for side in (4, 8))
    large.load_state_dict(small.state_dict())
    x = torch.rand(3, 2, 1, 8, 8)
    means = x.unflatten(-1, (4, 2)).unflatten(-3, (4, 2)).mean(dim=(-1, -3))
    torch.testing.assert_close(large.answer(x, large.start(2)), small.answer(means, small.start(2)))
