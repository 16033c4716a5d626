"""Types with shapes, for public signatures: `Float[Tensor, "time batch channel height width"]`.

Tests check them at every call, with jaxtyping and beartype (`tests/conftest.py`). Nothing else needs the two: where
jaxtyping is not installed, such a type is the tensor's.

    Float, Int, Bool     of floating-point numbers of any precision, of integers, of truth values
    Shaped               of any numbers: labels are integers or real numbers
    "time batch ..."     names of axes, each of one length in a call; `...` is any number of axes, `*name` the same ones
"""

try:
    from jaxtyping import Bool, Float, Int, Shaped
except ImportError:

    class Shaped:
        """`Shaped[Tensor, shape]` is Tensor."""

        def __class_getitem__(cls, item: tuple[type, str]) -> type:
            return item[0]

    Bool = Float = Int = Shaped

__all__ = ["Bool", "Float", "Int", "Shaped"]
