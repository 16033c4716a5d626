"""Pickles of arrays and plain values, opened without running anything that they ask for.

A pickle is a program that may import and call whatever it names. The one here may name only what numpy uses to
put an array together; everything else, `os.system` as well as a harmless class, is refused.
"""

import pickle
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

RECONSTRUCT = np.empty(0).__reduce__()[0]  # the function that numpy itself names in a pickle, wherever it is


def load(file: BinaryIO) -> Any:
    """Numbers, strings, lists, dicts, tuples and arrays of a pickle; `bytes` of Python 2 become latin-1 `str`.

    Raises:
        ValueError: the pickle is broken, or names anything else.
    """
    try:
        return _Unpickler(file, encoding="latin1").load()
    except Exception as reason:  # a broken pickle may raise anything at all
        raise ValueError(f"not a pickle of arrays: {reason or type(reason).__name__}") from reason


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable:
        match module, name:
            case (("numpy.core.multiarray" | "numpy._core.multiarray"), "_reconstruct"):
                return RECONSTRUCT
            case "numpy", "ndarray":
                return np.ndarray
            case "numpy", "dtype":  # numpy 2.4 wants bool where Python 2 wrote 0 and 1
                return lambda code, align=0, copy=0: np.dtype(code, align=bool(align), copy=bool(copy))
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")
