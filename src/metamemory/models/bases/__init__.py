"""What several learners are variants of, one family a file."""
