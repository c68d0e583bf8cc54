"""Many entries in one native call: loops around the operations of a map, whichever map it is.

    read    next ─> key, value │ next ─> key, value │ …        until the buffers are full, or the map ends
    write   key, value ─> update │ key, value ─> update │ …    until one is refused
    erase   key ─> delete │ key ─> delete │ …                  those that aren't there don't count
    take    next ─> key ─> lookup_and_delete ─> value │ …                as read, and the entries go
    sift    next ─> key ─> delete in another map │ …           keys that weren't in the other map; the rest left it

The loops are given the operations by address and the sizes as numbers, so that they are compiled once, when somebody
first asks for many entries, and not into every module. In the buffers, keys stand one behind the other; so do values.
"""

from __future__ import annotations

import ctypes
import errno
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from llvmlite import ir

from appliance.ir import I64, PTR, U64, Code, Engine, Pointer, Value
from appliance.maps.kind import EVERY_PROCESSOR
from appliance.maps.map_ops import SIGNATURES

CHUNK = 1024  # entries: as many as are read ahead of who iterates, and as others may have to wait for
CHUNK_BYTES = 1 << 20

Native: TypeAlias = Callable[..., int]
Entries: TypeAlias = list[tuple[bytes, bytes]]

_P, _I64 = ctypes.c_void_p, ctypes.c_int64
_SIZES = {"count": I64, "key_size": I64, "value_size": I64}


def read(next_: Native, map_: int, position: int, count: int, key_size: int, value_size: int) -> tuple[Entries, int]:
    """Up to `count` entries from `position` on, and the position behind them: -errno.ENOENT at the end."""
    keys, values, done, behind = _read(next_, map_, position, count, key_size, value_size)
    return _entries(keys, values, done, key_size, value_size), behind


def read_keys(next_: Native, map_: int, position: int, count: int, key_size: int, value_size: int) -> tuple[bytes, int]:
    """As `read`, but the keys alone, one behind the other."""
    keys, _, done, behind = _read(next_, map_, position, count, key_size, value_size)
    return ctypes.string_at(keys, done * key_size), behind


def _read(
    next_: Native, map_: int, position: int, count: int, key_size: int, value_size: int
) -> tuple[Any, Any, int, int]:
    where = _I64(position)
    keys, values = _room(count, key_size), _room(count, value_size)
    done = _loop("read")(next_, map_, ctypes.byref(where), keys, values, count, key_size, value_size)
    return keys, values, done, where.value


def sift(
    next_: Native, delete: Native, map_: int, other: int, position: int, count: int, key_size: int, value_size: int
) -> tuple[bytes, int]:
    """Look at up to `count` entries from `position` on, and delete their keys in the `other` map, which is of the same
    shape: the keys that weren't there, one behind the other, and the position behind all of them."""
    where = _I64(position)
    keys, value = _room(count + 1, key_size), _room(1, value_size)
    kept = _loop("sift")(next_, delete, map_, other, ctypes.byref(where), keys, value, count, key_size)
    return ctypes.string_at(keys, kept * key_size), where.value


def take(
    next_: Native, remove: Native, map_: int, position: int, count: int, key_size: int, value_size: int
) -> tuple[Entries, int]:
    """As `read`, and the entries go. What somebody else has deleted meanwhile is left out."""
    where = _I64(position)
    keys, values = _room(count, key_size), _room(count, value_size)
    arguments = ctypes.byref(where), keys, values, count, key_size, value_size
    done = _loop("take")(next_, remove, map_, *arguments)
    return _entries(keys, values, done, key_size, value_size), where.value


def write(
    update: Native, map_: int, keys: bytes, values: bytes, count: int, key_size: int, value_size: int, flags: int
) -> int:
    """Put `count` entries in, in order, of a per-CPU map with values for every processor: 0, or the first -errno.

    With a `value_size` of 0 all of them get the one value."""
    return _loop("write")(update, map_, keys, values, count, key_size, value_size, flags)


def erase(delete: Native, map_: int, keys: bytes, count: int, key_size: int) -> tuple[int, int]:
    """Delete `count` keys, in order: how many were there, and 0 or the first -errno that means something else."""
    gone = _I64(0)
    status = _loop("erase")(delete, map_, keys, count, key_size, ctypes.byref(gone))
    return gone.value, status


def chunk_of(entry_size: int) -> int:
    """How many entries of that many bytes, none in a ring, are worked on in one call."""
    return max(1, min(CHUNK, CHUNK_BYTES // max(entry_size, 1)))


def joined(entries: Sequence[tuple[bytes, bytes]], copies: int) -> tuple[bytes, bytes]:
    """The keys and the values of entries as `write` takes them, each value `copies` times."""
    return b"".join(key for key, _ in entries), b"".join(value * copies for _, value in entries)


def _room(count: int, size: int) -> ctypes.Array[ctypes.c_char]:
    return (ctypes.c_char * (count * size))()


def _entries(keys: Any, values: Any, done: int, key_size: int, value_size: int) -> Entries:
    known, held = ctypes.string_at(keys, done * key_size), ctypes.string_at(values, done * value_size)
    return [
        (known[n * key_size : (n + 1) * key_size], held[n * value_size : (n + 1) * value_size]) for n in range(done)
    ]


# native code


@functools.cache
def _engine() -> Engine:
    module = ir.Module("batches")
    _emit_read(module)
    _emit_take(module)
    _emit_write(module)
    _emit_erase(module)
    _emit_sift(module)
    return Engine(module)


_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "read": (_P, _P, _P, _P, _P, _I64, _I64, _I64),
    "take": (_P, _P, _P, _P, _P, _P, _I64, _I64, _I64),
    "write": (_P, _P, _P, _P, _I64, _I64, _I64, _I64),
    "erase": (_P, _P, _P, _I64, _I64, _P),
    "sift": (_P, _P, _P, _P, _P, _P, _P, _I64, _I64),
}


@functools.cache
def _loop(name: str) -> Native:
    return _engine().function(name, _I64, *_ARGUMENTS[name])


def _define(module: ir.Module, name: str, **parameters: ir.Type) -> Code:
    return Code.define(module, name, I64, linkage="external", **parameters)


def _call(code: Code, operation: str, *arguments: Value) -> Value:
    """Call the operation whose address is the parameter of its name."""
    signature = SIGNATURES[operation]
    type_ = ir.FunctionType(signature.result, tuple(signature.parameters.values())).as_pointer()
    return code.call(code.builder.inttoptr(code[operation], type_), *arguments)


def _emit_read(module: ir.Module) -> None:
    parameters = {"next": I64, "map": PTR, "position": PTR, "keys": PTR, "values": PTR, **_SIZES}
    code = _define(module, "read", **parameters)
    with code.count(code["count"]) as done:
        key = code.at(code["keys"], code.mul(done, code["key_size"]))
        value = code.at(code["values"], code.mul(done, code["value_size"]))
        _advance(code, done, key, value)
    code.ret(code["count"])


def _emit_take(module: ir.Module) -> None:
    parameters = {
        "next": I64, "lookup_and_delete": I64, "map": PTR, "position": PTR, "keys": PTR, "values": PTR, **_SIZES
    }  # fmt: skip
    code = _define(module, "take", **parameters)
    taken = code.variable(I64, 0)
    with code.loop() as loop:
        done = taken.get()
        loop.break_if(code.compare(done, ">=", code["count"]))
        key = code.at(code["keys"], code.mul(done, code["key_size"]))
        value = code.at(code["values"], code.mul(done, code["value_size"]))
        _advance(code, done, key, value)
        found = _call(code, "lookup_and_delete", code["map"], key, value, 0)
        taken.add(code.select(code.is_null(found), ir.Constant(I64, 0), ir.Constant(I64, 1)))
    code.ret(taken.get())


def _advance(code: Code, done: U64, key: Pointer, value: Pointer) -> None:
    """The next entry, or return how many were `done`."""
    here = code.load(code["position"], I64)
    position = _call(code, "next", code["map"], here, key, value)
    code.store(position, code["position"])
    with code.if_(code.compare_signed(position, "<", 0)):
        code.ret(done)


def _emit_write(module: ir.Module) -> None:
    parameters = {"update": I64, "map": PTR, "keys": PTR, "values": PTR, **_SIZES, "flags": I64}
    code = _define(module, "write", **parameters)
    with code.count(code["count"]) as number:
        key = code.at(code["keys"], code.mul(number, code["key_size"]))
        value = code.at(code["values"], code.mul(number, code["value_size"]))
        status = _call(code, "update", code["map"], key, value, code["flags"], EVERY_PROCESSOR)
        with code.if_(code.compare(status, "!=", 0), likely=False):
            code.ret(status)
    code.ret(0)


def _emit_erase(module: ir.Module) -> None:
    parameters = {"delete": I64, "map": PTR, "keys": PTR, "count": I64, "key_size": I64, "gone": PTR}
    code = _define(module, "erase", **parameters)
    with code.count(code["count"]) as number:
        status = _call(code, "delete", code["map"], code.at(code["keys"], code.mul(number, code["key_size"])))
        there = code.compare(status, "==", 0)
        with code.if_(code.builder.not_(code.builder.or_(there, code.compare(status, "==", -errno.ENOENT)))):
            code.ret(status)
        code.store(code.add(code.load(code["gone"], I64), code.resize(there, I64)), code["gone"])
    code.ret(0)


def _emit_sift(module: ir.Module) -> None:
    pointers = dict.fromkeys(("map", "other", "position", "keys", "value"), PTR)
    code = _define(module, "sift", next=I64, delete=I64, **pointers, count=I64, key_size=I64)
    kept = code.variable(I64, 0)
    with code.count(code["count"]):
        key = code.at(code["keys"], code.mul(kept.get(), code["key_size"]))
        _advance(code, kept.get(), key, code["value"])
        status = _call(code, "delete", code["other"], key)
        kept.add(code.resize(code.compare(status, "!=", 0), I64))
    code.ret(kept.get())
