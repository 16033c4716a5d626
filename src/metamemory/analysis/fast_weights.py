"""What fast weights are and do, in a trained learner: how large they are beside slow ones, and what they are worth."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from metamemory.models.fast_weights.exchange import Inside, ShowsFastWeights
from metamemory.tasks.episode import SupportQueryEpisode


@torch.no_grad()
def inside(learner: ShowsFastWeights, episode: SupportQueryEpisode) -> Inside:
    """What the learner makes of an episode."""
    return learner.inside(episode.support_x, episode.support_y, episode.query_x)


def norms(found: Sequence[Inside]) -> dict[str, tuple[float, float]]:
    """Layer -> root mean square of its slow weights, and of the fast ones over all tasks and queries."""
    return {
        name: (_size([each.slow[name] for each in found]), _size([each.fast[name] for each in found]))
        for name in found[0].fast
    }


def spread(found: Sequence[Inside]) -> dict[str, float]:
    """Layer -> how much of the fast weights is of the query: root mean square of what differs from the mean over a
    task's queries, as a share of the whole."""
    return {
        name: _size([each.fast[name] - each.fast[name].mean(dim=1, keepdim=True) for each in found])
        / max(_size([each.fast[name] for each in found]), torch.finfo(torch.float32).tiny)
        for name in found[0].fast
    }


def focus(found: Sequence[Inside], episodes: Sequence[SupportQueryEpisode]) -> float:
    """Share of the attention that is on support samples of the query's own class, over all queries."""
    shares = []
    for each, episode in zip(found, episodes, strict=True):
        own = episode.query_y.T[:, :, None] == episode.support_y.T[:, None]  # [B, Q, S]
        shares.append((each.attention * own).sum(dim=-1).flatten())
    return torch.cat(shares).mean().item()


def alterations(learner: ShowsFastWeights, layers: Sequence[str]) -> dict[str, nn.Module]:
    """Name -> the learner with something taken away: "slow" and "fast" have one kind of weights in layers that have
    both, "no_task_weights" none in its embedding, "without_<layer>" no fast weights in a layer."""
    return {
        "slow": learner.altered(parts="slow"),
        "fast": learner.altered(parts="fast"),
        "no_task_weights": learner.altered(task_weights=False),
        **{f"without_{name}": learner.altered(without=(name,)) for name in layers},
    }


def _size(weights: Sequence[Tensor]) -> float:
    """Root mean square."""
    squares = sum(each.double().square().sum().item() for each in weights)
    return (squares / sum(each.numel() for each in weights)) ** 0.5
