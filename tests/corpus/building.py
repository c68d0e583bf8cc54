"""The corpus, compiled anew: by any optimisation level, for any version of the instruction set that clang knows."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.corpus.corpus import HOME


def build(folder: Path, optimize: str = "-O2", cpu: str = "v3") -> Path:
    """Every object of the corpus, in `folder`."""
    flags = (f"OUT={folder}", f"OPTIMIZE={optimize}", f"CPU={cpu}")
    subprocess.run(["make", "-s", "-j2", "-C", str(HOME), *flags], check=True)
    return folder
