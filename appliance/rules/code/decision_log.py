"""A log of decisions, for whoever wants to know which rule decided which frame: what was counted last for each.

    log_seen        array    0 ── how many frames came
    log_counted     array    number of the frame ── 1 + the index in `rule_counters` of what it counted last, or 0
    log_states      array    number of the frame ── what connection tracking said of it, where connections are tracked

A rule that decides counts last, behind those that only count; a policy that counts nothing behind a monitored rule is
written down as well. Only programs that are compiled for it have the log, and
no box runs them. BATCH frames fit; who reads sets the maps back to zeros for the next ones.
"""

from __future__ import annotations

from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ir import I32, I64, U32, Code, Pointer
from appliance.rules.code.bpf_module import BpfModule, MapShape

SEEN, COUNTED, STATES = "log_seen", "log_counted", "log_states"
BATCH = 1 << 14  # frames


class DecisionLog:
    """Writes the log into the programs of one object. For one thread."""

    def __init__(self, module: BpfModule) -> None:
        self._module = module
        self._seen = module.declare_map(SEEN, MapShape(MapType.ARRAY, 4, 8, 1))
        self._counted = module.declare_map(COUNTED, MapShape(MapType.ARRAY, 4, 8, BATCH))

    def begin(self, code: Code) -> None:
        """At the start of a program: one more frame."""
        seen = self._lookup(code, self._seen, ir.Constant(I32, 0))
        with code.if_(code.compare(code.integer(seen), "!=", 0)):
            code.store(code.add(code.load(seen, I64, align=8), 1), seen, align=8)

    def note(self, code: Code, index: U32) -> None:
        """The frame that was begun last counts this."""
        self._note(code, self._counted, code.add(index, 1))

    def note_state(self, code: Code, state: U32) -> None:
        """The frame that was begun last is that to its connection."""
        self._note(code, self._module.declare_map(STATES, MapShape(MapType.ARRAY, 4, 8, BATCH)), state)

    def _note(self, code: Code, map_: Pointer, number: U32) -> None:
        seen = self._lookup(code, self._seen, ir.Constant(I32, 0))
        with code.if_(code.compare(code.integer(seen), "!=", 0)):
            frame = code.sub(code.load(seen, I32, align=8), 1)
            place = self._lookup(code, map_, frame)
            with code.if_(code.compare(code.integer(place), "!=", 0)):
                code.store(code.resize(number, I64), place, align=8)

    def _lookup(self, code: Code, map_: Pointer, number: U32) -> Pointer:
        key = code.buffer(4, align=4)
        code.store(number, key, align=4)
        value: Pointer = self._module.helper(code, "map_lookup_elem", map_, key)
        return value
