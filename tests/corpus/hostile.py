"""A world that wants a program to fail: frames cut short and full of lies, and maps that hold whatever is asked for."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from appliance.ebpf.interpreter import Context, Fault, Interpreter, PacketMemory
from appliance.ebpf.isa.instructions import Alu, Branch, Immediate, Load
from appliance.ebpf.isa.opcodes import AluOp
from appliance.ebpf.spec import MapSpec, ProgramSpec
from appliance.helpers.model.table import python_helpers
from appliance.maps.model.map import ModelMap
from appliance.maps.model.models import model
from appliance.maps.model.nested import ModelMapOfMaps
from appliance.maps.model.prog_array import ModelProgArray
from hooks.contracts.contract import FieldKind

BUDGET = 500_000  # instructions of one run: a loop that counts 16 bits needs as many
LONGEST = 1514  # bytes of a frame
EDGES = (0, 1, 7, 8, 14, 15, 16, 20, 31, 32, 33, 63, 64, 127, 128, 255, 256, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
TYPES = (b"\x08\x00", b"\x86\xdd", b"\x81\x00", b"\x88\xa8", b"\x88\x47", b"\x08\x06")
PORTS = (53, 67, 123, 443, 4789, 5432)
LENGTHS = (0, 1, 6, 13, 14, 15, 18, 33, 34, 35, 42, 53, 54, 55, 60, 64, 127, 128, 1514)


def number(chance: random.Random, wanted: tuple[int, ...] = EDGES) -> int:
    """Of 32 bits, and mostly one at an edge, or one that is wanted."""
    return 0xFFFFFFFF & chance.choice(
        (
            chance.choice(wanted),
            chance.choice(EDGES),
            chance.choice(EDGES),
            chance.getrandbits(5),
            chance.getrandbits(32),
        )
    )


def filling(chance: random.Random, size: int) -> bytes:
    """Bytes that mean something more often than not: all alike, small, or any."""
    kind = chance.randrange(4)
    if kind == 0:
        return bytes([chance.choice((0, 1, 2, 255))]) * size
    if kind == 1:
        return bytes(chance.choice((0, 1, 2, 3, 4, 53, 255)) for _ in range(size))
    return chance.randbytes(size)


class Hints(NamedTuple):
    """What a program looks for: lengths that it compares with, places that it reads, numbers that it expects there."""

    lengths: tuple[int, ...]
    places: tuple[tuple[int, int], ...]
    numbers: tuple[int, ...]

    @classmethod
    def of(cls, program: ProgramSpec) -> Hints:
        lengths, places, numbers = {0}, {(0, 1)}, {0}
        for instruction in program.instructions:
            match instruction:
                case Alu(op=AluOp.ADD, source=Immediate(value)) if 0 < value < LONGEST:
                    lengths |= {value - 1, value, value + 1}
                case Branch(source=Immediate(value)):
                    numbers |= {value, value + 1, value - 1}
                case Load(size=size, offset=offset) if offset >= 0:
                    places.add((offset, size))
        return cls(tuple(sorted(lengths)), tuple(sorted(places)), tuple(sorted(numbers)))


def frame(chance: random.Random, hints: Hints) -> bytes:
    """Random, or like a packet with options, extensions and tags; with what the program looks for; cut off anywhere."""
    if chance.random() < 0.2:
        return filling(chance, chance.choice(LENGTHS))
    made = bytearray(chance.randbytes(12) + _network(chance))
    made += filling(chance, chance.choice((0, 1, 8, 40, 250, 1400)))
    for _ in range(chance.choice((0, 1, 3, 8))):
        place, size = chance.choice(hints.places)
        if place + size <= len(made):
            wanted = chance.choice(hints.numbers) & (1 << 8 * size) - 1
            made[place : place + size] = wanted.to_bytes(size, "little")
    most = chance.choice((LONGEST, chance.randint(0, 128), chance.choice(hints.lengths), chance.choice(LENGTHS)))
    return bytes(made[:most])


def _network(chance: random.Random) -> bytes:
    tags = b"".join(chance.choice(TYPES[2:4]) + chance.randbytes(2) for _ in range(chance.choice((0, 0, 0, 1, 2, 5))))
    kind = chance.choice(TYPES)
    if kind == TYPES[0]:
        return tags + kind + _ipv4(chance) + _transport(chance)
    if kind == TYPES[1]:
        return tags + kind + _ipv6(chance) + _transport(chance)
    return tags + kind + filling(chance, 40)


def _ipv4(chance: random.Random) -> bytes:
    words = chance.choice((5, 5, 5, 0, 4, 6, 15))
    length = chance.choice((20, 40, 60, 0, 19, 1500, 65535))
    protocol = chance.choice((1, 4, 6, 17, 47, 255))
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, length, 0, 0, chance.choice((0, 1, 64)), protocol, 0)
    return head + chance.randbytes(8) + filling(chance, max(words - 5, 0) * 4)


def _ipv6(chance: random.Random) -> bytes:
    chain = [chance.choice((0, 43, 60, 44, 6, 17)) for _ in range(chance.choice((0, 0, 1, 3, 9)))]
    following = [*chain[1:], chance.choice((6, 17, 58))]
    extensions = b"".join(
        bytes([after, chance.choice((0, 0, 1, 255))]) + chance.randbytes(6) for after in (following if chain else ())
    )
    return struct.pack(">IHBB", 6 << 28, 1, chain[0] if chain else 17, 64) + chance.randbytes(32) + extensions


def _transport(chance: random.Random) -> bytes:
    ports = struct.pack(">HH", chance.choice((*PORTS, number(chance) & 0xFFFF)), chance.choice((*PORTS, 23)))
    if chance.random() < 0.5:
        return ports + struct.pack(">HH", number(chance) & 0xFFFF, 0) + filling(chance, 24)
    offset, flags = chance.choice((0x50, 0x60, 0xF0, 0)), chance.choice((2, 18, 16, 255))
    return ports + chance.randbytes(8) + bytes([offset, flags]) + chance.randbytes(6) + filling(chance, 40)


class HostileMap:
    """A map that often has what it is asked for, with anything as its value."""

    def __init__(self, map_: ModelMap, chance: random.Random) -> None:
        self._map = map_
        self._chance = chance

    def __getattr__(self, name: str) -> Any:
        return getattr(self._map, name)

    def lookup(self, key: bytes) -> bytearray | None:
        spec = self._map.spec
        if not spec.read_only and spec.value_size and self._chance.random() < 0.5:
            self._map.update(key, filling(self._chance, spec.value_size))
        return self._map.lookup(key)

    def inner_map(self, key: bytes) -> HostileMap | None:
        inner = self._map.spec.inner
        if isinstance(self._map, ModelMapOfMaps) and inner is not None and self._chance.random() < 0.5:
            self._map.put(key, model(inner))
        found = self._map.inner_map(key)
        return HostileMap(found, self._chance) if found is not None else None


def hostile_maps(specs: Mapping[str, MapSpec], chance: random.Random, program: str) -> dict[str, HostileMap]:
    """Every map of a collection, with some entries; every second tail call leads to the program."""
    made = {name: model(spec) for name, spec in specs.items()}
    for map_ in made.values():
        spec = map_.spec
        if isinstance(map_, ModelProgArray):
            for index in range(chance.randrange(2), spec.max_entries, 2):
                map_.put(index, program)
        for _ in range(0 if spec.read_only or spec.inner else 4):
            key = chance.choice((bytes(spec.key_size), filling(chance, spec.key_size)))
            map_.update(key, filling(chance, spec.value_size))
            map_.push(filling(chance, spec.value_size))
    return {name: HostileMap(map_, chance) for name, map_ in made.items()}


def context(program: ProgramSpec, chance: random.Random, hints: Hints) -> Context:
    """The hook's context, every number in it at an edge."""
    hook = program.hook
    host = hook.host(random_state=chance.getrandbits(64), time_ns=chance.getrandbits(48))
    memory = memoryview(host).cast("B")
    for field in hook.context.fields:
        if field.kind is FieldKind.SCALAR:
            size = field.host_size
            content = number(chance, hints.numbers).to_bytes(4, "little") if size == 4 else filling(chance, size)
            memory[field.host_offset : field.host_offset + size] = content
    return Context(hook, host, PacketMemory(frame(chance, hints)), app_id=filling(chance, chance.choice((0, 1, 2, 40))))


def faults(program: ProgramSpec, maps: Mapping[str, MapSpec], chance: random.Random, runs: int) -> Iterator[str]:
    """What goes wrong in so many runs: faults of the checking interpreter, and answers that are none."""
    hints = Hints.of(program)
    for _ in range(runs):
        interpreter = Interpreter(
            program,
            hostile_maps(maps, chance, program.name),
            python_helpers(),
            programs={program.name: program},
            budget=BUDGET,
        )
        try:
            answer = interpreter.run(context(program, chance, hints))
        except Fault as fault:
            yield str(fault)
            continue
        if answer not in program.hook.verdicts and not program.hook.any_return:
            yield f"returns {answer}"
