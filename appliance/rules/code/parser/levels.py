"""Tunnels: a frame read level by level, each by the same function, until nothing wrapped is left or depth is.

    program                        parse_level(context, record) -> STOP, MALFORMED or INNER
      │ level 0: the whole frame            │
      ├────────────────────────────────────>│ link, IP, transport, as the parser of one level reads them
      │                                     │ what they wrap: where it begins and ends, and its ethertype
      │<────────────────────────────────────┤
      │ the first IP packet: allowlist; its fields are the outer ones
      │ INNER: level 1 … depth

The record is all that one level knows of the one before. What Linux reads out of it has any value, so it proves each
call by the same states, and a deeper walk costs it no more paths. Each level forgets the packet of the one before it
and leaves its own; the fields of a link stay until another one is read.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from appliance.ir import I32, I64, PTR, U1, U32, U64, Code, Pointer, Variable
from appliance.rules.code.bpf_module import BpfModule
from appliance.rules.code.fields import LEVEL, OF_RULES, OF_STAGES, PLACES, STATE, Fields, FrameLayout
from appliance.rules.code.parser.cursor import NO_TAGS, Cursor, context_pointer, frame_length, opaque
from appliance.rules.code.parser.parser import parse_link, parse_packet
from appliance.rules.code.parser.tunnels import TunnelReader
from appliance.rules.headers import ETHERNET
from appliance.rules.layers import OUTER
from appliance.rules.matchers import ABSENT_NUMBERS, FIELDS
from appliance.rules.parsed import TUNNEL_FIELDS
from appliance.rules.slices import ABSENT
from appliance.rules.tunnels import ETHERNET_FRAME

STOP, MALFORMED, INNER = 0, 1, 2
NAME, OUTERMOST = "parse_level", "keep_outermost"
# Bytes into the frame, behind which no level begins: Linux follows an offset into a packet up to 64 KiB, and the
# headers of a level are 17 KiB at most.
_FARTHEST = 0x3F00
_FARTHEST_LAYER4 = 0x7FFF

_OF_LINK = frozenset(
    ["ethertype", "vlan_depth", *NO_TAGS]
    + [name for name, field in FIELDS.items() if any(place.header is ETHERNET for place in field.places)]
)
_KEPT = frozenset(["length", *TUNNEL_FIELDS, *(field.name for field in (*STATE, *OF_RULES, *OF_STAGES, *LEVEL))])


class LevelCursor(Cursor):
    """A cursor in the function of a level, which begins and ends somewhere in the frame. For one thread."""

    def __init__(self, module: BpfModule, code: Code, layout: FrameLayout, malformed: ir.Block) -> None:
        self.layout = layout
        fields = Fields.parsed_into(code, layout, code["record"])
        super().__init__(module, code, fields, lambda family: None, malformed)

    def forget(self) -> None:
        """The packet of the level before. The link's fields are forgotten where another link is read."""
        code = self.code
        self.start: U64 = self["level_start"]
        # compared again, for who proves the function alone
        with code.if_(code.compare(self.start, ">", _FARTHEST)):
            code.ret(STOP)
        self.stop = code.variable(I64, self["level_end"])
        self.cut = code.variable(I32, self["level_cut"])
        self.ethertype = code.variable(I32, self["level_type"])
        packet = [name for name in self.fields.variables if not (name in _KEPT | _OF_LINK or name.startswith(OUTER))]
        self.set(**dict.fromkeys(packet, 0))
        self.set(**dict.fromkeys(self.fields.slices, ABSENT))

    def behind(self, size: int) -> U64:
        start: U64 = self.code.add(self.start, size)
        return start

    def left(self, offset: U64) -> U64:
        left: U64 = self.code.sub(self.stop.get(), offset)
        return left

    def claimed(self, length: U32, offset: U64, reason: str) -> U32:
        """The same; but of a packet that is in a first fragment, the rest may be in others."""
        code = self.code
        left = self.left(offset)
        is_longer = code.compare(code.resize(length, I64), ">", left)
        self.refuse_if(code.and_(is_longer, code.compare(self.cut.get(), "==", 0)), reason)
        there: U32 = code.select(is_longer, code.resize(left, I32), length)
        return there

    def settle(self) -> None:
        """Put aside what is known of layer 4 and read it again, which LLVM does not see through: Linux would prove what
        follows for each of a dozen ways to get there."""
        code, layout = self.code, self.layout
        known = {name: getattr(self, name) for name in PLACES}
        known |= {"level_end": self.stop, "level_cut": self.cut, "level_type": self.ethertype}
        self.set(**{name: variable.get() for name, variable in known.items()})
        aside = Fields.inside(code, layout, opaque(code, code["record"]))
        for name, variable in known.items():
            variable.set(aside[name])
        for offset in (self.layer3, self.layer4, self.payload):
            with code.if_(code.compare(offset.get(), ">", _FARTHEST_LAYER4)):
                code.ret(STOP)

    def is_whole(self) -> U1:
        return self.code.compare(self.code.or_(self["fragment"], self.cut.get()), "==", 0)

    def _is_beyond(self, pointer: Pointer, offset: U64 | int, size: int) -> U1:
        """Beyond the end of the level, too."""
        code = self.code
        return code.or_(
            super()._is_beyond(pointer, offset, size),
            code.compare(code.add(code.value(offset, I64), size), ">", self.stop.get()),
        )


def parse_levels(
    module: BpfModule,
    code: Code,
    layout: FrameLayout,
    record: Pointer,
    on_addresses: Callable[[int], None],
    malformed: ir.Block,
) -> Variable[U32]:
    """Write the walk over all levels into a program. `on_addresses(family)` writes what is to happen once the outermost
    IP addresses are known; a malformed frame goes to `malformed`. Gives the index of the reason."""
    tunnels = layout.tunnels
    assert tunnels is not None
    level, outermost = _level(module, layout), _outermost(module, layout)
    fields = Fields.inside(code, layout, record)
    data, end = context_pointer(code, "data"), context_pointer(code, "data_end")
    length = frame_length(code, data, end)
    fields.clear()
    fields.set(length=length, level_end=length, level_type=ETHERNET_FRAME)
    fields.set(**ABSENT_NUMBERS)
    depth, reason = code.variable(I64, 0), code.variable(I32, 0)
    with code.loop() as levels:
        answer = code.call(level, code["context"], record)
        family = code.call(outermost, record)
        for version in (4, 6):
            with code.if_(code.compare(family, "==", version)):
                on_addresses(version)
        with code.if_(code.compare(answer, "==", MALFORMED)):
            reason.set(fields["reason"])
            code.builder.branch(malformed)
        levels.break_if(code.compare(answer, "!=", INNER))
        with code.if_(code.compare(depth.get(), ">=", tunnels.depth)):
            fields.set(tunnel_more=1)
            levels.break_()
        depth.set(code.add(depth.get(), 1))
        fields.set(tunnel_depth=depth.get())
    return reason


def _outermost(module: BpfModule, layout: FrameLayout) -> ir.Function:
    """`keep_outermost(record) -> family`: until an IP packet was read, what was read last is outside of all tunnels.
    Gives the IP version where that was read just now, else 0. In the loop over levels LLVM would keep the address of
    each field that is copied on the stack."""
    if OUTERMOST in module.module.globals:
        function: ir.Function = module.module.globals[OUTERMOST]
        return function
    code = module.subprogram(OUTERMOST, inline=False, record=PTR)
    fields = Fields.inside(code, layout, code["record"])
    with code.if_(code.compare(fields[f"{OUTER}version"], "!=", 0)):
        code.ret(0)
    for name in layout.outer:
        fields.set(**{OUTER + name: fields[name]})
    code.ret(code.resize(fields["version"], I64))
    return code.function


def _level(module: BpfModule, layout: FrameLayout) -> ir.Function:
    """The function of a level, one for all programs of an object."""
    if NAME in module.module.globals:
        function: ir.Function = module.module.globals[NAME]
        return function
    assert layout.tunnels is not None
    code = module.subprogram(NAME, inline=False, context=PTR, record=PTR)
    malformed = code.function.append_basic_block("malformed")
    cursor = LevelCursor(module, code, layout, malformed)
    fields = cursor.fields
    cursor.layer3.set(cursor.start)
    with code.if_(code.compare(cursor.ethertype.get(), "==", ETHERNET_FRAME)):
        cursor.set(**dict.fromkeys(_OF_LINK, 0))
        cursor.set(**NO_TAGS)
        cursor.layer3.set(cursor.behind(ETHERNET.size))
        parse_link(cursor)
        cursor.ethertype.set(fields["ethertype"])
    parse_packet(cursor, cursor.ethertype)
    if layout.for_stages:
        fields.set(payload=cursor.payload.get(), payload_length=cursor.payload_length.get())
    TunnelReader(cursor, layout.tunnels.kinds, lambda: code.ret(INNER)).write(cursor.ethertype.get())
    code.ret(STOP)
    code.builder.position_at_end(malformed)
    fields.set(reason=cursor.reason.get())
    code.ret(MALFORMED)
    return code.function
