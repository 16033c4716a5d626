"""Chromium, for pages of the book."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        told = "no Chromium on the PATH to look at pages with"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    browser = _module.Browser(program, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()
