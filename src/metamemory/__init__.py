"""metamemory: a reproducible study of meta-learning with memory."""

__version__ = "0.1.0"


def pretrained(method: str, setting: str, experiment: str | None = None):
    """A trained learner in evaluation mode, with the weights that the project keeps in pretrained/.

        learner = metamemory.pretrained("cl_lstm", "omniglot")

    Args:
        method, setting: as `python -m metamemory list` names them.
        experiment: where weights of several experiments are kept.

    Raises:
        UserError: there are no such weights, or they are damaged.
    """
    from metamemory.study.pretrained import load

    return load(method, setting, experiment)
