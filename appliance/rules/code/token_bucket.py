"""Rates: a token bucket as one number, by the generic cell rate algorithm (ITU-T I.371, annex A).

The state is the theoretical arrival time: when the bucket would be full again. A frame costs some time; it conforms
if that time still fits into the burst.

            now                     arrival time
    ─────────┼───────────────────────────┼──────┼────────> time
             |<───────── ahead ─────────>|<cost>|
             |<───────────── burst ─────────────────>|        conforms: ahead + cost <= burst

Time is counted in sixteenths of a nanosecond, modulo 2**64, and only differences of it are compared. One compare and
exchange takes the tokens, so that workers share a bucket without a lock; if it fails TRIES times, too much is going on
at once and the frame is over the limit. A state further ahead than any frame can bring it is none: the bucket is full.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ir import I32, I64, PTR, U64, Code
from appliance.rules.code.bpf_module import BpfModule, MapShape
from appliance.rules.code.fields import HOST_SIZE
from appliance.rules.code.memory import Memory
from appliance.rules.matchers import Layer
from appliance.rules.model import Rate, Rule

TICKS = 16  # per nanosecond
TICKS_SHIFT = 4
SECOND = TICKS * 10**9
TRIES = 3
CLOCK_SLACK = SECOND  # how far the clocks of two processors may be apart
LARGEST_FRAME_BITS = 18  # a frame has fewer than 2**18 bytes


@dataclass(frozen=True, slots=True)
class Cost:
    """What a frame costs in ticks: `(bytes or 1) * factor >> shift`; and how many ticks fit into the burst."""

    factor: int
    shift: int
    burst: int
    per_byte: bool

    @classmethod
    def of(cls, rate: Rate) -> Cost:
        if rate.unit == "pps":
            factor = max(1, round(SECOND / rate.amount))
            return cls(factor, 0, min(factor * rate.burst, 1 << 62), per_byte=False)
        ticks = 8 * SECOND / rate.amount
        shift = 0
        while shift < 40 and round(ticks * (1 << (shift + 1))) < 1 << (62 - LARGEST_FRAME_BITS):
            shift += 1
        return cls(max(1, round(ticks * (1 << shift))), shift, min(round(ticks * rate.burst), 1 << 62), per_byte=True)

    def write(self, code: Code, length: U64) -> U64:
        """The cost of a frame of that many bytes."""
        if not self.per_byte:
            return code.value(self.factor, I64)
        return code.shr(code.mul(length, self.factor), self.shift)


def define_conforms(module: BpfModule, *, inline: bool) -> ir.Function:
    """`conforms(state, now, cost, burst) -> 1 if the frame is within the limit, and has taken its tokens`."""
    code = module.subprogram("conforms", inline=inline, state=PTR, now=I64, cost=I64, burst=I64)
    state, now, burst = code["state"], code["now"], code["burst"]
    for _ in range(TRIES):
        arrival = code.load(state, I64, align=8)
        ahead = code.sub(arrival, now)
        impossible = code.compare(ahead, ">", code.add(burst, CLOCK_SLACK))
        ahead = code.add(code.select(impossible, 0, ahead), code["cost"])
        with code.if_(code.compare(ahead, ">", burst)):
            code.ret(0)
        taken = code.compare_exchange(state, arrival, code.add(now, ahead), I64)
        with code.if_(taken):
            code.ret(1)
    code.ret(0)
    return code.function


class TokenBucket:
    """Writes rates into one function. `conforms` is what `define_conforms` defined. For one thread."""

    def __init__(self, memory: Memory, conforms: ir.Function) -> None:
        self.memory = memory
        self.code = memory.code
        self.fields = memory.fields
        self.matching = memory.matching
        self.conforms = conforms

    def gate(self, rule: Rule, rate: Rate, within: ir.Block) -> None:
        """Leave for `within` if the frame is within the rate."""
        code, memory, block = self.code, self.memory, self.matching.block
        if rate.per is None:
            buckets = memory.state("rate", rule, MapShape(MapType.ARRAY, 4, 8, 1))
            key = memory.key
            code.store(ir.Constant(I32, 0), key, align=4)
        else:
            self.matching.presence(Layer.IP, within)
            kind, key = "rsrc" if rate.per == "ip.src" else "rdst", self.fields.keys[rate.per]
            buckets = memory.state(kind, rule, MapShape(MapType.LRU_HASH, HOST_SIZE, 8, rate.sources))
        cost = Cost.of(rate)
        now = code.shl(memory.time(), TICKS_SHIFT)
        price = cost.write(code, self.fields["length"])
        over, unknown = block("over"), block("unknown")
        bucket = memory.lookup(buckets, key, unknown)
        conforms = code.call(self.conforms, bucket, now, price, cost.burst)
        code.builder.cbranch(code.compare(conforms, "!=", 0), within, over)
        code.builder.position_at_end(unknown)
        if rate.per is not None:
            self.matching.unless(code.compare(price, "<=", cost.burst), over)
            memory.update(buckets, key, code.add(now, price))
        code.builder.branch(within)
        code.builder.position_at_end(over)
