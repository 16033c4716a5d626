"""Image files opened with care: of named formats only, and no larger than can be meant."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image

MOST_PIXELS = 64_000_000


@contextmanager
def opened(file: Path | BinaryIO, formats: Sequence[str]) -> Iterator[Image.Image]:
    """An image, not decoded yet.

    Args:
        formats: as Pillow calls them; a file is tried as nothing else, whatever its name.

    Raises:
        ValueError: it has more than MOST_PIXELS.
        Exception: whatever Pillow says of a file that is none of these formats, or broken.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # refused here
        with Image.open(file, formats=formats) as found:
            width, height = found.size
            if width * height > MOST_PIXELS:
                raise ValueError(f"it has {width}x{height} pixels, and at most {MOST_PIXELS // 10**6} million are read")
            yield found
