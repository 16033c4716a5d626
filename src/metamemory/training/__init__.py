"""Training and evaluation of learners on episodes."""
