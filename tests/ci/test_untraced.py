"""The parts of `make coverage`: each name is there, and every test is in one of them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.untraced import UNTRACED

ROOM = "tests/appliance/cli/test_exec.py"


def test_every_name_is_there() -> None:
    assert [name for name in UNTRACED if not Path(name.partition("::")[0]).exists()] == []


def collected(*options: str) -> set[str]:
    command = [sys.executable, "-m", "pytest", "--collect-only", *options, ROOM]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"(?m)^tests/.*$", printed))


def options(target: str) -> list[str]:
    """What pytest is given for a part of the suite, whatever make runs this test with."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    line = subprocess.run(["make", "--dry-run", target], check=True, capture_output=True, text=True, env=plain).stdout
    return shlex.split(line.strip().splitlines()[-1].partition("-m pytest ")[2])


def test_every_test_is_in_one_part() -> None:
    marked, first = options("test-first")[:2], options("test-first")[2:]
    assert options("test-second") == [*marked, *(f"--ignore={folder}" for folder in first)]
    assert {Path(folder).name for folder in first} == {
        folder.name for folder in Path("tests/appliance").iterdir() if folder.is_dir()
    } - {"rules", "verifier", "__pycache__"}
    marked_untraced, untraced_first = options("test-untraced")[:2], options("test-untraced")[2:]
    rest = [f"--ignore={folder}" for folder in untraced_first]
    assert options("test-untraced-rest") == [*marked_untraced, *rest]
    assert all(Path(folder).is_dir() for folder in untraced_first)
    traced, untraced = collected(*marked), collected(*marked_untraced)
    assert untraced == {f"{ROOM}::test_no_end_is_a_message"}
    assert traced | untraced == collected()
    assert not traced & untraced
