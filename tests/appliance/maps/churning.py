"""Native threads that work on one map at the same time, and tell what they saw.

Entries come from two arrays: keys, and for each the one value that it ever has.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from functools import cache

from llvmlite import ir

from appliance.ebpf.spec import MapSpec
from appliance.ir import I64, PTR, Code, Engine, external
from appliance.maps import Flag, Map, MapOps, emit_operations, export_operations


class Tally(ctypes.Structure):
    """What one thread did: successful inserts and deletes, refused inserts, lookups that gave a wrong value."""

    _fields_ = tuple((name, ctypes.c_uint64) for name in ("inserted", "deleted", "refused", "wrong"))


Entries = Sequence[tuple[bytes, bytes]]


@cache
def engine_for(spec: MapSpec, processors: int = 1) -> Engine:
    """The operations of the spec's shape, and what the threads run: churn, insert, rewrite, watch."""
    module = ir.Module("churn")
    functions = emit_operations(module, spec, processors)
    export_operations(module, spec, processors)
    _emit_churn(module, spec, functions)
    _emit_insert(module, spec, functions)
    _emit_rewrite(module, spec, functions)
    _emit_watch(module, spec, functions)
    return Engine(module)


def _emit_churn(module: ir.Module, spec: MapSpec, functions: MapOps) -> None:
    """Insert (NOEXIST), or one time in four delete, one of the entries at random; `rounds` times."""
    parameters = {"map": PTR, "keys": PTR, "values": PTR, "count": I64, "rounds": I64, "seed": I64, "tally": PTR}
    code = Code.define(module, "churn", ir.VoidType(), linkage="external", **parameters)
    state = code.variable(I64, code["seed"])
    inserted, deleted, refused = (code.field(code["tally"], Tally, name) for name in ("inserted", "deleted", "refused"))
    with code.count(code["rounds"]):
        for left, distance in ((True, 13), (False, 7), (True, 17)):  # xorshift64
            shifted = (code.shl if left else code.shr)(state.get(), distance)
            state.set(code.xor(state.get(), shifted))
        index = code.builder.urem(code.shr(state.get(), 8), code["count"])
        key = code.at(code["keys"], code.mul(index, spec.key_size))
        value = code.at(code["values"], code.mul(index, spec.value_size))
        with code.if_else(code.compare(code.and_(state.get(), 3), "==", 0)) as (then, otherwise):
            with then:
                status = code.call(functions.delete, code["map"], key)
                deleted.add(code.resize(code.compare(status, "==", 0), I64))
            with otherwise:
                status = code.call(functions.update, code["map"], key, value, int(Flag.NOEXIST), 0)
                inserted.add(code.resize(code.compare(status, "==", 0), I64))
                refused.add(code.resize(code.compare(status, "!=", 0), I64))
    code.ret()


def _emit_insert(module: ir.Module, spec: MapSpec, functions: MapOps) -> None:
    """Insert all the entries, in their order."""
    parameters = {"map": PTR, "keys": PTR, "values": PTR, "count": I64, "tally": PTR}
    code = Code.define(module, "insert", ir.VoidType(), linkage="external", **parameters)
    inserted, refused = (code.field(code["tally"], Tally, name) for name in ("inserted", "refused"))
    with code.count(code["count"]) as index:
        key = code.at(code["keys"], code.mul(index, spec.key_size))
        value = code.at(code["values"], code.mul(index, spec.value_size))
        status = code.call(functions.update, code["map"], key, value, int(Flag.NOEXIST), 0)
        inserted.add(code.resize(code.compare(status, "==", 0), I64))
        refused.add(code.resize(code.compare(status, "!=", 0), I64))
    code.ret()


def _emit_rewrite(module: ir.Module, spec: MapSpec, functions: MapOps) -> None:
    """Update all the entries in their order, `rounds` times; each must be there."""
    parameters = {"map": PTR, "keys": PTR, "values": PTR, "count": I64, "rounds": I64, "tally": PTR}
    code = Code.define(module, "rewrite", ir.VoidType(), linkage="external", **parameters)
    wrong = code.field(code["tally"], Tally, "wrong")
    with code.count(code["rounds"]), code.count(code["count"]) as index:
        key = code.at(code["keys"], code.mul(index, spec.key_size))
        value = code.at(code["values"], code.mul(index, spec.value_size))
        status = code.call(functions.update, code["map"], key, value, int(Flag.EXIST), 0)
        wrong.add(code.resize(code.compare(status, "!=", 0), I64))
    code.ret()


def _emit_watch(module: ir.Module, spec: MapSpec, functions: MapOps) -> None:
    """Look all the entries up, `rounds` times; each must be there with its value. An entry that was updated often while
    this thread was stopped has another element by now, and the one that was found may be another entry's (decision
    0025): a value is wrong if the entry still leads to it."""
    parameters = {"map": PTR, "keys": PTR, "values": PTR, "count": I64, "rounds": I64, "tally": PTR}
    code = Code.define(module, "watch", ir.VoidType(), linkage="external", **parameters)
    compare = external(module, "memcmp", ir.IntType(32), PTR, PTR, I64)
    wrong = code.field(code["tally"], Tally, "wrong")
    with code.count(code["rounds"]), code.count(code["count"]) as index:
        key = code.at(code["keys"], code.mul(index, spec.key_size))
        expected = code.at(code["values"], code.mul(index, spec.value_size))
        found = code.call(functions.lookup, code["map"], key, 0)
        with code.if_else(code.is_null(found)) as (then, otherwise):
            with then:
                wrong.add(1)
            with otherwise:
                first = code.call(compare, found, expected, spec.value_size)
                again = code.call(functions.lookup, code["map"], key, 0)
                second = code.call(compare, found, expected, spec.value_size)
                differs = code.and_(code.compare(first, "!=", 0), code.compare(second, "!=", 0))
                stays = code.and_(differs, code.compare(again, "==", found))
                wrong.add(code.resize(code.or_(stays, code.is_null(again)), I64))
    code.ret()


class Crew:
    """Threads on one map: `churn` and `watch` engage them, `run` starts all at once and waits for them."""

    def __init__(self, map: Map, engine: Engine) -> None:
        self.map = map
        self._engine = engine
        self._threads: list[threading.Thread] = []
        self.churned: list[Tally] = []
        self.watched: list[Tally] = []

    def churn(self, entries: Entries, rounds: int) -> None:
        tally = Tally()
        self.churned.append(tally)
        seed = 0x9E3779B97F4A7C15 * len(self.churned) & (1 << 64) - 1
        self._start("churn", entries, tally, rounds, seed)

    def insert(self, entries: Entries) -> None:
        tally = Tally()
        self.churned.append(tally)
        self._start("insert", entries, tally)

    def rewrite(self, entries: Entries, rounds: int) -> None:
        """Update all the entries, `rounds` times, each with the value that it has."""
        tally = Tally()
        self.watched.append(tally)
        self._start("rewrite", entries, tally, rounds)

    def watch(self, entries: Entries, rounds: int) -> None:
        tally = Tally()
        self.watched.append(tally)
        self._start("watch", entries, tally, rounds)

    def _start(self, name: str, entries: Entries, tally: Tally, *numbers: int) -> None:
        pointer, word = ctypes.c_void_p, ctypes.c_uint64
        types = (pointer, pointer, pointer, word, *(word for _ in numbers), pointer)
        function: Callable[..., None] = self._engine.function(name, None, *types)
        keys, values = (b"".join(part) for part in zip(*entries, strict=True))
        arguments = (self.map.address, keys, values, len(entries), *numbers, ctypes.byref(tally))
        self._threads.append(threading.Thread(target=function, args=arguments))

    def run(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Start all at once, call `meanwhile` until they are done."""
        for thread in self._threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in self._threads):
                meanwhile()
                self._threads[0].join(0.002)
        finally:
            for thread in self._threads:
                thread.join()

    def total(self, name: str) -> int:
        return sum(getattr(tally, name) for tally in (*self.churned, *self.watched))
