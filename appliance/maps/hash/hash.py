"""BPF_MAP_TYPE_HASH: at most max_entries values under keys of any kind; a new key in a full map fails with E2BIG.

Layout: layout.py. Concurrency: table.py. Source of the semantics: kernel/bpf/hashtab.c.
"""

from __future__ import annotations

from llvmlite import ir

from appliance.ebpf.spec import MapSpec
from appliance.maps.checks import HASH_FLAGS, check_flags, check_key_size, check_sizes
from appliance.maps.hash.layout import HashLayout, count, initialise
from appliance.maps.hash.operations import HashOperations
from appliance.maps.kind import Kind, Shape
from appliance.maps.map_ops import HASHED

LONGEST_KEY = 512  # bytes; a program's whole stack, where keys are made


def check_hash(spec: MapSpec, flags: int) -> None:
    """What every hash demands of its declaration; `flags` are the known ones."""
    check_sizes(spec)
    check_key_size(spec, 1, LONGEST_KEY, f"a hash's key has 1 to {LONGEST_KEY} bytes")
    check_flags(spec, flags)


def _check(spec: MapSpec) -> None:
    check_hash(spec, HASH_FLAGS)


def _size(shape: Shape) -> int:
    return HashLayout.of(shape, referenced=False).size


def _emit(module: ir.Module, shape: Shape) -> None:
    HashOperations(module, shape).emit()


def _emit_lookup(module: ir.Module, shape: Shape) -> None:
    HashOperations(module, shape).emit_lookup()


HASH = Kind(
    check=_check,
    size=_size,
    initialise=initialise,
    count=count,
    emit=_emit,
    emit_lookup=_emit_lookup,
    operations=HASHED,
)
