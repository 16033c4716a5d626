"""The study around the learners: what is run, what was run, and how it is told."""
