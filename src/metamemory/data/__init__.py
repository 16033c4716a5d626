"""Data sets of images by class: prepared once on disk, loaded whole as one uint8 tensor.

    preparation.prepare(["cifar_fs"], root="data")    # mirror, original host or embedded stand-in, checked
    images = load("cifar_fs", size=32)                # ImageSet; images.images is [100, 600, 3, 32, 32]

What prepares is not imported here: a run depends on the data's digest, not on how they came.
"""

from metamemory.data.images import ImageSet, digest, load

__all__ = ["ImageSet", "digest", "load"]
