"""Layers with state: cells and memories that the learners are made of."""
