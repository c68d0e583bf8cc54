"""Which maps a compiled rule set has, how they are named, and what their entries mean.

    rule_counters   per-CPU array   rule index ── packets, bytes   then stages, blocks, allowlist, policy, malformed
    parse_errors    per-CPU array   index in PARSE_ERRORS ── frames
    frame           per-CPU array   0 ── the fields of the frame being judged, in a set that is cut into functions
    called          programs        number of a stage that is an object ── its program
    rate_ID         array           0 ── the theoretical arrival time of a rule's bucket
    reject_ID       array           0 ── the same, of a rule's answers
    rsrc_ID rdst_ID LRU hash        host ── the same, of each IPv4 address or IPv6 /64 that came twice
    rkey…_ID        LRU hash        what a rate is per (keys.py) ── the same
    newcomers       array           set ── the same, of who came once, of all rules (newcomers.py)
    known_ID        LRU hash        host ── until when the source is known
    tries_ID        LRU hash        address, ports, sequence number ── when the segment last came, what acknowledges
                                    its answer
    answers_ID      array           hash of the same ── what acknowledges the answer
    blocks_KEY      LRU hash        what rules block by (keys.kind) ── until when, and which rule did it (blocks.py)
    set4_… set6_…   LPM trie        prefix ── 1, for sets too large for compares
    bits_…          array           number / 64 ── 64 bits, for sets of numbers below 65536 too large for compares
    nums_…          LPM trie        prefix of 64 bits ── 1, for sets of larger numbers too large for compares
    in4_NAME, in6_… LPM trie        a live set, by its name ── 1 (rules.sets.elements)
    port_, mac_, number_, tuple…    the same of other types

The names of a rule's maps hold its id, so that a reload which keeps the id finds the state under the same name; the
name of a constant set's map is a digest of its elements, so that a set which changes is another map; a live set's map
stays, and its entries change. A kernel shows the first 15
characters of a name (BPF_OBJ_NAME_LEN), and keeps nothing apart by them.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from appliance.ebpf.map_types import MapType
from appliance.errors import SourceLine
from appliance.rules.code.bpf_module import MapShape
from appliance.rules.code.parser.cursor import PARSE_ERRORS
from appliance.rules.model import (
    ALLOWLIST,
    MALFORMED,
    POLICY,
    VERDICT_COUNTERS,
    Action,
    Direction,
    LiveSet,
    Mode,
    Rule,
    RuleSet,
    Stage,
)

COUNTERS = "rule_counters"
ERRORS = "parse_errors"
FRAME = "frame"
CALLED = "called"

# What a stage can answer, each with a counter `ID.ANSWER`, in the order of the XDP actions of these names.
ANSWERS = (Action.DROP, Action.PASS, Action.TX, Action.REDIRECT)

_SIZED_BY = {  # of all others it is `sources`
    "rate": "rate",
    "tries": "tries",
    "answers": "answers",
    "reject": "reject",
}

# Ids are of small letters, digits, `-`, `_` and `.`; capitals are free to stand for what an identifier can't hold.
_AS_IDENTIFIER = str.maketrans({"-": "_", "_": "U", ".": "D"})

NO_PREALLOC = 1  # BPF_F_NO_PREALLOC, include/uapi/linux/bpf.h: a trie takes no other


class CounterValue(ctypes.Structure):
    """A value of `rule_counters`: frames counted, and their bytes from the Ethernet header on."""

    _fields_ = (("packets", ctypes.c_uint64), ("bytes", ctypes.c_uint64))


@dataclass(frozen=True, slots=True)
class Counted:
    """Something with a counter. `index` is its key in `rule_counters`; `where` is None for what is no rule."""

    id: str
    index: int
    action: Action
    mode: Mode
    where: SourceLine | None = None


@dataclass(frozen=True, slots=True)
class CompiledRules:
    """A rule set as an object, and what an object can't say of itself.

    `object` is an ELF file with two XDP programs, compile.INWARD_PROGRAM and OUTWARD_PROGRAM. `contents` are the
    entries that its set maps must be given, as (key, value) bytes, before a program runs. `sets` are the live ones
    that a rule uses, by name. `state_maps` are the maps that a reload hands over: name → what it is to the operator
    (see state_use). `counted` are the rules in order, then the answers of stages (see stage_index), those whom rules
    blocked (see blocked_index), then VERDICT_COUNTERS. `called` are the stages whose objects have to be loaded as
    well, by their places in the array CALLED. `exits` are what the entries of maps of interfaces, by their names, must
    be: an interface of that name, or the one where frames of that direction leave (redirects).
    """

    object: bytes
    source: str
    counted: tuple[Counted, ...]
    contents: Mapping[str, Sequence[tuple[bytes, bytes]]]
    state_maps: Mapping[str, str]
    sets: Mapping[str, LiveSet]
    seconds: float
    rule_count: int
    called: Mapping[int, Stage] = field(default_factory=dict)
    exits: Mapping[str, tuple[str | Direction, ...]] = field(default_factory=dict)
    counters: str = COUNTERS
    parse_errors: str = ERRORS
    parse_error_reasons: tuple[str, ...] = PARSE_ERRORS

    @property
    def rules(self) -> tuple[Counted, ...]:
        """The rules alone, in order."""
        return self.counted[: self.rule_count]


def counted(rules: RuleSet) -> tuple[Counted, ...]:
    """Everything that a rule set counts, in the order of the counters."""
    verdicts = {ALLOWLIST: Action.PASS, POLICY: rules.policy, MALFORMED: rules.malformed}
    return (
        *(Counted(rule.id, rule.index, rule.action, rule.mode, rule.where) for rule in rules.rules),
        *(each for number in range(len(rules.stages)) for each in _counted_of_stage(rules, number)),
        *(
            Counted(rule.blocked_id, blocked_index(rules, rule), Action.DROP, rule.mode, rule.where)
            for rule in _blocking(rules)
        ),
        *(
            Counted(name, verdict_index(rules, name), verdicts[name], Mode.ENFORCE if name == ALLOWLIST else rules.mode)
            for name in VERDICT_COUNTERS
        ),
    )


def _counted_of_stage(rules: RuleSet, number: int) -> Iterator[Counted]:
    """What is counted of a stage: its answers, or, of one that is called and never comes back, that it was."""
    stage = rules.stages[number]
    if stage.is_called:
        yield Counted(stage.id, stage_index(rules, number, ANSWERS[0]), Action.COUNT, stage.mode, stage.where)
        return
    for action in ANSWERS:
        yield Counted(f"{stage.id}.{action.value}", stage_index(rules, number, action), action, stage.mode, stage.where)


def counters_shape(rules: RuleSet) -> MapShape:
    entries = _behind_blocks(rules) + len(VERDICT_COUNTERS)
    return MapShape(MapType.PERCPU_ARRAY, 4, ctypes.sizeof(CounterValue), entries)


def errors_shape() -> MapShape:
    return MapShape(MapType.PERCPU_ARRAY, 4, 8, len(PARSE_ERRORS))


def verdict_index(rules: RuleSet, name: str) -> int:
    """The index in `rule_counters` of one of VERDICT_COUNTERS."""
    return _behind_blocks(rules) + VERDICT_COUNTERS.index(name)


def stage_index(rules: RuleSet, number: int, answer: Action) -> int:
    """The index in `rule_counters` of an answer of the stage of that number."""
    return len(rules.rules) + number * len(ANSWERS) + ANSWERS.index(answer)


def _behind_stages(rules: RuleSet) -> int:
    return len(rules.rules) + len(rules.stages) * len(ANSWERS)


def blocked_index(rules: RuleSet, rule: Rule) -> int:
    """The index in `rule_counters` of the frames of those whom a rule has blocked."""
    return _behind_stages(rules) + [each.index for each in _blocking(rules)].index(rule.index)


def _blocking(rules: RuleSet) -> list[Rule]:
    return [rule for rule in rules.rules if rule.block]


def _behind_blocks(rules: RuleSet) -> int:
    return _behind_stages(rules) + len(_blocking(rules))


def digest(id_: str) -> int:
    """64 bits that stand for a rule, also after a reload that moves rules."""
    return int.from_bytes(hashlib.sha256(id_.encode()).digest()[:8], "little")


def state_name(kind: str, rule: Rule) -> str:
    """The name of a rule's state map of that kind: one for each id, as an identifier of C."""
    return f"{kind}_{rule.id.translate(_AS_IDENTIFIER)}"


def state_use(kind: str, rule: Rule) -> str:
    """What a rule's state map is to the operator: the rule's id and the key that says how much it holds."""
    return f"{rule.id}.{_SIZED_BY.get(kind, 'sources')}"


def set_name(kind: str, contents: object) -> str:
    """The name of a set's map of that kind, by 128 bits of a digest."""
    return f"{kind}_{hashlib.sha256(repr(contents).encode()).hexdigest()[:32]}"
