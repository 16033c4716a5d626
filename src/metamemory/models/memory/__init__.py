"""Learners with an external memory."""
