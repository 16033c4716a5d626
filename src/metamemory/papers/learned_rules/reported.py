"""What papers report of networks that learn their own learning rule. Shares of 1."""

from metamemory.study.tables import Reported

# Irie et al. 2022, two tasks in a row: total accuracy on miniImageNet after Omniglot, 15 images of each of five classes
SECOND_TASK = {"srwm": Reported(0.533), "delta_net": Reported(0.504)}
ONE_SHOT = Reported(0.974)  # Irie et al. 2022, SRWM, Omniglot, five ways
