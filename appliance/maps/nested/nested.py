"""Maps of maps: arrays and hashes whose values are maps, each of which is like the `inner` that the declaration gives.

    outer map ─> ┌─────────┬─────────┬─────────┬─── ─ ─
                 │ address │    0    │ address │              array: one word for each index, 0 where there is no map
                 └────┬────┴─────────┴────┬────┴─── ─ ─       hash: the value of an element (hash/layout.py)
                      v                   v
                 memory of a map     memory of a map

A lookup gives the memory of the map, as every native operation takes it: the code of `inner`'s shape then works on it.
Only the control plane changes what is in there (`map_of_maps`). An address is written and read as one word, so that a
lookup sees a whole one, of a map that was in there; why that map is still alive then stands in docs/decisions.
Source of the semantics: kernel/bpf/arraymap.c and hashtab.c (fd_array, htab_of_maps), map_in_map.c.
"""

from __future__ import annotations

import errno

from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.ir import I32, I64, PTR, U64, Code, Field, Pointer
from appliance.maps.array import array
from appliance.maps.checks import HASH_FLAGS, NUMA_NODE, RDONLY, WRONLY, check_flags, check_key_size, check_sizes
from appliance.maps.errors import MapRefused, NoSuchEntry
from appliance.maps.hash.hash import check_hash
from appliance.maps.hash.layout import HashLayout, count, initialise
from appliance.maps.hash.operations import HashOperations
from appliance.maps.hash.table import HashTable
from appliance.maps.kind import ADDRESS_SIZE as WORD
from appliance.maps.kind import Flag, Kind, Shape, Weight, define
from appliance.maps.map_ops import HASHED
from appliance.memory import Memory

DESCRIPTOR = 4  # bytes of a value, to those who count them: the number by which bpf() names a map

# What a map of maps can't hold, in the kernel either.
_NEVER_INNER = frozenset({MapType.PROG_ARRAY, MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS})


def _check_inner(spec: MapSpec) -> None:
    if spec.value_size != DESCRIPTOR:
        hint = "the values are maps: leave the size out, or say 4"
        raise MapRefused(spec.name, spec.type, f"a value of {spec.value_size} bytes", hint=hint)
    if spec.inner is None:
        hint = "declare it: __array(values, struct { … })"
        raise MapRefused(spec.name, spec.type, "nothing says what the maps in it are like", hint=hint)
    if spec.inner.type in _NEVER_INNER:
        hint = "it holds maps whose values are bytes"
        raise MapRefused(spec.name, spec.type, f"it holds maps of type {spec.inner.type.value}", hint=hint)
    if spec.values and spec.key_size != array.INDEX_SIZE:
        hint = f"initial values have indices for keys: declare a key of {array.INDEX_SIZE} bytes"
        raise MapRefused(spec.name, spec.type, f"initial values under keys of {spec.key_size} bytes", hint=hint)


def _at(code: Code, address: Pointer) -> Field[U64]:
    return Field(code, address, I64, WORD)


# arrays


def _check_array(spec: MapSpec) -> None:
    check_sizes(spec)
    check_key_size(spec, array.INDEX_SIZE, array.INDEX_SIZE, "its key is an index: declare it as a 4-byte integer")
    check_flags(spec, NUMA_NODE | RDONLY | WRONLY)
    _check_inner(spec)


def _array_size(shape: Shape) -> int:
    return shape.max_entries * WORD


def _emit_array(module: ir.Module, shape: Shape) -> None:
    _emit_lookup(module, shape)
    _emit_update(module, shape)
    _emit_delete(module, shape)


def _slot(code: Code, beyond: Pointer | int, shape: Shape) -> Field[U64]:
    """The word under the key; with an index beyond the end, `beyond` is the answer."""
    index = code.load(code["key"], I32)
    with code.if_(code.compare(index, ">=", shape.max_entries), likely=False):
        code.ret(beyond)
    return _at(code, code.at(code["map"], code.mul(code.resize(index, I64), WORD)))


def _emit_lookup(module: ir.Module, shape: Shape) -> None:
    code = define(module, shape, "lookup", Weight.INLINE)
    code.ret(code.pointer(_slot(code, ir.Constant(PTR, None), shape).load_acquire()))


def _emit_update(module: ir.Module, shape: Shape) -> None:
    code = define(module, shape, "update")
    with code.if_(code.compare(code["flags"], "!=", Flag.ANY), likely=False):
        code.ret(-errno.EINVAL)
    _slot(code, -errno.E2BIG, shape).store_release(code.load(code["value"], I64))
    code.ret(0)


def _emit_delete(module: ir.Module, shape: Shape) -> None:
    code = define(module, shape, "delete")
    slot = _slot(code, -errno.E2BIG, shape)
    old = code.builder.atomic_rmw("xchg", code.typed(slot.address, I64), ir.Constant(I64, 0), "acq_rel")
    code.ret(code.select(code.compare(old, "==", 0), ir.Constant(I64, -errno.ENOENT), ir.Constant(I64, 0)))


def _words_in_use(memory: Memory, shape: Shape) -> int:
    words = memory.read(0, shape.max_entries * WORD)
    return sum(1 for at in range(0, len(words), WORD) if any(words[at : at + WORD]))


ARRAY_OF_MAPS = Kind(
    check=_check_array,
    size=_array_size,
    initialise=array.nothing_to_initialise,
    count=_words_in_use,
    emit=_emit_array,
    failures={errno.E2BIG: NoSuchEntry},
    operations=("lookup", "update", "delete"),
    control=("update", "delete"),
)


# hashes


class _Table(HashTable):
    """A hash table whose values are addresses."""

    def copy_in(self, code: Code, element: Pointer, source: Pointer, *, new: bool) -> None:
        _at(code, self.value(code, element)).store_release(code.load(source, I64))


class _Operations(HashOperations):
    """A hash whose lookup gives what the value points to."""

    table_type = _Table

    def found(self, code: Code, element: Pointer) -> Pointer:
        return code.pointer(_at(code, self.table.value(code, element)).load_acquire())


def _check_hash(spec: MapSpec) -> None:
    check_hash(spec, HASH_FLAGS)
    _check_inner(spec)


def _hash_size(shape: Shape) -> int:
    return HashLayout.of(shape, referenced=False).size


def _emit_hash(module: ir.Module, shape: Shape) -> None:
    _Operations(module, shape).emit()


HASH_OF_MAPS = Kind(
    check=_check_hash,
    size=_hash_size,
    initialise=initialise,
    count=count,
    emit=_emit_hash,
    operations=HASHED,
    control=("update", "delete"),
)
