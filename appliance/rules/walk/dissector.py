"""What a program of rules knows of a frame, by its own parser: a program that parses, and writes down what it read.

    seen        array    0 ── how many frames came
    dissected   array    number of the frame ── Dissection: the fields, what was malformed, whose addresses were read

What a field is and how it is read is said once, in the parser, and a walk sees exactly what the compiled rules see. A
batch of BATCH frames is written down at most; `seen` is set to 0 before the next one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ir import I32, Code, Pointer
from appliance.rules.code.bpf_module import BpfModule, MapShape
from appliance.rules.code.fields import Fields, FrameLayout
from appliance.rules.code.parser.cursor import PARSE_ERRORS, Cursor
from appliance.rules.code.parser.levels import parse_levels
from appliance.rules.code.parser.parser import parse_frame
from appliance.rules.matchers import MATCHERS, OUTER_MATCHERS, version_of
from appliance.rules.model import Rule
from appliance.rules.tunnels import Tunnels
from hooks.contracts.contract import Verdict
from hooks.contracts.xdp import XDP_LINUX

PROGRAM = "dissect"
SEEN, DISSECTED = "seen", "dissected"
BATCH = 1024  # frames
_GOOD = 0xFFFFFFFF  # the reason of a frame that isn't malformed
_PASS = XDP_LINUX.number(Verdict.PASS)


class Dissection(ctypes.Structure):
    """An entry of `dissected`, whose frame's record follows. `addressed` isn't 0 where the parser came as far as the IP
    addresses."""

    _fields_ = (("reason", ctypes.c_uint32), ("addressed", ctypes.c_uint32))


@dataclass(frozen=True, slots=True)
class Dissected:
    """One frame as the rules see it: its fields by name, and why it is malformed, if it is."""

    fields: Mapping[str, int]
    malformed: str | None
    is_addressed: bool

    def __getitem__(self, field: str) -> int:
        return self.fields[field]

    def with_fields(self, fields: Mapping[str, int]) -> Dissected:
        """The same with what the parser can't know, such as the state of a connection."""
        return replace(self, fields={**self.fields, **fields})

    def address(self, side: str) -> int:
        """The `source` or `destination` address, 32 bits of an IPv4 packet and 128 of an IPv6 one."""
        low = self.fields[f"{side}_low"]
        return low & 0xFFFFFFFF if self.fields[version_of(side)] == 4 else self.fields[f"{side}_high"] << 64 | low


@dataclass(frozen=True, slots=True)
class Dissector:
    """An object with the program PROGRAM. `read` takes a value of `dissected`."""

    object: bytes
    layout: FrameLayout

    def read(self, value: bytes | bytearray) -> Dissected:
        """What the program wrote down of a frame."""
        found = Dissection.from_buffer_copy(value)
        frame = self.layout.record.from_buffer_copy(value, ctypes.sizeof(Dissection))
        fields = {name: int(getattr(frame, name)) for name in self.layout.names}
        reason = None if found.reason == _GOOD else PARSE_ERRORS[found.reason]
        return Dissected(fields, reason, bool(found.addressed))


def dissector(rules: Iterable[Rule] = (), tunnels: Tunnels | None = None) -> Dissector:
    """Compile the parser alone. It reads every field of the table, and what the rules have of their own; with tunnels,
    the outer fields too."""
    others = [*MATCHERS.values(), *(OUTER_MATCHERS.values() if tunnels else ())]
    layout = FrameLayout(rules, others, tunnels)
    size = ctypes.sizeof(Dissection) + ctypes.sizeof(layout.record)
    module = BpfModule({"dissector": ""})
    seen = module.declare_map(SEEN, MapShape(MapType.ARRAY, 4, 8, 1))
    dissected = module.declare_map(DISSECTED, MapShape(MapType.ARRAY, 4, size, BATCH))
    code = module.program(PROGRAM, "xdp")
    key = code.buffer(4, align=4)
    code.store(ir.Constant(I32, 0), key, align=4)
    count = _looked_up(module, code, seen, key)
    number = code.load(count, I32, align=8)
    code.store(code.add(number, 1), count, align=8)
    code.store(number, key, align=4)
    _parse(module, code, layout, _looked_up(module, code, dissected, key))
    return Dissector(module.emit(), layout)


def _looked_up(module: BpfModule, code: Code, map_: Pointer, key: Pointer) -> Pointer:
    """The value; the program ends if there is none."""
    value: Pointer = module.helper(code, "map_lookup_elem", map_, key)
    with code.if_(code.is_null(value)):
        code.ret(_PASS)
    return value


def _parse(module: BpfModule, code: Code, layout: FrameLayout, place: Pointer) -> None:
    def addressed(family: int) -> None:
        code.field(place, Dissection, "addressed").store(1)

    malformed = code.function.append_basic_block("malformed")
    code.field(place, Dissection, "addressed").store(0)
    record = code.at(place, ctypes.sizeof(Dissection))
    if layout.tunnels:
        reason = parse_levels(module, code, layout, record, addressed, malformed)
    else:
        cursor = Cursor(module, code, Fields.parsed_into(code, layout, record), addressed, malformed)
        parse_frame(cursor)
        reason = cursor.reason
    code.field(place, Dissection, "reason").store(_GOOD)
    code.ret(_PASS)
    code.builder.position_at_end(malformed)
    code.field(place, Dissection, "reason").store(reason.get())
    code.ret(_PASS)
