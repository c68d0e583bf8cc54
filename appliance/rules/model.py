"""What a rule set is once it has been read and found right: resolved, immutable, ready to compile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from appliance.errors import SourceLine
from appliance.rules.conditions import Condition
from appliance.rules.remembered import Block, KeyPart, Rate, Retransmit
from appliance.rules.sets.contents import Contents
from appliance.rules.sets.elements import ElementType
from appliance.rules.stages.bitcode import Bitcode
from appliance.rules.stages.object_file import ObjectFile
from appliance.rules.tunnels import Tunnels
from appliance.rules.values import Addresses

# What decides a frame when no rule does. They are counted behind the rules, in this order, and no rule has such an id.
ALLOWLIST, POLICY, MALFORMED = "allowlist", "policy", "malformed"
VERDICT_COUNTERS = (ALLOWLIST, POLICY, MALFORMED)


class Action(Enum):
    """What becomes of a frame that a rule matches; `actions.ACTIONS` says what each of them is. TX is an answer of
    stages alone: the frame leaves where it came from."""

    PASS = "pass"
    DROP = "drop"
    COUNT = "count"
    BLOCK = "block"
    REJECT = "reject"
    MIRROR = "mirror"
    MARK = "mark"
    SYN_PROXY = "syn-proxy"
    CHALLENGE = "challenge"
    TX = "tx"
    REDIRECT = "redirect"


class Mode(Enum):
    """MONITOR counts what would have been done, and does nothing."""

    ENFORCE = "enforce"
    MONITOR = "monitor"


class Direction(Enum):
    """Which way a frame goes: IN comes from outside, OUT from inside."""

    IN = "in"
    OUT = "out"
    BOTH = "both"

    def covers(self, way: Direction) -> bool:
        """Whether a rule of this direction judges frames that go that way (IN or OUT)."""
        return self in (way, Direction.BOTH)

    @property
    def opposite(self) -> Direction:
        """The way of what answers frames that go this way."""
        return {Direction.IN: Direction.OUT, Direction.OUT: Direction.IN}.get(self, self)


@dataclass(frozen=True, slots=True)
class LiveSet:
    """A named set that lies in maps of its own, and whose elements come and go while frames flow.

    `sizes`, which a document gives if `is_sized`, are the room of its maps, in keys, in the order of `type.parts`.
    Two sets of other contents are equal: their rules are the same code.
    """

    name: str
    type: ElementType
    sizes: tuple[int, ...]
    contents: Contents = field(compare=False, repr=False)
    is_sized: bool = False

    def fits(self, other: LiveSet) -> bool:
        """Whether its elements have room in the other one's maps."""
        counts = map(self.contents.count, self.type.parts)
        return self.type == other.type and all(n <= room for n, room in zip(counts, other.sizes, strict=True))


class RejectBy(Enum):
    """What a rejected frame is answered with. EITHER resets TCP, and tells of everything else that the port is
    unreachable. The value is what a document says; its place is that in programs/stages/reject.c, from 1 on."""

    RESET = "tcp-reset"
    PORT = "icmp-port"
    ADMIN = "icmp-admin"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Reject:
    """An answer, no more often than `rate` says; beyond that the frame is dropped without one."""

    by: RejectBy
    rate: Rate


@dataclass(frozen=True, slots=True)
class SynCookies:
    """How the action `syn-proxy` answers a SYN. `resets`: by what makes a client reset the connection, and come again;
    else by a SYN-ACK, and the box opens the connection to the server afterwards. `mss` is the segment size over IPv4
    that clients are told of the server; `timestamps` whether they are offered time stamps."""

    resets: bool
    mss: int
    timestamps: bool


@dataclass(frozen=True, slots=True)
class SynProxy:
    """What all rules with the action `syn-proxy` share. `flows` connections are translated at once, `sources` clients
    known at once, for `remember` seconds; flows are forgotten after `idle` seconds, and after `closing` behind their
    end. Clients are told that windows are to be shifted by `window_scale`."""

    flows: int
    sources: int
    remember: float
    idle: float
    closing: float
    window_scale: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `index` is its place in the order of evaluation and in the counters; `block` is what it does beside its
    action to whoever sent the frame; `reject` and `dscp` say more of the actions REJECT and MARK,
    `to` is the interface of REDIRECT and MIRROR."""

    id: str
    index: int
    conditions: tuple[Condition, ...]
    action: Action
    mode: Mode
    direction: Direction
    rate: Rate | None
    retransmit: Retransmit | None
    description: str
    where: SourceLine
    block: Block | None = None
    reject: Reject | None = None
    dscp: int | None = None
    to: str | None = None
    syn_cookies: SynCookies | None = None
    challenge: str | None = None  # the id of the stage that it asks

    @property
    def effects(self) -> tuple[object, ...]:
        """All that it does with a frame that it decides: rules of the same effects decide alike."""
        return self.action, self.block, self.reject, self.dscp, self.to, self.challenge, self.syn_cookies

    @property
    def blocked_id(self) -> str:
        """What the frames of those whom it has blocked are counted as."""
        return f"{self.id}.blocked"

    @property
    def remembered(self) -> tuple[KeyPart, ...]:
        """The fields by which it remembers frames: those of its rate and of its block."""
        return (self.rate.per if self.rate else ()) + (self.block.by if self.block else ())


class Place(Enum):
    """Where a stage stands: before the rules, which see its mark, between the last rule and the policy, or wherever a
    rule asks it. FIRST is before connections are tracked, and no place that a document can name."""

    FIRST = "first"
    BEFORE_RULES = "before-rules"
    AFTER_RULES = "after-rules"
    IN_RULES = "in-rules"


@dataclass(frozen=True, slots=True)
class Stage:
    """A function in a file of bitcode, asked for every frame of its direction that nothing before it decides; or a
    program of an object, which decides in place of the policy. `constants` are what bitcode wants to be given."""

    id: str
    code: Bitcode | ObjectFile
    program: str
    place: Place
    mode: Mode
    direction: Direction
    constants: Mapping[str, int]
    where: SourceLine

    @property
    def is_called(self) -> bool:
        return isinstance(self.code, ObjectFile)


@dataclass(frozen=True, slots=True)
class Connections:
    """Connection tracking: how many flows are remembered, and for how long, in seconds.

    `entries` are flows that are kept, `openings` those that have only begun. `grace` is how long a box that has just
    started learns flows that it doesn't know; `asymmetric` says that it sees one direction only.
    """

    entries: int
    openings: int
    tcp_opening: float
    tcp_established: float
    tcp_closing: float
    tcp_closed: float
    udp: float
    icmp: float
    other: float
    grace: float
    asymmetric: bool


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A whole rule set. `texts` are the files that it was read from, the first one first, for the line information.

    `sets` are those that lie in maps; the elements of the others are in the conditions. `tunnels` is None where none
    are looked into.
    """

    file: str
    policy: Action
    malformed: Action
    mode: Mode
    direction: Direction
    allowlist: Addresses
    rules: tuple[Rule, ...]
    texts: Mapping[str, str]
    sets: Mapping[str, LiveSet] = field(default_factory=dict)
    allowlist_sets: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    connections: Connections | None = None
    syn_proxy: SynProxy | None = None
    tunnels: Tunnels | None = None

    def in_rooms_of(self, other: RuleSet) -> RuleSet:
        """The same with live sets as large as the other one's of their names, wherever their elements have room there
        and no document says how large they are: a list that has grown is no reason for other code."""
        sets = {
            name: replace(found, sizes=known.sizes)
            if (known := other.sets.get(name)) and not (found.is_sized or known.is_sized) and found.fits(known)
            else found
            for name, found in self.sets.items()
        }
        return replace(self, sets=sets)
