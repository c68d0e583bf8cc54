"""Which other Pythons are found, and what they are asked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.pythons.__main__ import enumerations
from tests.pythons.interpreters import Interpreter, identity, search, supported
from tests.pythons.rooms import MOST, some_files

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def make_python(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any Python."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_python_that_runs_this_is_a_promised_one() -> None:
    assert VERSION in supported()
    assert supported()[0] == "3.11"


def test_a_python_in_path_is_found(bare: Path) -> None:
    make_python(bare / "bin" / f"python{VERSION}", f'exec {sys.executable} "$@"')
    assert search(VERSION) == Interpreter(VERSION, bare / "bin" / f"python{VERSION}")


def test_a_shim_that_refuses_gives_way_to_the_version_itself(bare: Path) -> None:
    make_python(bare / "bin" / f"python{VERSION}", "exit 127")
    kept = bare / "pyenv" / "versions" / f"{VERSION}.9" / "bin" / f"python{VERSION}"
    make_python(kept, f'exec {sys.executable} "$@"')
    assert search(VERSION) == Interpreter(VERSION, kept)


def test_a_python_that_is_not_there_is_a_reason(bare: Path) -> None:
    assert search("3.99") == "python3.99 is neither in PATH nor among the versions of pyenv"
    make_python(bare / "bin" / "python3.99", f'exec {sys.executable} "$@"')  # it is another one
    assert "can't be run" in str(search("3.99"))


def test_an_environment_is_known_by_the_python_and_its_version() -> None:
    path, *version = identity(Path(sys.executable)).split()
    assert (Path(path), ".".join(version)) == (Path(sys.executable).resolve(), sys.version.split()[0])


def test_the_members_of_enumerations_are_told() -> None:
    told = enumerations(sys.executable)
    assert "hooks.contracts.contract.Verdict.DROP = 'drop', True, Verdict.DROP" in told
    assert len(told) > 400
    assert not [line for line in told if "0x7" in line], "addresses differ in each process"


def test_every_room_has_a_file_and_none_more_than_a_few() -> None:
    chosen = some_files(Path("tests"))
    rooms = {path.parent for path in Path("tests/appliance").rglob("test_*.py")}
    assert rooms <= {path.parent for path in chosen}
    assert all(1 <= sum(path.parent == room for path in chosen) <= MOST for room in rooms)
    assert len(set(chosen)) == len(chosen)
