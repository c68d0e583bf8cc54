"""What a program knows of the frame that it judges: every field that a matcher can read, and what it keeps beside them.

In a small rule set the fields are variables of the one function, which LLVM keeps in registers where it can. A large
set is cut into functions, and its fields lie in a record, the address of which the program hands to them. So they do
where tunnels are looked into: the parser is a function then, called for each level (parser.levels).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from llvmlite import ir

from appliance.ir import I32, I64, Code, Value, Variable
from appliance.rules.conditions import matched
from appliance.rules.layers import OUTER, PRESENCE, AnyLayer, Layer, OuterLayer
from appliance.rules.matchers import FIELDS, OUTER_FIELDS, Matcher, version_of
from appliance.rules.model import Action, Rule
from appliance.rules.parsed import PARSED, Field
from appliance.rules.stages import contract
from appliance.rules.tunnels import Tunnels

# what the program itself keeps: the time, once a rule has asked for it; whether a monitored rule has matched; and which
# rules tables have found, one that decides and one that is monitored (classifier.layout)
STATE = (Field("now", 64), Field("monitored"), Field("deciding", 64), Field("noted", 64))

# what stages get beside what the parser finds (stages.contract)
OF_STAGES = (
    *(Field(name, 64) for name in ("layer3", "layer4", "payload")),
    *map(
        Field,
        ("payload_length", "way", "stage_monitored", "ct.commit", "proved", "dscp", "quoted_change", "reject"),
    ),
)

# what the parser of one level leaves for the next one (parser.levels): where it begins and ends in the frame, its
# ethertype, whether it is in a first fragment; why a frame is malformed; and what LevelCursor.settle puts aside
PLACES = ("layer3", "layer4", "layer4_length", "payload", "payload_length", "upper", "elsewhere")
LEVEL = (
    *(Field("level_start", 64), Field("level_end", 64), Field("level_type"), Field("level_cut"), Field("reason")),
    *(Field(name, 64 if name in ("layer3", "layer4", "payload") else 32) for name in PLACES),
)

HOST_SIZE = 16  # bytes of a key that says whose an address is: IPv4 mapped into IPv6, or the /64 and zeros
SIDES = {"ip.src": "source", "ip.dst": "destination"}

# where a rule wants a copy of the frame to go (redirects)
OF_RULES = (Field("mirror"),)

_EVERY = {**FIELDS, **OUTER_FIELDS, **{field.name: field for field in (*STATE, *OF_RULES, *OF_STAGES, *LEVEL)}}
_TYPES: dict[int, ir.IntType] = {32: I32, 64: I64}
_C_TYPES = {32: ctypes.c_uint32, 64: ctypes.c_uint64}
# what the program has beside the record: what the parser works out, and what a walk through tables reads (walk)
_PROGRAM = (
    *(field.name for field in PARSED if not field.is_optional),
    "source_port",
    "destination_port",
    "icmp_type",
    "icmp_code",
)
_OF_PROGRAM = {name: _EVERY[name] for name in _PROGRAM}
# between levels every field lies in the record, and the allowlist asks for the outermost addresses
_WITH_TUNNELS = (*(field.name for field in LEVEL), *_PROGRAM, f"{OUTER}version", "tunnel_depth", "tunnel_more")
_ALWAYS = ("length", "version", *(field.name for field in STATE))
# what rates and retransmissions read beside the conditions (token_bucket, retransmit)
_RETRANSMIT = ("transport", "source_port", "destination_port", "tcp.flags", "tcp.seq_raw", "tcp.ack_raw")
_ADDRESSES = tuple(f"{side}_{half}" for side in SIDES.values() for half in ("high", "low"))


class FrameLayout:
    """What the programs of one rule set know of a frame: the fields that its rules read, and those alone. Any thread.

    `names` are the fields, `layers` what the rules ask for. `record` is the structure that holds the fields where they
    aren't variables: what stages are given, if there are any, then other fields, and whose the addresses are as keys of
    maps (keys.write_hosts), in network order.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        others: Iterable[Matcher] = (),
        tunnels: Tunnels | None = None,
        *,
        for_stages: bool = False,
    ) -> None:
        """`others` are matchers that are read whether a rule asks for them or not; so is what stages get."""
        rules = tuple(rules)
        matchers = [*others, *(each for rule in rules for condition in rule.conditions for each in matched(condition))]
        parts = [part for rule in rules for part in rule.remembered]
        addresses = [part.field for part in parts if part.lengths]
        shown = [presence.field for part in parts if (presence := PRESENCE[part.layer])]
        read = {*_ALWAYS, *_ADDRESSES, *shown, *(part.field for part in parts)}
        read.update(f"{side}_{half}" for side in addresses for half in ("high", "low"))
        read.update(version_of(side) for side in addresses)
        read.update(name for matcher in matchers for name in matcher.reads)
        if any(rule.retransmit for rule in rules):
            read.update(_RETRANSMIT)
        if any(rule.action is Action.MIRROR for rule in rules):
            read.add("mirror")
        shared = contract.FRAME if for_stages else ()
        read.update(name for name, _ in shared)
        if tunnels:
            read.update(_WITH_TUNNELS)
        outer = [name for name in read if name.startswith(OUTER)]
        read.update(name.removeprefix(OUTER) for name in outer)
        self.tunnels, self.for_stages = tunnels, for_stages
        self.layers = frozenset(_inside([*(each.layer for each in matchers), *(part.layer for part in parts)]))
        self.slices = {matcher.fields[0]: matcher.slice for matcher in matchers if matcher.slice}
        sliced = {name: Field(name, 64) for name in sorted(self.slices)}
        self.kept = {name: field for name, field in {**_EVERY, **sliced}.items() if name in read}
        self.names = tuple(self.kept)
        self.record = _record(shared, self.kept.values())

    @property
    def outer(self) -> tuple[str, ...]:
        """The fields that have another one outside of all tunnels."""
        return tuple(name.removeprefix(OUTER) for name in self.names if name.startswith(OUTER))


def _inside(layers: Iterable[AnyLayer]) -> Iterator[Layer]:
    """What the parser has to read for these layers."""
    for layer in layers:
        yield layer.layer if isinstance(layer, OuterLayer) else layer


def _record(shared: Sequence[tuple[str, Any]], kept: Iterable[Field]) -> type[ctypes.Structure]:
    """What is shared with stages; then the widest fields first, so that there are no holes."""
    names = {name for name, _ in shared}
    fields = sorted((field for field in kept if field.name not in names), key=lambda field: -field.width)
    keys = [(f"{side}_key", ctypes.c_uint64 * 2) for side in SIDES.values()]
    described = [*shared, *keys, *((field.name, _C_TYPES[field.width]) for field in fields)]
    return type("FrameRecord", (ctypes.Structure,), {"_fields_": described})


class Numbers(Protocol):
    """What conditions compare, by the names that matchers have for it."""

    def __getitem__(self, name: str) -> Value: ...


class Fields:
    """The fields in one function being written. `keys` are pointers to keys of maps (keys.write_hosts).
    For one thread."""

    def __init__(
        self, code: Code, layout: FrameLayout, variables: Mapping[str, Variable[Value]], keys: Mapping[str, Value]
    ) -> None:
        self.code = code
        self.layers = layout.layers
        self.slices = layout.slices
        self.variables = variables
        self.keys = keys

    @classmethod
    def local(cls, code: Code, layout: FrameLayout) -> Fields:
        """Variables of that function."""
        keys = {name: code.buffer(HOST_SIZE) for name in SIDES}
        return cls(code, layout, _variables(code, {**_OF_PROGRAM, **layout.kept}.values()), keys)

    @classmethod
    def inside(cls, code: Code, layout: FrameLayout, record: Value) -> Fields:
        """The fields of a record at that address."""
        variables = {}
        for name in layout.names:
            type_ = _TYPES[layout.kept[name].width]
            place = code.field(record, layout.record, name).address
            variables[name] = Variable(code, type_, code.typed(place, type_))
        keys = {name: code.field(record, layout.record, f"{side}_key").address for name, side in SIDES.items()}
        return cls(code, layout, variables, keys)

    @classmethod
    def parsed_into(cls, code: Code, layout: FrameLayout, record: Value) -> Fields:
        """The fields of a record at that address, and variables for what only the program needs."""
        fields = cls.inside(code, layout, record)
        rest = [field for name, field in _OF_PROGRAM.items() if name not in layout.kept]
        return cls(code, layout, {**_variables(code, rest), **fields.variables}, fields.keys)

    def clear(self) -> None:
        """Set every field to 0."""
        self.set(**dict.fromkeys(self.variables, 0))

    def __getitem__(self, name: str) -> Value:
        return self.variables[name].get()

    def set(self, **values: Value) -> None:
        """Set fields; wider or narrower values are resized. What nothing reads is left out."""
        for name, value in values.items():
            variable = self.variables.get(name)
            if variable is None:
                continue
            variable.set(value if isinstance(value, int) else self.code.resize(value, variable.type))


def _variables(code: Code, fields: Iterable[Field]) -> dict[str, Variable[Value]]:
    return {field.name: code.variable(_TYPES[field.width]) for field in fields}
