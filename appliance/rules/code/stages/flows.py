"""Connection tracking in a rule set's programs: programs/stages/flows.c, its maps, its numbers, and its two calls.

    parse ── allowlist ── flows_track ── stages, rules, policy ── PASS ── flows_commit ── leave
                              │                  │                            ^
                              └── ct.state ──────┘        ct.commit ──────────┘  if it isn't 0

What the first call finds out of an established connection it notes at once; whatever would begin a flow or change its
state waits until the frame leaves: passes, or is redirected.
"""

from __future__ import annotations

import struct
from typing import cast

from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ir import I32, I64, PTR, U32, Code, Pointer
from appliance.rules.code.bpf_module import BpfModule, MapShape
from appliance.rules.code.fields import Fields
from appliance.rules.model import Connections
from appliance.rules.stages.bitcode import shipped_bitcode

TRACK, COMMIT = "flows_track", "flows_commit"
CLOCK = "flow_clock"
KEY_SIZE, FLOW_SIZE, CLOCK_SIZE = 40, 48, 16  # bytes: struct flow_key, flow, flow_clock
FRAGMENT_KEY_SIZE, FRAGMENT_SIZE = 40, 16  # bytes: struct fragment_key, fragment
FRAGMENTED = 16384  # packets in fragments whose first one is remembered
CLOCK_KEY = bytes(4)
NEVER_LEARN = struct.pack("=QQ", 0, (1 << 64) - 1)  # struct flow_clock with LEARN_NEVER
FRAGMENTS_KEPT = 5.0  # seconds

# The maps that a reload hands over: name → what it is to the operator.
STATE_MAPS = {
    "flows": "connections.entries",
    "openings": "connections.openings",
    "fragments": "connections.fragments",
    CLOCK: "connections.clock",
}
_SIGNATURE = ir.FunctionType(I32, [PTR, PTR])


class Flows:
    """Writes the two calls. For one thread."""

    def __init__(self, module: BpfModule, connections: Connections) -> None:
        self._module = module
        shapes = {
            "flows": MapShape(MapType.LRU_HASH, KEY_SIZE, FLOW_SIZE, connections.entries),
            "openings": MapShape(MapType.LRU_HASH, KEY_SIZE, FLOW_SIZE, connections.openings),
            "fragments": MapShape(MapType.LRU_HASH, FRAGMENT_KEY_SIZE, FRAGMENT_SIZE, FRAGMENTED),
            CLOCK: MapShape(MapType.ARRAY, 4, CLOCK_SIZE, 1),
        }
        for name, shape in shapes.items():
            module.declare_map(name, shape)
        module.constant("flow_config", [(I64, number) for number in _numbers(connections)])
        module.link(shipped_bitcode("flows"))

    def track(self, code: Code, record: Pointer) -> None:
        """Behind the parser: say what the frame is."""
        self._call(code, TRACK, record)

    def commit(self, code: Code, fields: Fields, record: Pointer) -> None:
        """Where a frame leaves: note what it does to its flow."""
        with code.if_(code.compare(fields["ct.commit"], "!=", 0)):
            self._call(code, COMMIT, record)

    def _call(self, code: Code, name: str, record: Pointer) -> U32:
        return cast(U32, code.builder.call(self._module.external(name, _SIGNATURE), [code["context"], record]))


def _numbers(connections: Connections) -> tuple[int, ...]:
    """The members of struct flow_config (programs/stages/flow.h)."""
    times = (
        connections.tcp_opening,
        connections.tcp_established,
        connections.tcp_closing,
        connections.tcp_closed,
        connections.udp,
        connections.icmp,
        connections.other,
        FRAGMENTS_KEPT,
        connections.grace,
    )
    return (*(round(seconds * 10**9) for seconds in times), int(connections.asymmetric))
