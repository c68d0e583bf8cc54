"""What a rule's rate or test says of a frame that it matches, with what it remembers of earlier ones.

The same arithmetic as `token_bucket` and `retransmit` of `code.state`, in plain Python and with memory for everybody:
where the maps' room is enough, both say the same. Time is in nanoseconds, modulo 2**64.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from appliance.rules.code.state.keys import kind
from appliance.rules.code.state.token_bucket import CLOCK_SLACK, GUARD, SECOND, TICKS, Bounds, Cost
from appliance.rules.matchers import MATCHERS, version_of
from appliance.rules.model import Direction, Rule
from appliance.rules.names import TCP_FLAGS
from appliance.rules.remembered import Block, KeyPart, Rate, Retransmit
from appliance.rules.walk.conditions import has_layer
from appliance.rules.walk.dissector import Dissected

_MODULUS = 1 << 64
_SYN, _RST, _ACK = (TCP_FLAGS[name] for name in ("syn", "rst", "ack"))
_HANDSHAKE = _SYN | _RST | _ACK
_FLAGS = MATCHERS["tcp.flags"].fields[0]
_ANSWERED = 1 << 32

Host = tuple[int, int]  # IP version, and the address in IPv4 or the /64 in IPv6
Key = tuple[tuple[int, int], ...]  # of each part of what a rate is per, IP version or 0, and value
Segment = tuple[Host, int, int, int, int]  # whole address with its low half, ports, sequence number


def host_of(frame: Dissected, side: str) -> Host:
    """Whose an address is."""
    version = frame["version"]
    return version, frame[f"{side}_low"] if version == 4 else frame[f"{side}_high"]


def key_of(per: tuple[KeyPart, ...], frame: Dissected) -> Key | None:
    """What a rate is per, of that frame; None if the frame lacks a part of it."""
    if not all(has_layer(frame, part.layer) for part in per):
        return None
    return tuple(_part(part, frame) for part in per)


def _part(part: KeyPart, frame: Dissected) -> tuple[int, int]:
    if part.lengths is None:
        return 0, frame[part.field]
    version = frame[version_of(part.field)]
    if version == 4:
        return version, frame[f"{part.field}_low"] >> 32 - part.lengths[0]
    return version, (frame[f"{part.field}_high"] << 64 | frame[f"{part.field}_low"]) >> 128 - part.lengths[1]


@dataclass(slots=True)
class Bucket:
    """A rule's token buckets: by what the rate is per, or one. For one thread."""

    rate: Rate
    arrivals: dict[Key, int] = field(default_factory=dict)

    def conforms(self, frame: Dissected, time_ns: int) -> bool:
        """Whether the frame is within the rate; then it has taken its tokens."""
        key = key_of(self.rate.per, frame)
        if key is None:
            return True
        now = time_ns * TICKS % _MODULUS
        ahead = (self.arrivals.get(key, now if key else 0) - now) % _MODULUS
        if self.rate.slower is None:
            return self._take(key, now, ahead, frame["length"])
        return self._hold(key, now, ahead, frame["length"], self.rate.slower)

    def _take(self, key: Key, now: int, ahead: int, length: int) -> bool:
        burst = Cost.of(self.rate).burst
        if ahead > burst + CLOCK_SLACK:
            ahead = 0
        ahead += _price(self.rate, length)
        if ahead > burst:
            return False
        self.arrivals[key] = (now + ahead) % _MODULUS
        return True

    def _hold(self, key: Key, now: int, ahead: int, length: int, slower: Rate) -> bool:
        """The same of a rate with `until`."""
        bounds = Bounds(Cost.of(self.rate).burst, round(self.rate.hold * SECOND))
        if bounds.calm < ahead <= bounds.top + CLOCK_SLACK:
            is_over, ahead = True, min(ahead + _price(slower, length), bounds.top)
        else:
            ahead = (0 if ahead > bounds.burst + GUARD else ahead) + _price(self.rate, length)
            is_over = ahead > bounds.burst
            ahead = bounds.top if is_over else ahead
        self.arrivals[key] = (now + ahead) % _MODULUS
        return not is_over


def _price(rate: Rate, length: int) -> int:
    """What a frame of that many bytes costs, in ticks."""
    cost = Cost.of(rate)
    return length * cost.factor >> cost.shift if cost.per_byte else cost.factor


class Blocks:
    """Whom rules have blocked: until when, and by which rule. For one thread."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        blocks = [rule.block for rule in rules if rule.block]
        self._keys = {kind(block.by): block.by for block in blocks}
        self._ends: dict[str, dict[Key, tuple[int, Rule]]] = {name: {} for name in self._keys}

    def begin(self, rule: Rule, block: Block, frame: Dissected, time_ns: int) -> None:
        """Block whom the frame is of."""
        key = key_of(block.by, frame)
        if key is not None:
            self._ends[kind(block.by)][key] = time_ns + block.nanoseconds, rule

    def holders(self, frame: Dissected, way: Direction, time_ns: int) -> Iterator[Rule]:
        """The rules of that direction that have blocked whom the frame is of, one for each kind of key."""
        for name, by in self._keys.items():
            key = key_of(by, frame)
            end = self._ends[name].get(key) if key is not None else None
            if end is not None and time_ns <= end[0] and end[1].direction.covers(way):
                yield end[1]


@dataclass(slots=True)
class Handshakes:
    """What a rule's retransmission test remembers: tries (when, and what acknowledges their answer, or 0), who is known
    until when, and by connection what acknowledges an answer. For one thread."""

    test: Retransmit
    tries: dict[Segment, list[int]] = field(default_factory=dict)
    known: dict[Host, int] = field(default_factory=dict)
    answers: dict[Segment, int] = field(default_factory=dict)

    @property
    def _nanoseconds(self) -> tuple[int, int, int]:
        after, before, remember = (
            round(seconds * 10**9) for seconds in (self.test.after, self.test.before, self.test.remember)
        )
        return after, before, remember

    def passes(self, frame: Dissected, now: int) -> bool:
        """Whether the source is known, or its segment comes again in time."""
        after, before, remember = self._nanoseconds
        segment = _segment(frame, "source", frame["tcp.seq_raw"])
        until = self.known.get(host_of(frame, "source"))
        left = (until - now) % _MODULUS if until is not None else remember + 1
        if left <= remember:
            if left <= remember // 2:
                self.tries[segment] = [now, 0]
            return True
        if segment not in self.tries:
            self.tries[segment] = [now, 0]
            return False
        age = (now - self.tries[segment][0]) % _MODULUS
        self.tries[segment][0] = now
        return (age - after) % _MODULUS <= before - after

    def note_answer(self, frame: Dissected) -> None:
        """Of a SYN-ACK, what will acknowledge it."""
        if frame[_FLAGS] & _HANDSHAKE != _SYN | _ACK:
            return
        behind = frame["tcp.ack_raw"]
        segment = _segment(frame, "destination", behind - 1)
        if segment in self.tries:
            answer = (frame["tcp.seq_raw"] + 1) % (1 << 32)
            self.tries[segment][1] = answer | _ANSWERED
            self.answers[segment] = answer

    def note_acknowledgement(self, frame: Dissected, now: int) -> None:
        """Of an ACK, that its source is known if it acknowledges what it was answered, in time."""
        if frame[_FLAGS] & _HANDSHAKE != _ACK:
            return
        _, before, remember = self._nanoseconds
        segment, answer = _segment(frame, "source", frame["tcp.seq_raw"] - 1), frame["tcp.ack_raw"]
        if self.answers.get(segment, 0) != answer or segment not in self.tries:
            return
        tried, expected = self.tries[segment]
        if expected == answer | _ANSWERED and (now - tried) % _MODULUS <= before:
            self.known[host_of(frame, "source")] = (now + remember) % _MODULUS


def _segment(frame: Dissected, side: str, sequence: int) -> Segment:
    """A segment of the host at that side, by its whole address."""
    peer = "destination" if side == "source" else "source"
    whole = frame[f"{side}_high"], frame[f"{side}_low"]
    return whole, frame[f"{side}_port"], frame[f"{peer}_port"], frame["version"], sequence % (1 << 32)
