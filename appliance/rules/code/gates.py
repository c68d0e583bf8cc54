"""What a rule asks of a frame that matched, and remembers about it: its rate, or whether its source retransmits.

A gate leaves for `within` when the rule's action isn't for this frame, and goes on when it is.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable

from llvmlite import ir

from appliance.ebpf.spec import MapType
from appliance.ir import I32, I64, Code, Value
from appliance.rules.code.bpf_module import BpfModule, MapShape
from appliance.rules.code.branching import Branching
from appliance.rules.code.fields import HOST_SIZE, SIDES, Fields
from appliance.rules.code.limits import TICKS_SHIFT, Cost
from appliance.rules.matchers import Layer
from appliance.rules.model import Rate, Retransmit, Rule

_ANY = 0  # BPF_ANY, include/uapi/linux/bpf.h

StateMap = Callable[[str, Rule, MapShape], Value]


class SegmentKey(ctypes.Structure):
    """What a retransmission has in common with the first try. The address is whole, and in network order."""

    _fields_ = (
        ("source_high", ctypes.c_uint64),
        ("source_low", ctypes.c_uint64),
        ("ports", ctypes.c_uint32),
        ("sequence", ctypes.c_uint32),
    )


def write_keys(code: Code, fields: Fields, rules: Iterable[Rule]) -> None:
    """Before the rules: whose the addresses are, as keys of maps, where a rule keeps state by them.

    In IPv4 that is the address. In IPv6 it is the /64, the least that one subscriber gets (RFC 6177): by addresses,
    each would have 2**64 buckets, and could push everybody else's out. A low half that isn't 0 keeps IPv4 apart.
    """
    wanted = {rule.rate.per for rule in rules if rule.rate} | {"ip.src" for rule in rules if rule.retransmit}
    for name, side in SIDES.items():
        if name in wanted:
            is_v4 = code.compare(fields["version"], "==", 4)
            low = code.select(is_v4, fields[f"{side}_low"], 0)
            for offset, half in ((0, fields[f"{side}_high"]), (8, low)):
                code.store(code.swap_bytes(half), code.at(fields.keys[name], offset), align=8)


class Gates:
    """Writes gates into one function. `state` declares a map of a rule's own; `conforms` takes tokens of a bucket."""

    def __init__(
        self,
        module: BpfModule,
        code: Code,
        fields: Fields,
        branching: Branching,
        state: StateMap,
        conforms: ir.Function,
    ) -> None:
        self.module = module
        self.code = code
        self.fields = fields
        self.branching = branching
        self.state = state
        self.conforms = conforms
        self.key = code.buffer(ctypes.sizeof(SegmentKey))
        self.value = code.buffer(8)

    def pass_through(self, rule: Rule, within: ir.Block) -> None:
        """The gate that the rule has, if it has one."""
        if rule.rate is not None:
            self._rate(rule, rule.rate, within)
        if rule.retransmit is not None:
            self._retransmit(rule, rule.retransmit, within)

    def _time(self) -> Value:
        """Nanoseconds, read once per frame, by the first rule that asks."""
        code = self.code
        with code.if_(code.compare(self.fields["now"], "==", 0)):
            self.fields.set(now=self.module.helper(code, "ktime_get_ns"))
        return self.fields["now"]

    def _lookup(self, map_: Value, key: Value, missing: ir.Block) -> Value:
        """The value; leaves for `missing` if there is none."""
        value = self.module.helper(self.code, "map_lookup_elem", map_, key)
        self.branching.unless(self.code.compare(self.code.integer(value), "!=", 0), missing)
        return value

    def _update(self, map_: Value, key: Value, number: Value) -> None:
        self.code.store(number, self.value, align=8)
        self.module.helper(self.code, "map_update_elem", map_, key, self.value, _ANY)

    def _rate(self, rule: Rule, rate: Rate, within: ir.Block) -> None:
        """Leave for `within` if the frame is within the rate."""
        code, block = self.code, self.branching.block
        if rate.per is None:
            buckets = self.state("rate", rule, MapShape(MapType.ARRAY, 4, 8, 1))
            key = self.key
            code.store(ir.Constant(I32, 0), key, align=4)
        else:
            self.branching.presence(Layer.IP, within)
            kind, key = "rsrc" if rate.per == "ip.src" else "rdst", self.fields.keys[rate.per]
            buckets = self.state(kind, rule, MapShape(MapType.LRU_HASH, HOST_SIZE, 8, rate.sources))
        cost = Cost.of(rate)
        now = code.shl(self._time(), TICKS_SHIFT)
        price = cost.write(code, self.fields["length"])
        over, unknown = block("over"), block("unknown")
        bucket = self._lookup(buckets, key, unknown)
        conforms = code.call(self.conforms, bucket, now, price, cost.burst)
        code.builder.cbranch(code.compare(conforms, "!=", 0), within, over)
        code.builder.position_at_end(unknown)
        if rate.per is not None:
            self.branching.unless(code.compare(price, "<=", cost.burst), over)
            self._update(buckets, key, code.add(now, price))
        code.builder.branch(within)
        code.builder.position_at_end(over)

    def _retransmit(self, rule: Rule, test: Retransmit, passed: ir.Block) -> None:
        """Leave for `passed` if the source is known, or makes itself known by this very frame.

        Two maps, so that a flood of first tries can't drive out those who have passed. A segment that comes again too
        early or too late is a first try again: who repeats himself without a pause never passes.
        """
        code, block = self.code, self.branching.block
        known = self.state("known", rule, MapShape(MapType.LRU_HASH, HOST_SIZE, 8, test.sources))
        seen = self.state("seen", rule, MapShape(MapType.LRU_HASH, ctypes.sizeof(SegmentKey), 8, test.tries))
        after, before, remember = (round(s * 10**9) for s in (test.after, test.before, test.remember))
        source, now = self.fields.keys["ip.src"], self._time()
        unknown, first, again, refused = (block(name) for name in ("unknown", "first", "again", "refused"))
        until = self._lookup(known, source, unknown)
        left = code.sub(code.load(until, I64, align=8), now)
        self.branching.unless(code.compare(left, "<=", remember), unknown)  # past is huge: times are unsigned
        code.store(code.add(now, remember), until, align=8)
        code.builder.branch(passed)

        code.builder.position_at_end(unknown)
        key = self._segment()
        time = self._lookup(seen, key, first)
        age = code.sub(now, code.load(time, I64, align=8))
        self.branching.unless(code.compare(code.sub(age, after), "<=", before - after), again)
        self._update(known, source, code.add(now, remember))
        code.builder.branch(passed)
        code.builder.position_at_end(again)
        code.store(now, time, align=8)
        code.builder.branch(refused)
        code.builder.position_at_end(first)
        self._update(seen, key, now)
        code.builder.branch(refused)
        code.builder.position_at_end(refused)

    def _segment(self) -> Value:
        code, fields, key = self.code, self.fields, self.key
        ports = code.or_(code.shl(fields["source_port"], 16), fields["destination_port"])
        for name, value in (
            ("source_high", code.swap_bytes(fields["source_high"])),
            ("source_low", code.swap_bytes(fields["source_low"])),
            ("ports", ports),
            ("sequence", fields["sequence"]),
        ):
            code.field(key, SegmentKey, name).store(value)
        return key
