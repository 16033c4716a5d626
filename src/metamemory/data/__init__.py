"""Data sets of images by class: prepared once on disk, loaded whole as one uint8 tensor.

    prepare(["omniglot"], root="data")      # mirror, original host or embedded stand-in, checked by digest
    images = load("omniglot", size=28)      # ImageSet; images.images is [1623, 20, 1, 28, 28]

`download` and `preparation` bring the data here, `packs`, `omniglot` and `glyphs` read or make it, `store` is
its layout on disk, `images` its form in memory.
"""

from metamemory.data.images import ImageSet, load
from metamemory.data.preparation import prepare

__all__ = ["ImageSet", "load", "prepare"]
