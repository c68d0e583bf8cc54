"""The lock files: everything that pyproject.toml names is pinned, with hashes, in the same version in both."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]
BUILD = tomllib.loads(Path("pyproject.toml").read_text())["build-system"]["requires"]
BOX = [*PROJECT["dependencies"], *BUILD]
DEV = [*BOX, *PROJECT["optional-dependencies"]["dev"]]
ENTRY = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[^ ;]+)(?: ; [^\\]+)? \\\n(?P<hashes>(?: +--hash=\S+(?: \\)?\n)+)", re.M
)


def locked(path: str) -> dict[str, Version]:
    """What a lock file pins. Every line that is no comment belongs to an entry with hashes."""
    text = Path(path).read_text()
    entries = list(ENTRY.finditer(text))
    rest = [line for line in ENTRY.sub("", text).splitlines() if not line.strip().startswith("#")]
    assert rest == []
    return {canonicalize_name(entry["name"]): Version(entry["version"]) for entry in entries}


def unmet(requirements: list[str], pins: dict[str, Version]) -> list[str]:
    """The requirements that no pin meets."""
    parsed = [Requirement(text) for text in requirements]
    return [str(each) for each in parsed if not _meets(pins.get(canonicalize_name(each.name)), each.specifier)]


def _meets(version: Version | None, specifier: SpecifierSet) -> bool:
    return version is not None and version in specifier


def test_the_box_and_what_builds_it_are_pinned_with_hashes() -> None:
    assert unmet(BOX, locked("requirements.lock")) == []


def test_the_tests_run_on_what_the_box_runs_on() -> None:
    box, dev = locked("requirements.lock"), locked("requirements-dev.lock")
    assert box.items() <= dev.items()
    assert unmet(DEV, dev) == []


def test_the_extra_that_the_locks_are_made_of_is_the_build_system() -> None:
    assert PROJECT["optional-dependencies"]["build"] == BUILD


def imported(folders: Iterable[str]) -> set[str]:
    """The first part of every name that is imported there and that is neither Python's nor ours."""
    trees = [ast.parse(path.read_text()) for folder in folders for path in Path(folder).rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    ours = {"appliance", "hooks", "tests", "configs", "dashboards", "docs"}
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - ours


@pytest.mark.parametrize(
    ("folders", "declared"),
    [(("appliance", "hooks"), BOX), (("tests", "configs", "dashboards"), DEV)],
    ids=["the box", "the tests"],
)
def test_what_is_imported_is_declared(folders: tuple[str, ...], declared: list[str]) -> None:
    """What only comes along with something else is gone when that no longer needs it."""
    distributions = packages_distributions()
    names = {canonicalize_name(Requirement(text).name) for text in declared}
    undeclared = {
        name
        for name in imported(folders)
        if not names & {canonicalize_name(each) for each in distributions.get(name, ())}
    }
    assert undeclared == set()
