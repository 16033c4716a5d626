"""Learners that write weights of a network within an episode."""
