"""Stages in C that tests write, made into bitcode as programs/Makefile makes it."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

INCLUDE = Path(__file__).parents[1] / "programs" / "include"


def build_stage(source: Path) -> Path:
    """Compile `NAME.c` to `NAME.bc` beside it. Needs clang."""
    target = source.with_suffix(".bc")
    system = f"/usr/include/{platform.machine()}-linux-gnu"
    options = ["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"]
    options += ["-Xclang", "-disable-llvm-passes", "-emit-llvm", f"-I{INCLUDE}", "-idirafter", system]
    subprocess.run(["clang", *options, "-c", str(source), "-o", str(target)], check=True)
    return target
