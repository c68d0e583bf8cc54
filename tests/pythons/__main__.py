"""A short run through every supported Python but the one that runs the whole suite: `make test-pythons [VERSION…]`.

                 ┌─ found ──> an environment of its own ──> imports ──> the lab ──> some tests ──> enumerations alike
    classifiers ─┤
                 └─ not found: said, and skipped

What a newer Python calls deprecated is an error here: what is only told today is gone in the version after.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.pythons.interpreters import Interpreter, identity, search, supported
from tests.pythons.rooms import some_files

ENVIRONMENTS = Path("build/pythons")
STRICT = ("-W", "error::DeprecationWarning")
LAB_SECONDS = 5
LONGEST_SECONDS = 300  # of one step; each takes less than a minute


def main(versions: Sequence[str]) -> int:
    """Run them all; the number of those that failed."""
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    failed = 0
    for version in versions or [each for each in supported() if each != ours]:
        found = search(version)
        if not isinstance(found, Interpreter):
            print(f"Python {version}: skipped: {found}", flush=True)
            continue
        began = time.monotonic()
        wrong = _failure(found)
        failed += wrong is not None
        took = time.monotonic() - began
        print(f"Python {version}: {wrong or 'good'}; {found.path}, {took:.0f} s", flush=True)
    return failed


def _failure(found: Interpreter) -> str | None:
    """What failed through this Python; None if all is well. The step's own words are on standard output by then."""
    for name, command in _steps(found):
        try:
            subprocess.run(command, check=True, timeout=LONGEST_SECONDS)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            return f"{name} failed: {error}"
    ours, theirs = (enumerations(python) for python in (sys.executable, str(_python(found))))
    return "its enumerations differ:\n" + "\n".join(sorted(ours ^ theirs)) if ours != theirs else None


def enumerations(python: str) -> set[str]:
    """The members of every enumeration, as this Python has them."""
    command = [python, "-m", "tests.pythons.enumerations"]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}  # sets in one order
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=LONGEST_SECONDS)
    return set(done.stdout.splitlines())


def _python(found: Interpreter) -> Path:
    return ENVIRONMENTS / found.version / "bin" / "python"


def _steps(found: Interpreter) -> Iterator[tuple[str, list[str]]]:
    environment = ENVIRONMENTS / found.version
    python, tidegate = str(_python(found)), str(_python(found).with_name("tidegate"))
    made_by = environment / "made-by"
    if not made_by.exists() or made_by.read_text() != identity(found.path):
        yield "making an environment", [str(found.path), "-m", "venv", "--clear", str(environment)]
        made_by.write_text(identity(found.path))
    yield "installing", [".ci/packages", python]
    yield "importing", [python, *STRICT, "-m", "tests.pythons.imports"]
    yield "the lab", [python, *STRICT, tidegate, "lab", "--seconds", str(LAB_SECONDS)]
    files = [str(path) for path in some_files(Path("tests"))]
    yield "tests", [python, *STRICT, "-m", "pytest", "-p", "tests.pythons.first_of_each", *files]


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
