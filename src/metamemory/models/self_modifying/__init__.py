"""Learned rules of learning, and networks that rewrite themselves."""
