"""What mypy finds in code that writes machine code: widths that differ, numbers in the place of pointers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HEAD = "from appliance.ir import I32, I64, PTR, Code\ndef write(code: Code) -> None:\n"


def checked(tmp_path: Path, line: str) -> str:
    """What mypy says of one line in a function that is being written."""
    path = tmp_path / "written.py"
    path.write_text(f"{HEAD}    {line}\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache"), str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("code.add(code.variable(I32, 1).get(), code.variable(I64, 1).get())", 'Value of type variable "N"'),
        ("code.load(code.variable(I64, 1).get(), I32)", 'has incompatible type "U64"; expected "Pointer"'),
        ("code.at(code.buffer(8), code.variable(I32, 1).get())", 'has incompatible type "U32"'),
        ("code.if_(code.variable(I64, 1).get())", 'has incompatible type "U64"; expected "U1"'),
        ("code.variable(I64).set(code.buffer(8))", 'has incompatible type "Pointer"'),
        ("code.integer(code.variable(I64, 1).get())", 'has incompatible type "U64"; expected "Pointer"'),
    ],
)
def test_what_does_not_fit_is_found(tmp_path: Path, line: str, words: str) -> None:
    assert words in checked(tmp_path, line)


def test_what_fits_passes(tmp_path: Path) -> None:
    line = "code.variable(PTR).set(code.at(code.buffer(8), code.resize(code.load(code.buffer(4), I32), I64)))"
    assert "Success" in checked(tmp_path, line)
