"""Babu, Savarese and Maire 2021: Online Meta-Learning via Learning with Layer-Distributed Memory."""
