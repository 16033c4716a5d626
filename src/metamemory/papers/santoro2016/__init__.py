"""Santoro, Bartunov, Botvinick, Wierstra and Lillicrap 2016: Meta-Learning with Memory-Augmented Neural Networks."""
