"""A file of LLVM bitcode that clang made of a stage, and whether the stage is in it.

    clang -target bpf -O2 -g -Xclang -disable-llvm-passes -emit-llvm -c check.c -o check.bc

LLVM reads it in this process: a file of bitcode is trusted as a configuration is. What is made of it is proved as
everything else is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llvmlite import binding as llvm

from appliance.errors import InputRefused
from appliance.shipped import shipped

MAGIC = b"BC\xc0\xde"
LARGEST = 4 << 20  # bytes
_NUMBERS = frozenset({"i8", "i16", "i32", "i64"})
_MAPS = 'section ".maps"'
_HINT = "make it by clang -target bpf -O2 -g -Xclang -disable-llvm-passes -emit-llvm -c STAGE.c -o STAGE.bc"


@dataclass(frozen=True, slots=True)
class Bitcode:
    """Bitcode that LLVM could read. `functions` are its stages, `maps` those that it defines, in their order, and
    `constants` the numbers that it wants to be given, each with its bits. Two of the same bytes are equal."""

    file: str = field(compare=False)
    digest: str
    functions: tuple[str, ...] = field(compare=False)
    maps: tuple[str, ...] = field(compare=False)
    constants: Mapping[str, int] = field(compare=False)
    data: bytes = field(compare=False, repr=False)


def read_bitcode(path: Path) -> Bitcode:
    """Read and look at a file. Raises InputRefused, without a place: whoever names the file knows it."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise InputRefused(f"can't read {path.name}: {reason}") from error
    if len(data) > LARGEST:
        raise InputRefused(f"{path.name} is larger than {LARGEST >> 20} MiB")
    if not data.startswith(MAGIC):
        raise InputRefused(f"{path.name} isn't LLVM bitcode", hint=_HINT)
    with llvm.create_context() as context:
        try:
            with llvm.parse_bitcode(data, context) as module:
                return _described(str(path), data, module)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise InputRefused(f"LLVM can't read {path.name}: {reason}", hint=_HINT) from error


def shipped_bitcode(name: str) -> Bitcode:
    """A stage that comes with Tidegate: `NAME.bc` of programs/stages. Raises CannotRun if the installation lacks it."""
    return read_bitcode(shipped(f"programs/stages/{name}.bc"))


def _described(file: str, data: bytes, module: llvm.ModuleRef) -> Bitcode:
    if not str(module.triple).startswith("bpf"):
        raise InputRefused(f"{Path(file).name} is made for {module.triple or 'no target'}, not for bpf", hint=_HINT)
    functions = [each.name for each in module.functions if not each.is_declaration and _is_stage(each)]
    maps = [each.name for each in module.global_variables if not each.is_declaration and _MAPS in str(each)]
    constants = {
        each.name: int(str(each.global_value_type)[1:])
        for each in module.global_variables
        if each.is_declaration and str(each.global_value_type) in _NUMBERS
    }
    return Bitcode(file, hashlib.sha256(data).hexdigest(), tuple(functions), tuple(maps), constants, data)


def _is_stage(function: llvm.ValueRef) -> bool:
    """Whether others may call it, and as a stage is called: with the context and the frame."""
    is_local = function.linkage in (llvm.Linkage.internal, llvm.Linkage.private)
    return not is_local and str(function.global_value_type) == "i32 (ptr, ptr)"
