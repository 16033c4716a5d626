"""References without training."""
