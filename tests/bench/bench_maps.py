"""What map operations cost, in nanoseconds each: a native loop over an array of keys, one thread.

    python -m tests.bench.bench_maps [million lookups]

"stream" lookups don't depend on each other, so that their cache misses overlap; of "chain" lookups each waits for the
one before, as in a program that decides by what it finds.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import random
import sys
import time
from collections.abc import Callable, Sequence

from llvmlite import ir

from appliance.ebpf.spec import MapSpec, MapType
from appliance.ir import I64, PTR, Code, Engine
from appliance.maps import Map, MapFunctions, emit_operations, export_operations

ENTRIES = 1_000_000
CHUNK = 1_000_000  # keys in the array


def _loop(module: ir.Module, name: str, spec: MapSpec, body: Callable[[Code, object, object], object]) -> None:
    """name(map, keys, count): `body` gives a number that the next key's address depends on, if only in appearance."""
    code = Code.define(module, name, I64, linkage="external", map=PTR, keys=PTR, count=I64)
    total = code.variable(I64, 0)
    with code.count(code["count"]) as index:
        total.add(body(code, total.get(), code.at(code["keys"], code.mul(index, spec.key_size))))
    code.ret(total.get())


def _lookup(code: Code, functions: MapFunctions, key: object) -> object:
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


class Bench:
    """One map with its loops."""

    def __init__(self, spec: MapSpec) -> None:
        self.engine = build(spec)
        self.map = Map.open(spec, 1)
        self.map.bind(self.engine)

    def run(self, loop: str, keys: bytes, rounds: int = 1) -> float:
        """Nanoseconds for each key."""
        count = len(keys) // self.map.spec.key_size
        function = self.engine.function(loop, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)
        began = time.perf_counter()
        for _ in range(rounds):
            function(self.map.address, keys, count)
        return (time.perf_counter() - began) / rounds / count * 1e9

    def lookups(self, name: str, keys: bytes, rounds: int) -> None:
        times = [f"{loop} {self.run(loop, keys, rounds):7.1f}" for loop in ("stream", "chain")]
        print(f"{name:44} lookup  {'  '.join(times)} ns")


def bench_array(rounds: int) -> None:
    bench = Bench(MapSpec("array", MapType.ARRAY, 4, 8, 1024))
    keys = b"".join(random.randrange(1024).to_bytes(4, "little") for _ in range(CHUNK))
    bench.lookups("array of 1024", keys, rounds)


def bench_hash(type_: MapType, entries: int, rounds: int) -> None:
    bench = Bench(MapSpec("hash", type_, 16, 16, entries))
    keys, others = os.urandom(16 * entries), os.urandom(16 * entries)
    name = f"{type_.value} of {entries}"
    print(f"{name:44} insert  {bench.run('insert', keys):7.1f} ns  ({bench.map.memory_size >> 20} MiB)")
    order = list(range(entries))
    random.shuffle(order)
    shuffled = b"".join(keys[16 * index : 16 * index + 16] for index in order)
    bench.lookups(f"{name}, keys that are there", shuffled, rounds * CHUNK // entries)
    bench.lookups(f"{name}, keys that are not", others, rounds * CHUNK // entries)
    if type_ is MapType.LRU_HASH:
        print(f"{name + ', full':44} insert  {bench.run('insert', others):7.1f} ns")
    print(f"{name:44} delete  {bench.run('delete', keys):7.1f} ns")


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


def bench_lpm(name: str, prefixes: Sequence[tuple[int, bytes]], max_entries: int, rounds: int) -> None:
    size = len(prefixes[0][1])
    bench = Bench(MapSpec("lpm", MapType.LPM_TRIE, 4 + size, 8, max_entries))
    keys = b"".join(length.to_bytes(4, "little") + data for length, data in prefixes)
    print(f"{name:44} insert  {bench.run('insert', keys):7.1f} ns  ({bench.map.memory_size >> 20} MiB)")
    full = (8 * size).to_bytes(4, "little")
    inside = b"".join(full + _below(*random.choice(prefixes)) for _ in range(CHUNK))
    bench.lookups(f"{name}, addresses inside", inside, rounds)
    bench.lookups(f"{name}, random addresses", b"".join(full + os.urandom(size) for _ in range(CHUNK)), rounds)


def _below(length: int, data: bytes) -> bytes:
    """A random address in the prefix."""
    bits = 8 * len(data) - length
    return (int.from_bytes(data, "big") >> bits << bits | random.getrandbits(bits or 1) % (1 << bits)).to_bytes(
        len(data), "big"
    )


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    random.seed(1)
    bench_array(rounds)
    bench_hash(MapType.HASH, 1000, rounds)
    bench_hash(MapType.HASH, ENTRIES, rounds)
    bench_hash(MapType.LRU_HASH, ENTRIES, rounds)
    bogons = [(n.prefixlen, n.network_address.packed) for n in map(ipaddress.ip_network, BOGONS)]
    bench_lpm("lpm_trie of 15, for 15", bogons, 15, rounds)
    bench_lpm("lpm_trie of 15, for 16384", bogons, 16384, rounds)
    routes = [(random.choice((16, 20, 22, 23, 24, 24, 24, 24)), os.urandom(4)) for _ in range(100_000)]
    bench_lpm("lpm_trie of 100000 IPv4", routes, 100_000, rounds)
    routes = [(random.choice((32, 48, 48, 64)), b"\x20\x01" + os.urandom(14)) for _ in range(100_000)]
    bench_lpm("lpm_trie of 100000 IPv6", routes, 100_000, rounds)


if __name__ == "__main__":
    main()
