"""Wang 2024, Model-based meta-learning in neural networks, and the papers that it compares: support and query sets."""
