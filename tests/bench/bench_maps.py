"""What map operations cost: a native loop over an array of keys, one thread, no frames.

"stream" lookups don't depend on each other, so that their cache misses overlap; of "chain" lookups each waits for the
one before, as in a program that decides by what it finds.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.ir import I64, PTR, Code, Engine
from appliance.maps import Map, MapOps, emit_operations, export_operations
from tests.bench.figures import Bench, Figure

ENTRIES = 1_000_000
CHUNK = 1_000_000  # keys in the array
ROUNDS = 3


def _loop(module: ir.Module, name: str, spec: MapSpec, body: Callable[[Code, object, object], object]) -> None:
    """name(map, keys, count): `body` gives a number that the next key's address depends on, if only in appearance."""
    code = Code.define(module, name, I64, linkage="external", map=PTR, keys=PTR, count=I64)
    total = code.variable(I64, 0)
    with code.count(code["count"]) as index:
        total.add(body(code, total.get(), code.at(code["keys"], code.mul(index, spec.key_size))))
    code.ret(total.get())


def _lookup(code: Code, functions: MapOps, key: object) -> object:
    """1 if the key is there and its value isn't 0."""
    value = code.call(functions.lookup, code["map"], key, 0)
    found = code.variable(I64, 0)
    with code.if_(code.xor(code.is_null(value), 1)):
        found.set(code.resize(code.compare(code.load(value, I64), "!=", 0), I64))
    return found.get()


def build(spec: MapSpec) -> Engine:
    """stream, chain, insert and delete loops for maps of this shape."""
    module = ir.Module("bench")
    functions = emit_operations(module, spec, 1)
    export_operations(module, spec, 1)
    _loop(module, "stream", spec, lambda code, total, key: _lookup(code, functions, key))
    # the total never reaches 2^63, but only we know
    _loop(module, "chain", spec, lambda code, total, key: _lookup(code, functions, code.at(key, code.shr(total, 63))))
    _loop(module, "insert", spec, lambda code, total, key: code.call(functions.update, code["map"], key, key, 0, 0))
    _loop(module, "delete", spec, lambda code, total, key: code.call(functions.delete, code["map"], key))
    return Engine(module)


class Loops:
    """One map with its loops. A context manager."""

    def __init__(self, spec: MapSpec) -> None:
        self._owned = ExitStack()
        self.engine = self._owned.enter_context(build(spec))
        self.map = self._owned.enter_context(Map.open(spec, 1))

    def run(self, loop: str, keys: bytes, rounds: int = 1) -> float:
        """Nanoseconds for each key."""
        count = len(keys) // self.map.spec.key_size
        function = self.engine.function(loop, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)
        began = time.perf_counter()
        for _ in range(rounds):
            function(self.map.address, keys, count)
        return (time.perf_counter() - began) / rounds / count * 1e9

    def figure(self, name: str, keys: bytes, rounds: int, **others: float) -> Figure:
        """Lookups of these keys; `others` are nanoseconds of other operations."""
        stream, chain = (self.run(loop, keys, rounds) for loop in ("stream", "chain"))
        costs = {"lookup, independent": stream, "lookup, each after the other": chain, **others}
        remark = ", ".join(f"{what} {cost:.1f} ns" for what, cost in costs.items())
        samples = {what: [cost] for what, cost in costs.items()}
        return Figure(f"{name}, lookups", 1e3 / stream, "million/s", remark=remark, samples=samples)

    def __enter__(self) -> Loops:
        return self

    def __exit__(self, *_: object) -> None:
        self._owned.close()


def main(_: Bench) -> Iterator[Figure]:
    random.seed(1)
    yield _array()
    yield _hash(MapType.HASH, 1000)
    yield _hash(MapType.HASH, ENTRIES)
    yield _hash(MapType.LRU_HASH, ENTRIES)
    bogons = [(n.prefixlen, n.network_address.packed) for n in map(ipaddress.ip_network, BOGONS)]
    yield _lpm("LPM trie of 15, room for 16384", bogons, 16384)
    routes = [(random.choice((16, 20, 22, 23, 24, 24, 24, 24)), os.urandom(4)) for _ in range(100_000)]
    yield _lpm("LPM trie of 100000, IPv4", routes, 100_000)
    routes = [(random.choice((32, 48, 48, 64)), b"\x20\x01" + os.urandom(14)) for _ in range(100_000)]
    yield _lpm("LPM trie of 100000, IPv6", routes, 100_000)


def _array() -> Figure:
    with Loops(MapSpec("array", MapType.ARRAY, 4, 8, 1024)) as loops:
        keys = b"".join(random.randrange(1024).to_bytes(4, "little") for _ in range(CHUNK))
        return loops.figure("array of 1024", keys, ROUNDS)


def _hash(type_: MapType, entries: int) -> Figure:
    with Loops(MapSpec("hash", type_, 16, 16, entries)) as loops:
        keys = [os.urandom(16) for _ in range(entries)]
        inserted = loops.run("insert", b"".join(keys))
        random.shuffle(keys)
        missed = loops.run("stream", os.urandom(16 * entries), ROUNDS * CHUNK // entries)
        name = f"{type_.value} of {entries}"
        return loops.figure(name, b"".join(keys), ROUNDS * CHUNK // entries, insert=inserted, miss=missed)


BOGONS = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
]


def _lpm(name: str, prefixes: Sequence[tuple[int, bytes]], max_entries: int) -> Figure:
    size = len(prefixes[0][1])
    with Loops(MapSpec("lpm", MapType.LPM_TRIE, 4 + size, 8, max_entries)) as loops:
        inserted = loops.run("insert", b"".join(length.to_bytes(4, "little") + data for length, data in prefixes))
        full = (8 * size).to_bytes(4, "little")
        inside = b"".join(full + _below(*random.choice(prefixes)) for _ in range(CHUNK))
        elsewhere = loops.run("stream", b"".join(full + os.urandom(size) for _ in range(CHUNK)), ROUNDS)
        return loops.figure(name, inside, ROUNDS, insert=inserted, random=elsewhere)


def _below(length: int, data: bytes) -> bytes:
    """A random address in the prefix."""
    bits = 8 * len(data) - length
    return (int.from_bytes(data, "big") >> bits << bits | random.getrandbits(bits or 1) % (1 << bits)).to_bytes(
        len(data), "big"
    )
