"""The files that describe the environment agree with one another."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(lines) -> dict[str, Requirement]:
    """Requirements by normalised name; comments and pip options are left out."""
    stripped = (line.partition("#")[0].strip() for line in lines)
    found = [Requirement(line) for line in stripped if line and not line.startswith("-")]
    assert len({normalised(r.name) for r in found}) == len(found), "a package is named twice"
    return {normalised(r.name): r for r in found}


def pin(requirement: Requirement) -> str:
    (specifier,) = requirement.specifier
    assert specifier.operator == "==", f"{requirement} is not an exact version"
    return specifier.version


@pytest.fixture(scope="module")
def lock() -> dict[str, Requirement]:
    return requirements((ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines())


@pytest.fixture(scope="module")
def direct() -> dict[str, Requirement]:
    return requirements((ROOT / "requirements.in").read_text(encoding="utf-8").splitlines())


@pytest.fixture(scope="module")
def conda() -> list:
    return yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_lock_is_exact_and_meets_the_direct_requirements(lock, direct):
    versions = {name: pin(requirement) for name, requirement in lock.items()}
    for name, requirement in direct.items():
        assert name in versions, f"requirements.lock lacks {name}"
        assert requirement.specifier.contains(versions[name]), f"{name} {versions[name]} is not {requirement}"


def test_conda_environment_has_the_locked_direct_requirements(lock, direct, conda):
    (pip_lines,) = [entry["pip"] for entry in conda if isinstance(entry, dict)]
    named = requirements(pip_lines)
    assert named.keys() == direct.keys()
    assert {name: pin(r) for name, r in named.items()} == {name: pin(lock[name]) for name in direct}


def test_core_dependencies_are_direct_requirements_that_the_lock_meets(lock, direct, project):
    for name, requirement in requirements(project["dependencies"]).items():
        assert name in direct
        assert requirement.specifier.contains(pin(lock[name]))


def test_python_versions_agree(conda, project):
    (python,) = [entry.partition("=")[2] for entry in conda if str(entry).startswith("python=")]
    supported = SpecifierSet(project["requires-python"])
    assert supported.contains(python)
    (tried,) = re.findall(r"for candidate in .*", (ROOT / "Makefile").read_text(encoding="utf-8"))
    versions = [f"3.{minor}" for minor in range(8, 20)]
    assert set(re.findall(r"python(3\.\d+)", tried)) == {v for v in versions if supported.contains(v)}


def test_lock_names_no_index_and_no_path():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text and not re.search(r"(^|\s)[/~]", text)
    assert not re.search(r"^-", text, flags=re.MULTILINE)
