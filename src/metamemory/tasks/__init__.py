"""Distributions over episodes, sampled on the device: one a file, so that a run depends on its own task alone."""

from metamemory.tasks.episode import Episode, Score, SupportQueryEpisode, Task

__all__ = ["Episode", "Score", "SupportQueryEpisode", "Task"]
