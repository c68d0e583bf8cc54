"""`.ci/debian`: its lists are in order, and what is there already is not installed again."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

LISTS = ("packages.txt", "tests/container/packages.txt")


@pytest.mark.parametrize("path", LISTS)
def test_a_list_is_sorted_and_names_nothing_twice(path: str) -> None:
    names = [line for line in Path(path).read_text().splitlines() if not line.startswith("#")]
    assert names == sorted(set(names))


def test_what_is_installed_is_left_alone() -> None:
    done = subprocess.run([".ci/debian", "packages.txt"], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == ""
