"""The files and folders that documents name are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCUMENTS = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/architecture.md"]
PATH = re.compile(r"`((?:appliance|hooks|tests|configs|docs|programs|dashboards|\.ci)/[\w./-]*)`")
FILE = re.compile(r"[`(]([a-z_0-9./-]+\.py)\b")  # `bench_NAME.py` stands for many


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_is_there(document: str) -> None:
    named = set(PATH.findall(Path(document).read_text(encoding="utf-8")))
    assert [path for path in sorted(named) if not Path(path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_file_is_named_with_its_folders(document: str) -> None:
    """A bare name is true of several files, or of none after a move, and nobody notices."""
    named = set(FILE.findall(Path(document).read_text(encoding="utf-8")))
    assert [name for name in sorted(named) if "/" not in name] == []


def test_the_pattern_finds_paths() -> None:
    assert PATH.findall("`appliance/maps/kind.py` and `tests/cases/rules`, not `make test`") == [
        "appliance/maps/kind.py",
        "tests/cases/rules",
    ]
