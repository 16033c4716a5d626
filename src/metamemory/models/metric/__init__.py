"""Learners that compare a sample with labelled ones."""
