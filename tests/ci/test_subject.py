"""The check of a commit's subject, as the commit-msg hook calls it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


def check(tmp_path: Path, message: str) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "message"
    path.write_text(message)
    return subprocess.run([".ci/subject", path], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "message",
    [
        "verifier: refuse a key that outlives its walk\n\nWhy.\n",
        "# a comment\nmaps, helpers: names by the field's words\n",
        "fixup! anything at all",
        "docs: " + "é" * 66,
    ],
)
def test_good(tmp_path: Path, message: str) -> None:
    assert check(tmp_path, message).returncode == 0


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Refuse a key that outlives its walk", "wants an area in front"),
        ("verifier: " + "x" * 63, "73 characters; 72 are the most"),
        ("verifier:no space", "wants an area in front"),
    ],
)
def test_bad(tmp_path: Path, message: str, words: str) -> None:
    told = check(tmp_path, message)
    assert told.returncode == 1
    assert words in told.stderr
