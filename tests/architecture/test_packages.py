"""What is shipped is what is there: the packages of pyproject.toml are the folders with code."""

from __future__ import annotations

import importlib
import tomllib
from fnmatch import fnmatch
from importlib.metadata import metadata, version
from typing import Any

import pytest

from tests.architecture.sources import PACKAGES, ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FOLDERS = sorted(
    path.parent.relative_to(ROOT)
    for package in PACKAGES
    for path in (ROOT / package).rglob("__init__.py")
)


def test_the_list_of_packages_is_the_folders() -> None:
    shipped = [f"costplan.{'.'.join(folder.parts)}" for folder in FOLDERS]
    assert SETUPTOOLS["packages"] == sorted(shipped)


def test_every_folder_with_code_is_a_package() -> None:
    """A folder without __init__.py would import here and be missing from the wheel."""
    with_code = {
        path.parent.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob("*.py")
    }
    assert with_code == set(FOLDERS)


def test_each_package_is_found_in_the_folder_of_its_name() -> None:
    assert SETUPTOOLS["package-dir"] == {f"costplan.{name}": name for name in PACKAGES}


def test_files_beside_the_code_are_shipped() -> None:
    patterns = [
        f"{package.removeprefix('costplan.').replace('.', '/')}/{pattern}"
        for package, globs in SETUPTOOLS.get("package-data", {}).items()
        for pattern in globs
    ]
    beside = [
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    assert [file for file in beside if not any(fnmatch(file, each) for each in patterns)] == []


@pytest.mark.parametrize("name", SETUPTOOLS["packages"])
def test_each_package_imports(name: str) -> None:
    assert importlib.import_module(name).__name__ == name


def test_the_version_is_the_one_installed() -> None:
    assert version("costplan") == PROJECT["project"]["version"]
    assert metadata("costplan")["Name"] == "costplan"
