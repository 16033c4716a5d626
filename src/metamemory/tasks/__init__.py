"""Distributions over episodes, sampled on the device."""

from metamemory.tasks.episode import Episode, Score, Task
from metamemory.tasks.online_few_shot import OnlineFewShot
from metamemory.tasks.support_query import SupportQuery

__all__ = ["Episode", "OnlineFewShot", "Score", "SupportQuery", "Task"]
