"""Learners that make a function of a set: conditional neural processes."""
