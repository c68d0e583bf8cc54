"""Objects made while the tests run, from C: by Debian's clang (LLVM 14), or by llvmlite's LLVM 20 from clang's IR."""

from __future__ import annotations

import functools
import platform
import subprocess
from pathlib import Path

from llvmlite import binding as llvm

ROOT = Path(__file__).parents[3]
PROGRAMS = ROOT / "programs"
_CLANG = (
    "clang",
    "-O2",
    "-g",
    "-target",
    "bpf",
    "-mcpu=v3",
    f"-I{PROGRAMS}/include",
    "-idirafter",
    f"/usr/include/{platform.machine()}-linux-gnu",
)

PREFIX = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#define MAP(kind) __uint(type, kind); __type(key, __u32); __type(value, __u64); __uint(max_entries, 4)
"""


@functools.cache
def compile_c(source: str, *flags: str) -> bytes:
    """The object that clang makes of C source behind PREFIX."""
    return _clang(PREFIX + source, "-c", *flags)


@functools.cache
def compile_alone(source: str, *flags: str) -> bytes:
    """The object that clang makes of C source as it stands."""
    return _clang(source, "-c", *flags)


def compile_file(path: Path) -> bytes:
    """The object that clang makes of a C file."""
    return compile_alone(path.read_text(), f"-I{path.parent}")


@functools.cache
def compile_by_llvm_20(path: Path) -> bytes:
    """The object that LLVM 20 makes of a C file: clang parses, llvmlite's BPF backend writes the code and the BTF."""
    module = llvm.parse_assembly(
        _clang(path.read_text(), "-S", "-emit-llvm", "-Xclang", "-opaque-pointers", f"-I{path.parent}").decode()
    )
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple("bpfel").create_target_machine(cpu="v3", opt=2)
    return bytes(machine.emit_object(module))


def _clang(source: str, *flags: str) -> bytes:
    done = subprocess.run(
        [*_CLANG, *flags, "-x", "c", "-o", "-", "-"], input=source.encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
