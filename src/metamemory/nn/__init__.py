"""Layers, cells and memories that the learners are made of."""
