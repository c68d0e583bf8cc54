"""What mypy finds in code that writes machine code: widths that differ, numbers in the place of pointers."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HEAD = """from appliance.helpers.native.call import HelperCall, Implementation
from appliance.ir import I32, I64, PTR, U32, Code, Field, Pointer
def low(call: HelperCall) -> U32: return call.low(0)
def write(code: Code, call: HelperCall) -> None:
"""

# Where `Value`, which is Any, is what can be said: each has a table of widths.
UNTYPED = {
    "helpers/native/routing/route_lookup.py": "fields of rules by their names",
    "helpers/native/siphash.py": "two hashes as lanes of one vector, or one as a word",
    "helpers/native/text.py": "the C library's snprintf takes any number of any arguments",
    "ir/code.py": "what a function returns, by its signature",
    "ir/types.py": "the definition",
    "ir/values.py": "parameters by their names, calls of any function",
    "jit/subprogram.py": "operands are as wide as the instruction says",
    "maps/control/batches.py": "operations by their names",
    "maps/hash/table.py": "a vector of words",
    "rules/code/bpf_module.py": "calls of any helper",
    "rules/code/fields.py": "fields of frames by their names",
    "rules/code/parser/bits.py": "bits of headers, as wide as what they hold",
    "rules/code/parser/cursor.py": "fields of frames by their names",
}


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
        ("code.resize(code.buffer(8), I32)", 'has incompatible type "Pointer"'),
        ("code.atomic_add(code.buffer(8), code.variable(I32, 1).get(), I64)", 'parameter "N" of "atomic_add"'),
        ("Field(code, code.buffer(8), I32, 4).store(code.variable(I64, 1).get())", 'has incompatible type "U64"'),
        ("wide: U32 = Field(code, code.buffer(8), I64, 8).load()", 'expression has type "U64"'),
        ("place: Pointer = call.arguments[0]", 'expression has type "U64"'),
        ("code.load(call.arguments[0], I64)", 'has incompatible type "U64"; expected "Pointer"'),
        ("answer: Implementation = low", 'expression has type "Callable[[HelperCall], U32]"'),
    ],
)
def test_what_does_not_fit_is_found(tmp_path: Path, line: str, words: str) -> None:
    assert words in checked(tmp_path, line)


def test_what_fits_passes(tmp_path: Path) -> None:
    line = "code.variable(PTR).set(code.at(code.buffer(8), code.resize(code.load(code.buffer(4), I32), I64)))"
    assert "Success" in checked(tmp_path, line)


def test_any_stands_only_where_a_table_decides() -> None:
    home = ROOT / "appliance"
    rooms = ("ir", "maps", "helpers/native", "jit", "datapath", "rules/code")
    files = {file for room in rooms for file in (home / room).rglob("*.py") if file.name != "__init__.py"}
    assert {str(file.relative_to(home)) for file in files if _says_value(file)} == set(UNTYPED)


def _says_value(file: Path) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "Value" for node in ast.walk(ast.parse(file.read_text())))
