"""The operations of maps, as native code has them: the one table, from which all others come.

    MapOps          one module's functions of one shape        helpers call them, `emit` writes them
    SIGNATURES      what each takes and gives, in LLVM's types
    c_signature     the same in ctypes' types                  the control plane calls them

Helpers and the control plane call a map by these, whatever type it is; what a type doesn't have another operation does
(`otherwise`), or it answers null or -EINVAL. The kernel's own table is `struct bpf_map_ops` (include/linux/bpf.h).
"""

# ruff: noqa: RUF009  (every field has a default that says what it is like, as `dataclasses.field` has it)

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from llvmlite import ir

from appliance.ir import I32, I64, PTR


@dataclass(frozen=True, slots=True)
class Signature:
    """One operation: the type of its answer, its parameters in their order, what Python's callers say for it, and which
    operation does the same for a type that has none of its own."""

    result: ir.Type
    parameters: Mapping[str, ir.Type]
    python: str
    otherwise: str


def _operation(result: ir.Type, *, python: str = "", otherwise: str = "", **parameters: ir.Type) -> Any:
    return field(metadata={"signature": Signature(result, parameters, python, otherwise)})


@dataclass(frozen=True, slots=True)
class MapOps:
    """The native operations of one shape, in one module. `map` is the address of its memory. -errno is the negative
    number of errno.h, 64 bits; `processor` the number of a worker, or, to `update`, EVERY_PROCESSOR.

    Key and value need no alignment. A value's pointer stays good memory for as long as the map; its entry may be
    deleted or replaced, and its memory given to another entry, under whoever still holds it (as with the kernel's
    preallocated maps).
    """

    # of maps with keys

    lookup: ir.Function = _operation(PTR, map=PTR, key=PTR, processor=I32)
    """Pointer to the value, or null. To an LRU hash this is a use."""

    visit: ir.Function = _operation(PTR, map=PTR, key=PTR, processor=I32, otherwise="lookup")
    """The same, and no use to an LRU hash: for walks, as the kernel's bpf_for_each_hash_elem takes each element as it
    stands."""

    read: ir.Function = _operation(
        I64, map=PTR, key=PTR, value_out=PTR, processor=I32, flags=I64, python="lookup"
    )  # fmt: skip
    """Copies the value out: 0 or -ENOENT. No use to an LRU hash, as the kernel's map_lookup_elem_sys_only is none."""

    update: ir.Function = _operation(I64, map=PTR, key=PTR, value=PTR, flags=I64, processor=I32)
    """0 or -errno."""

    delete: ir.Function = _operation(I64, map=PTR, key=PTR)
    """0 or -errno."""

    lookup_and_delete: ir.Function = _operation(PTR, map=PTR, key=PTR, value_out=PTR, processor=I32)
    """Deletes the entry: pointer to its value, or null; copies it out, for all processors, before it is anybody else's,
    if `value_out` is not null."""

    next: ir.Function = _operation(I64, map=PTR, position=I64, key_out=PTR, value_out=PTR, python="items")
    """A position after the given one, whose entry is copied out, or -ENOENT at the end. Begins at 0; visits everything
    that stays in the map meanwhile exactly once. `value_out` gets the values of all processors, one after the other,
    unpadded; null for none."""

    # of queues, stacks and bloom filters

    push: ir.Function = _operation(I64, map=PTR, value=PTR, flags=I64)
    """0 or -errno."""

    pop: ir.Function = _operation(I64, map=PTR, value_out=PTR)
    """0 or -errno."""

    peek: ir.Function = _operation(I64, map=PTR, value=PTR)
    """0 or -errno; a queue's value is written, a filter's is read."""

    # of rings

    output: ir.Function = _operation(I64, map=PTR, data=PTR, size=I64, flags=I64)
    """A record with that data: 0 or -errno."""

    reserve: ir.Function = _operation(PTR, map=PTR, size=I64, flags=I64)
    """Room for a record, to be committed: pointer to it, or null."""

    commit: ir.Function = _operation(I64, map=PTR, record=PTR, flags=I64, discard=I32)
    """The record is done, to be seen or never; 0."""

    query: ir.Function = _operation(I64, map=PTR, what=I64)
    """A number about the ring."""

    sample: ir.Function = _operation(
        I64, map=PTR, processor=I32, index=I64, data=PTR, size=I64, packet=PTR, packet_size=I64
    )
    """The data and the packet's bytes, to whom listens: 0 or -errno."""

    drain: ir.Function = _operation(I64, map=PTR, processor=I32, out=PTR, room=I64)
    """Copies records out, which are gone then: bytes used."""

    # of arrays of programs

    program: ir.Function = _operation(PTR, map=PTR, index=I32)
    """Pointer to the code of the program there, or null."""


SIGNATURES: Mapping[str, Signature] = {each.name: each.metadata["signature"] for each in fields(MapOps)}

KEYED = ("lookup", "read", "update", "delete", "next")
HASHED = (*KEYED, "lookup_and_delete")
QUEUED = ("push", "pop", "peek")

_C_TYPES: Mapping[ir.Type, Any] = {PTR: ctypes.c_void_p, I64: ctypes.c_uint64, I32: ctypes.c_uint32}


def c_signature(operation: str) -> tuple[Any, ...]:
    """The operation's result and parameters as ctypes wants them; a status is signed."""
    signature = SIGNATURES[operation]
    result = ctypes.c_void_p if signature.result == PTR else ctypes.c_int64
    return result, *(_C_TYPES[type_] for type_ in signature.parameters.values())


def python_name(operation: str) -> str:
    """What the operation is called in the control plane's words; some are of the control plane alone."""
    return (operation in SIGNATURES and SIGNATURES[operation].python) or operation
