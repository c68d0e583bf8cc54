"""Every fuzzer of this folder, one after the other: `python -m tests.fuzz [seconds for each]`.

A fuzzer is a file fuzz_*.py with a function main(seconds) that gives the number of its finds.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main(seconds: float) -> int:
    """Run all of them; the number of finds."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("fuzz_*.py"))
    return sum(importlib.import_module(f"tests.fuzz.{name}").main(seconds) for name in names)


if __name__ == "__main__":
    sys.exit(bool(main(float(sys.argv[1]) if sys.argv[1:] else 600.0)))
