"""metamemory: a reproducible study of meta-learning with memory."""

__version__ = "0.1.0"
