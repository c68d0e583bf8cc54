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

A rate with `until` stays over for a while once it was exceeded (decision 66). What is further ahead than the burst says
so:

    now                     now + burst          + calm              + calm + hold
    ─┼───────────────────────────┼─────────────────┼──────────────────────┼──────> arrival time
     |<── as of other rates ────>|<── full again ─>|<──────── over ──────>|

The frame that doesn't fit puts the state to the end of that. As long as it is there, every frame is over and costs the
time of the slower rate. So it drains by what frames come more slowly, and not at all while they come as fast as that.
When it has left, the bucket is full, for an hour at least (CALM), whoever comes or doesn't. Workers' clocks aren't the
same to the last: up to GUARD behind the burst nothing is full.
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
CALM = 3600 * SECOND
GUARD = SECOND // 1000  # how far those of two workers may be apart, at two frames of one bucket
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
class Bounds:
    """How far a state of a rate with `until` is ahead, in ticks: up to `burst` as of any rate; behind `calm` while the
    bucket is over, at most `top`; and between `burst` and `calm` when it no longer is, and full."""

    burst: int
    hold: int

    @property
    def calm(self) -> int:
        return self.burst + GUARD + CALM

    @property
    def top(self) -> int:
        return self.calm + self.hold


def define_holds(module: BpfModule, name: str, bounds: Bounds) -> ir.Function:
    """`name(state, now, cost, slow) -> the same`, of a rate with `until`; `slow` is what a frame costs while it is
    over."""
    code = module.subprogram(name, inline=False, state=PTR, now=I64, cost=I64, slow=I64)
    state, now = code["state"], code["now"]
    for _ in range(TRIES):
        arrival = code.load(state, I64, align=8)
        ahead = code.sub(arrival, now)
        is_on = code.and_(code.compare(ahead, ">", bounds.calm), code.compare(ahead, "<=", bounds.top + CLOCK_SLACK))
        left = code.select(code.compare(ahead, ">", bounds.burst + GUARD), 0, ahead)
        ahead = code.select(is_on, code.add(ahead, code["slow"]), code.add(left, code["cost"]))
        is_over = code.compare(ahead, ">", bounds.burst)
        is_most = code.or_(code.not_(is_on), code.compare(ahead, ">", bounds.top))
        ahead = code.select(code.and_(is_over, is_most), bounds.top, ahead)
        with code.if_(code.compare_exchange(state, arrival, code.add(now, ahead), I64)):
            code.ret(code.select(is_over, ir.Constant(I64, 0), 1))
    code.ret(0)
    return code.function


class Conforming:
    """The functions of one object that ask a bucket: one for all rates, and one for each burst and hold of rates with
    `until`. For one thread."""

    def __init__(self, module: BpfModule) -> None:
        self._module = module
        self._usual = define_conforms(module)
        self._holding: dict[Bounds, ir.Function] = {}

    def ask(self, code: Code, bucket: Pointer, frame: Frame) -> U64:
        """1 if the frame is within the rate, and has taken its tokens."""
        if frame.slow is None:
            usual: U64 = code.call(self._usual, bucket, frame.now, frame.price, frame.burst)
            return usual
        bounds = Bounds(frame.burst, frame.hold)
        if bounds not in self._holding:
            self._holding[bounds] = define_holds(self._module, f"holds_{len(self._holding)}", bounds)
        answer: U64 = code.call(self._holding[bounds], bucket, frame.now, frame.price, frame.slow)
        return answer


@dataclass(frozen=True, slots=True)
class Frame:
    """What a frame brings to a bucket, in ticks, and what the bucket holds."""

    now: U64
    price: U64
    burst: int
    slow: U64 | None = None
    hold: int = 0


class TokenBucket:
    """Writes rates into one function. `newcomers` is None where no rate has `per`. For one thread."""

    def __init__(self, memory: Memory, conforming: Conforming, newcomers: Newcomers | None) -> None:
        self.memory = memory
        self.code = memory.code
        self.matching = memory.matching
        self.conforming = conforming
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
        has.set(self.conforming.ask(code, bucket, frame))
        code.builder.branch(done)
        code.builder.position_at_end(done)
        return code.compare(has.get(), "!=", 0)

    def _frame(self, rate: Rate) -> Frame:
        cost, length = Cost.of(rate), self.memory.fields["length"]
        now = self.code.shl(self.memory.time(), TICKS_SHIFT)
        price = cost.write(self.code, length)
        if rate.slower is None:
            return Frame(now, price, cost.burst)
        return Frame(now, price, cost.burst, Cost.of(rate.slower).write(self.code, length), round(rate.hold * SECOND))

    def _take(self, bucket: Pointer, frame: Frame, within: ir.Block, over: ir.Block) -> None:
        """Take the frame's tokens, if they are there."""
        conforms = self.conforming.ask(self.code, bucket, frame)
        self.code.builder.cbranch(self.code.compare(conforms, "!=", 0), within, over)

    def _keyed(self, rule: Rule, rate: Rate, frame: Frame, within: ir.Block, over: ir.Block) -> None:
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
        conforms = self.conforming.ask(code, bucket.get(), frame)
        done = block("done")
        code.builder.cbranch(code.compare(is_new.get(), "!=", 0), moving, done)
        code.builder.position_at_end(moving)
        memory.update(buckets, key, code.load(bucket.get(), I64, align=8))
        code.builder.branch(done)
        code.builder.position_at_end(done)
        code.builder.cbranch(code.compare(conforms, "!=", 0), within, over)
