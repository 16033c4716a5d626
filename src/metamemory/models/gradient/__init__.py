"""Learners that adapt by gradient descent within an episode."""
