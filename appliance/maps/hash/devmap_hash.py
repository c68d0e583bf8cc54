"""BPF_MAP_TYPE_DEVMAP_HASH: interfaces to redirect to, under any numbers: a hash that is choosy about its values.

Source of the semantics: __dev_map_hash_update_elem of kernel/bpf/devmap.c.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from functools import partial

from llvmlite import ir

from appliance.ir import I32, I64, Code, Field, Pointer
from appliance.maps.array.redirect_arrays import (
    ENTRY,
    TARGET_ONLY,
    WITH_PROGRAM,
    ProgramRefused,
    check,
    emit_check_of_program,
)
from appliance.maps.hash.hash import HASH
from appliance.maps.hash.operations import HashOperations
from appliance.maps.hash.table import HashTable
from appliance.maps.kind import Shape


class _Targets(HashTable):
    """A hash table whose values are one word each, as they are in a devmap, and written as one."""

    def copy_in(self, code: Code, element: Pointer, source: Pointer, *, new: bool) -> None:
        Field(code, self.value(code, element), I64, ENTRY).store_release(code.load(source, I64))


class _Interfaces(HashOperations):
    table_type = _Targets

    def on_update(self, code: Code) -> Pointer:
        """An interface without a program; what is stored says 0 where a program was named."""
        interface = code.load(code["value"], I32)
        with code.if_(code.compare(interface, "==", 0), likely=False):
            code.ret(-errno.EINVAL)
        emit_check_of_program(code, self.shape)
        stored = code.buffer(ENTRY)
        code.store(code.resize(interface, I64), stored)
        return stored


def _emit(module: ir.Module, shape: Shape) -> None:
    _Interfaces(module, shape).emit()


DEVMAP_HASH = replace(
    HASH,
    check=partial(check, (TARGET_ONLY, WITH_PROGRAM)),
    emit=_emit,
    emit_lookup=None,
    failures={errno.EOPNOTSUPP: ProgramRefused},
)
