"""Data sets of images by class: prepared once on disk, loaded whole as one uint8 tensor.

    preparation.prepare(["omniglot"], root="data")    # mirror, original host or embedded stand-in, checked
    images = load("omniglot", size=28)                # ImageSet; images.images is [1623, 20, 1, 28, 28]

What prepares is not imported here: a run depends on the data's digest, not on how they came.
"""

from metamemory.data.images import ImageSet, load

__all__ = ["ImageSet", "load"]
