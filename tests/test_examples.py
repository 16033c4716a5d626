"""Every example in a docstring does what it says; torch is there without an import."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest
import torch

import metamemory

PACKAGE = Path(metamemory.__file__).parent
MODULES = [
    ".".join(("metamemory", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_do_what_they_say(name):
    failed, tried = doctest.testmod(import_module(name), extraglobs={"torch": torch})
    assert tried and not failed
