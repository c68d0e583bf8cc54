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
from appliance.ir import I32, I64, PTR, U1, U64, Code, Pointer
from appliance.rules.code.bpf_module import BpfModule, MapShape
from appliance.rules.code.state import keys
from appliance.rules.code.state.memory import Memory
from appliance.rules.code.state.newcomers import Newcomers
from appliance.rules.model import Rule
from appliance.rules.remembered import Rate

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


def define_conforms(module: BpfModule) -> ir.Function:
    """`conforms(state, now, cost, burst) -> 1 if the frame is within the limit, and has taken its tokens`. A
    function of its own: a verifier would walk through every copy of it, and what runs is inlined where that is worth
    it."""
    code = module.subprogram("conforms", inline=False, state=PTR, now=I64, cost=I64, burst=I64)
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


@dataclass(frozen=True, slots=True)
class _Frame:
    """What a frame brings to a bucket, in ticks, and what the bucket holds."""

    now: U64
    price: U64
    burst: int


class TokenBucket:
    """Writes rates into one function. `conforms` is what `define_conforms` defined; `newcomers` is None where no rate
    has `per`. For one thread."""

    def __init__(self, memory: Memory, conforms: ir.Function, newcomers: Newcomers | None) -> None:
        self.memory = memory
        self.code = memory.code
        self.matching = memory.matching
        self.conforms = conforms
        self.newcomers = newcomers

    def gate(self, rule: Rule, rate: Rate, within: ir.Block) -> None:
        """Leave for `within` if the frame is within the rate."""
        over = self.matching.block("over")
        if rate.per:
            for layer in dict.fromkeys(part.layer for part in rate.per):
                self.matching.presence(layer, within)
        frame = self._frame(rate)
        if rate.per:
            self._keyed(rule, rate, frame, within, over)
        else:
            buckets = self.memory.state("rate", rule, MapShape(MapType.ARRAY, 4, 8, 1))
            self.code.store(ir.Constant(I32, 0), self.memory.key, align=4)
            self._take(self.memory.lookup(buckets, self.memory.key, within), frame, within, over)
        self.code.builder.position_at_end(over)

    def take(self, kind: str, rule: Rule, rate: Rate) -> U1:
        """Whether the rule's one bucket of that kind has tokens for the frame, which are taken then."""
        code, has = self.code, self.code.variable(I64, 0)
        frame, done = self._frame(rate), self.matching.block("taken")
        buckets = self.memory.state(kind, rule, MapShape(MapType.ARRAY, 4, 8, 1))
        bucket = self.memory.element(buckets, 0, done)
        has.set(code.call(self.conforms, bucket, frame.now, frame.price, frame.burst))
        code.builder.branch(done)
        code.builder.position_at_end(done)
        return code.compare(has.get(), "!=", 0)

    def _frame(self, rate: Rate) -> _Frame:
        cost = Cost.of(rate)
        now = self.code.shl(self.memory.time(), TICKS_SHIFT)
        return _Frame(now, cost.write(self.code, self.memory.fields["length"]), cost.burst)

    def _take(self, bucket: Pointer, frame: _Frame, within: ir.Block, over: ir.Block) -> None:
        """Take the frame's tokens, if they are there."""
        conforms = self.code.call(self.conforms, bucket, frame.now, frame.price, frame.burst)
        self.code.builder.cbranch(self.code.compare(conforms, "!=", 0), within, over)

    def _keyed(self, rule: Rule, rate: Rate, frame: _Frame, within: ir.Block, over: ir.Block) -> None:
        """A bucket of a map; of who isn't there, the one that a newcomer has, which moves into the map."""
        assert self.newcomers is not None, "a rate with `per` has newcomers"
        code, memory, block = self.code, self.memory, self.matching.block
        key, size = memory.key_of(rate.per), keys.size(rate.per)
        buckets = memory.state(keys.kind(rate.per), rule, MapShape(MapType.LRU_HASH, size, 8, rate.sources))
        bucket = code.variable(PTR, self.memory.module.helper(code, "map_lookup_elem", buckets, key))
        is_new = code.variable(I64, 0)
        unknown, taking, moving = block("unknown"), block("taking"), block("moving")
        code.builder.cbranch(code.is_null(bucket.get()), unknown, taking)
        code.builder.position_at_end(unknown)
        self.matching.unless(code.compare(frame.price, "<=", frame.burst), over)
        bucket.set(self.newcomers.state(memory, rule, key, size, code.add(frame.now, frame.price), within))
        is_new.set(1)
        code.builder.branch(taking)
        code.builder.position_at_end(taking)
        conforms = code.call(self.conforms, bucket.get(), frame.now, frame.price, frame.burst)
        done = block("done")
        code.builder.cbranch(code.compare(is_new.get(), "!=", 0), moving, done)
        code.builder.position_at_end(moving)
        memory.update(buckets, key, code.load(bucket.get(), I64, align=8))
        code.builder.branch(done)
        code.builder.position_at_end(done)
        code.builder.cbranch(code.compare(conforms, "!=", 0), within, over)
