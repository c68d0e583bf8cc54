"""The test of a source by its TCP: it sends again what got no answer, and it acknowledges what it was answered.

      source               box                        server
        │ SYN n, ports      │                            │
        ├──────────────────>│ tries[source, ports, n] = now          dropped: the first try
        │        …          │                            │
        ├──────────────────>├───────────────────────────>│           passed: `after` to `before` seconds later
        │                   │              SYN-ACK m, n+1│
        │<──────────────────┼────────────────────────────┤           tries[…].answer = answers[hash] = m + 1
        │ ACK n+1, m+1      │                            │
        ├──────────────────>├───────────────────────────>│           known[source] = now + `remember`

A forged source can repeat its SYN in time, and that lets this one SYN pass, but it never hears `m`, and so it is never
known: it would have to guess 32 bits. SYNs of a known source pass. In the second half of its time its tries are
written down again, so that its next handshake, and nothing less, keeps it known.

Two maps, so that a flood of first tries can't push out those who are known. A third, `answers`, spares every other ACK
of every connection the lookup in `tries`, which is large: it is an array of acknowledgement numbers by a hash of the
connection, small enough for a processor's cache. What hashes to one place overwrites each other; who loses so is served
all the same, and becomes known by another connection.

The SYN and the ACK are seen by the program of the rule's direction, the SYN-ACK by the one of the other direction.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ir import I32, I64, U32, Pointer
from appliance.rules.code.bpf_module import MapShape
from appliance.rules.code.fields import HOST_SIZE
from appliance.rules.code.state.memory import Memory
from appliance.rules.model import Rule
from appliance.rules.names import TCP_FLAGS
from appliance.rules.remembered import Retransmit

_SYN, _RST, _ACK = (TCP_FLAGS[name] for name in ("syn", "rst", "ack"))
_HANDSHAKE = _SYN | _RST | _ACK
_ANSWERED = 1 << 32  # a bit that no acknowledgement number has
_ANSWERS_BITS = 16  # of the index of `answers`: 256 KiB
_GOLDEN_RATIO = 0x9E3779B97F4A7C15  # of 2**64: multiplicative hashing, Knuth, volume 3, section 6.4


class SegmentKey(ctypes.Structure):
    """What a retransmission has in common with the first try. The address is whole, and in network order."""

    _fields_ = (
        ("source_high", ctypes.c_uint64),
        ("source_low", ctypes.c_uint64),
        ("ports", ctypes.c_uint32),
        ("sequence", ctypes.c_uint32),
    )


class Try(ctypes.Structure):
    """What is known of a segment: when it last came, in nanoseconds; and 0, or ANSWERED and the number by which the
    source can acknowledge what it was answered."""

    _fields_ = (("time", ctypes.c_uint64), ("answer", ctypes.c_uint64))


@dataclass(frozen=True, slots=True)
class _Maps:
    known: Pointer
    tries: Pointer
    answers: Pointer


@dataclass(frozen=True, slots=True)
class _Ends:
    """Where a frame has the tested source: the side of its address, its port and that of its peer."""

    side: str
    port: str
    peer_port: str


_FROM_SOURCE = _Ends("source", "source_port", "destination_port")
_TO_SOURCE = _Ends("destination", "destination_port", "source_port")


class RetransmitTest:
    """Writes the test into one function. For one thread."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.code = memory.code
        self.fields = memory.fields
        self.matching = memory.matching

    def _maps(self, rule: Rule, test: Retransmit) -> _Maps:
        sizes = ctypes.sizeof(SegmentKey), ctypes.sizeof(Try)
        return _Maps(
            self.memory.state("known", rule, MapShape(MapType.LRU_HASH, HOST_SIZE, 8, test.sources)),
            self.memory.state("tries", rule, MapShape(MapType.LRU_HASH, *sizes, test.tries)),
            self.memory.state("answers", rule, MapShape(MapType.ARRAY, 4, 4, 1 << _ANSWERS_BITS)),
        )

    def gate(self, rule: Rule, test: Retransmit, passed: ir.Block) -> None:
        """Leave for `passed` if the source is known, or if this segment comes again in time. What comes again too early
        or too late is a first try again: who repeats himself without a pause never passes."""
        code, memory, maps = self.code, self.memory, self._maps(rule, test)
        after, before, remember = _nanoseconds(test)
        now = memory.time()
        unknown, late, first, refused = (self.matching.block(name) for name in ("unknown", "late", "first", "refused"))
        until = memory.lookup(maps.known, self.fields.keys["ip.src"], unknown)
        left = code.sub(code.load(until, I64, align=8), now)
        self.matching.unless(code.compare(left, "<=", remember), unknown)  # past is huge: times are unsigned
        code.builder.cbranch(code.compare(left, ">", remember // 2), passed, late)
        code.builder.position_at_end(late)
        memory.update(maps.tries, self._segment(_FROM_SOURCE, self.fields["tcp.seq_raw"]), now, 0)
        code.builder.branch(passed)

        code.builder.position_at_end(unknown)
        key = self._segment(_FROM_SOURCE, self.fields["tcp.seq_raw"])
        time = code.field(memory.lookup(maps.tries, key, first), Try, "time")
        age = code.sub(now, time.load())
        time.store(now)
        code.builder.cbranch(code.compare(code.sub(age, after), "<=", before - after), passed, refused)
        code.builder.position_at_end(first)
        memory.update(maps.tries, key, now, 0)
        code.builder.branch(refused)
        code.builder.position_at_end(refused)

    def note_answer(self, rule: Rule, test: Retransmit) -> None:
        """Of a SYN-ACK that leaves, note what will acknowledge it, if what it answers was tested."""
        code, maps, fields = self.code, self._maps(rule, test), self.fields
        done = self._only_if_flags(_SYN | _ACK)
        behind = fields["tcp.ack_raw"]
        found = self.memory.lookup(maps.tries, self._segment(_TO_SOURCE, code.sub(behind, 1)), done)
        answer = code.add(fields["tcp.seq_raw"], 1)
        code.field(found, Try, "answer").store(code.or_(code.resize(answer, I64), _ANSWERED))
        code.store(answer, self._answer(maps, _TO_SOURCE, behind, done), align=4)
        code.builder.branch(done)
        code.builder.position_at_end(done)

    def note_acknowledgement(self, rule: Rule, test: Retransmit) -> None:
        """Make a source known by an ACK that answers what it was answered, not later than `before` seconds."""
        code, maps, fields = self.code, self._maps(rule, test), self.fields
        _, before, remember = _nanoseconds(test)
        done = self._only_if_flags(_ACK)
        behind, answer = fields["tcp.seq_raw"], fields["tcp.ack_raw"]
        expected = code.load(self._answer(maps, _FROM_SOURCE, behind, done), I32, align=4)
        self.matching.unless(code.compare(expected, "==", answer), done)
        found = self.memory.lookup(maps.tries, self._segment(_FROM_SOURCE, code.sub(behind, 1)), done)
        wanted = code.or_(code.resize(answer, I64), _ANSWERED)
        self.matching.unless(code.compare(code.field(found, Try, "answer").load(), "==", wanted), done)
        now = self.memory.time()
        age = code.sub(now, code.field(found, Try, "time").load())
        self.matching.unless(code.compare(age, "<=", before), done)
        self.memory.update(maps.known, fields.keys["ip.src"], code.add(now, remember))
        code.builder.branch(done)
        code.builder.position_at_end(done)

    def _only_if_flags(self, flags: int) -> ir.Block:
        """Go on in TCP segments with just these flags of a handshake; the block where all others go."""
        done = self.matching.block("done")
        found = self.code.and_(self.fields["tcp.flags"], _HANDSHAKE)
        self.matching.unless(self.code.compare(found, "==", flags), done)
        return done

    def _ports(self, ends: _Ends) -> U32:
        both: U32 = self.code.or_(self.code.shl(self.fields[ends.port], 16), self.fields[ends.peer_port])
        return both

    def _segment(self, ends: _Ends, sequence: U32) -> Pointer:
        """The key of a source's try."""
        code, fields, key = self.code, self.fields, self.memory.key
        for name, value in (
            ("source_high", code.swap_bytes(fields[f"{ends.side}_high"])),
            ("source_low", code.swap_bytes(fields[f"{ends.side}_low"])),
            ("ports", self._ports(ends)),
            ("sequence", sequence),
        ):
            code.field(key, SegmentKey, name).store(value)
        return key

    def _answer(self, maps: _Maps, ends: _Ends, behind: U32, missing: ir.Block) -> Pointer:
        """The place in `answers` of the connection whose SYN stood before that sequence number."""
        code, fields = self.code, self.fields
        address = code.xor(fields[f"{ends.side}_high"], fields[f"{ends.side}_low"])
        rest = code.or_(code.shl(code.resize(self._ports(ends), I64), 32), code.resize(behind, I64))
        index = code.shr(code.mul(code.add(address, rest), _GOLDEN_RATIO), 64 - _ANSWERS_BITS)
        code.store(code.resize(index, I32), self.memory.key, align=4)
        return self.memory.lookup(maps.answers, self.memory.key, missing)


def _nanoseconds(test: Retransmit) -> tuple[int, int, int]:
    after, before, remember = (round(seconds * 10**9) for seconds in (test.after, test.before, test.remember))
    return after, before, remember
