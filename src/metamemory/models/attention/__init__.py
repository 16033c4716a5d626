"""Learners that attend to the steps before."""
