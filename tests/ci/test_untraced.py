"""The halves of `make coverage`: each name is there, and every test is in one of them."""

from __future__ import annotations

import re
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


def test_every_test_is_in_one_half() -> None:
    halves = re.findall(r'-m "(.* untraced)"', Path("Makefile").read_text())
    traced, untraced = (collected("-m", half) for half in halves)
    assert untraced == {f"{ROOM}::test_no_end_is_a_message"}
    assert traced | untraced == collected()
    assert not traced & untraced
