"""Every form of statement, in one table in which the pattern reads like the form."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TypeAlias

from appliance.ebpf.isa.assembler.fields import Fields
from appliance.ebpf.isa.instructions import (
    Alu,
    Atomic,
    Branch,
    ByteSwap,
    CallFunction,
    CallHelper,
    CallKernel,
    CallRegister,
    Exit,
    Instruction,
    Jump,
    LegacyPacketLoad,
    Load,
    LoadConstant,
    LoadFunction,
    LoadMap,
    LoadMapValue,
    Move,
    Negate,
    Register,
    Store,
)
from appliance.ebpf.isa.opcodes import AluOp, AtomicOp, Condition
from appliance.ebpf.isa.syntax import EXCHANGES, FETCHES, SWAPS

Targeting: TypeAlias = Jump | Branch | CallFunction | LoadFunction
UNKNOWN = -1  # a target, until every label is known


def _move_extended(f: Fields) -> Instruction:
    size, signed = f.type()
    if not signed or size * 8 >= f.width:
        f.refuse("type", f"a {f.width}-bit move can't extend {f['type']}", "use s8, s16, or s32 between r registers")
    return Move(f.width, f.register("dst"), Register(f.same_width("src", f.width)), size * 8)


def _negate(f: Fields) -> Instruction:
    _require_same(f, "src")
    return Negate(f.width, f.register("dst"))


def _require_same(f: Fields, name: str) -> None:
    if f[name] != f["dst"]:
        f.refuse(name, f"this works on one register: {f['dst']} and {f[name]} differ", f"write {f['dst']} twice")


def _byte_swap(f: Fields) -> Instruction:
    _require_same(f, "src")
    return ByteSwap(SWAPS[f["swap"]], int(f["bits"]), f.register("dst"))


def _load_constant(f: Fields) -> Instruction:
    value = f.number("number", 64, unsigned=True)
    return LoadConstant(f.same_width("dst", 64), value & (1 << 64) - 1)


def _load_map_value(f: Fields) -> Instruction:
    return LoadMapValue(f.same_width("dst", 64), f["map"], f.offset(32))


def _branch(f: Fields) -> Instruction:
    return Branch(Condition(f["condition"]), f.width, f.register("dst"), f.operand(f.width), UNKNOWN)


def _load(f: Fields) -> Instruction:
    size, signed = f.type()
    if f.width == 32 and (size == 8 or signed):
        f.refuse("dst", f"a load of {f['type']} fills 64 bits", f"write r{f['dst'][1:]}")
    return Load(size, f.register("dst"), f.register("base"), f.offset(), signed)


def _load_acquire(f: Fields) -> Instruction:
    size = f.unsigned_size(1, 2, 4, 8)
    return Load(size, f.same_width("dst", 64 if size == 8 else 32), f.register("base"), f.offset(), ordered=True)


def _store_release(f: Fields) -> Instruction:
    size = f.unsigned_size(1, 2, 4, 8)
    source = Register(f.same_width("src", 64 if size == 8 else 32))
    return Store(size, f.register("base"), f.offset(), source, ordered=True)


def _store(f: Fields) -> Instruction:
    size = f.unsigned_size(1, 2, 4, 8)
    # Either letter names the low bytes of a register; only all eight of them need an r.
    width = 64 if size == 8 or f["source"][0] == "r" else 32
    return Store(size, f.register("base"), f.offset(), f.operand(width))


def _atomic(f: Fields) -> Instruction:
    size = f.unsigned_size(4, 8)
    source = f.same_width("src", size * 8)
    return Atomic(AtomicOp(f["atomic"]), size, f.register("base"), f.offset(), source, fetch=False)


def _atomic_fetch(f: Fields) -> Instruction:
    _require_same(f, "src")
    size = f.unsigned_size(4, 8)
    source = f.same_width("src", size * 8)
    return Atomic(FETCHES[f["fetch"]], size, f.register("base"), f.offset(), source, fetch=True)


def _exchange(f: Fields) -> Instruction:
    op, size = EXCHANGES[f["exchange"]]
    if op is AtomicOp.CMPXCHG:
        for name in ("dst", "old"):
            if f.same_width(name, size * 8) != 0:
                f.refuse(name, f"a compare-and-exchange compares with register 0, not {f[name]}")
    else:
        _require_same(f, "src")
    return Atomic(op, size, f.register("base"), f.offset(), f.same_width("src", size * 8), fetch=True)


def _legacy_load(f: Fields) -> Instruction:
    index = f.register("base") if f.has("base") else None
    return LegacyPacketLoad(f.unsigned_size(1, 2, 4), f.offset(32), index)


def _call(f: Fields) -> Instruction:
    """A helper by name, with or without the `bpf_` of the C headers; any other name is a label."""
    number = f.helpers.get(f["target"].removeprefix("bpf_"))
    return CallFunction(UNKNOWN) if number is None else CallHelper(number)


# A number, and the parts of statements, by the names that the forms give them.
_NUMBER = r"(?:0x[0-9a-fA-F]+|\d+)"
_PARTS = {
    "dst": r"(?P<dst>[rw]\d+)",
    "src": r"(?P<src>[rw]\d+)",
    "old": r"(?P<old>[rw]\d+)",
    "source": rf"(?P<source>[rw]\d+|-?{_NUMBER})",
    "place": rf"(?P<base>r\d+)(?:\s*(?P<offset>[-+]\s*{_NUMBER}))?",
    "number": rf"(?P<number>-?{_NUMBER})",
    "offset": rf"(?P<offset>-?{_NUMBER})",
    "type": r"(?P<type>[us](?:8|16|32|64))",
    "map": r"(?P<map>[^\]\s]+)",
    "target": r"(?:pc(?=[-+]))?(?P<target>[-+]\d+|[A-Za-z_.$][\w.$]*)",
    "op": "(?P<op>" + "|".join(re.escape(op.value) for op in AluOp) + ")",
    "atomic": r"(?P<atomic>[+|&^]=)",
    "condition": "(?P<condition>" + "|".join(re.escape(condition.value) for condition in Condition) + ")",
    "swap": "(?P<swap>" + "|".join(SWAPS) + r")(?P<bits>16|32|64)",
    "fetch": "(?P<fetch>" + "|".join(FETCHES) + ")",
    "exchange": "(?P<exchange>" + "|".join(EXCHANGES) + ")",
}


_Builder: TypeAlias = Callable[[Fields], Instruction]

_FORMS: tuple[tuple[str, _Builder], ...] = (
    ("<dst> = <source>", lambda f: Move(f.width, f.register("dst"), f.operand(f.width))),
    ("<dst> <op> <source>", lambda f: Alu(AluOp(f["op"]), f.width, f.register("dst"), f.operand(f.width))),
    ("<dst> = *( <type> * ) ( <place> )", _load),
    ("*( <type> * ) ( <place> ) = <source>", _store),
    ("if~<dst> <condition> <source> goto~<target>", _branch),
    ("goto~<target>", lambda _: Jump(UNKNOWN)),
    ("gotol~<target>", lambda _: Jump(UNKNOWN, long=True)),
    ("exit", lambda _: Exit()),
    ("call~<number>", lambda f: CallHelper(f.number("number", 32))),
    ("call~<target>", _call),
    ("call~kernel~<number>", lambda f: CallKernel(f.number("number", 32))),
    ("callx~<dst>", lambda f: CallRegister(f.same_width("dst", 64))),
    ("<dst> = <number> ll", _load_constant),
    ("<dst> = map[ <map> ] ll", lambda f: LoadMap(f.same_width("dst", 64), f["map"])),
    ("<dst> = map[ <map> ][0] + <offset> ll", _load_map_value),
    ("<dst> = func~<target>~ll", lambda f: LoadFunction(f.same_width("dst", 64), UNKNOWN)),
    ("<dst> = ( <type> ) <src>", _move_extended),
    ("<dst> = - <src>", _negate),
    ("<dst> = <swap>~<src>", _byte_swap),
    ("lock *( <type> * ) ( <place> ) <atomic> <src>", _atomic),
    ("<dst> = <fetch>( ( <type> * ) ( <place> ) , <src> )", _atomic_fetch),
    ("<dst> = load_acquire( ( <type> * ) ( <place> ) )", _load_acquire),
    ("store_release( ( <type> * ) ( <place> ) , <src> )", _store_release),
    ("<dst> = <exchange>( <place> , <src> )", _exchange),
    ("<dst> = <exchange>( <place> , <old> , <src> )", _exchange),
    ("r0 = *( <type> * ) skb[ <place> ]", _legacy_load),
    ("r0 = *( <type> * ) skb[ <offset> ]", _legacy_load),
)


def _pattern(form: str) -> re.Pattern[str]:
    """`<name>` is a part, a space is white space or nothing, and `~` is white space that must be there."""
    pieces = re.split(r"<(\w+)>", form)
    for index, piece in enumerate(pieces):
        is_part = index % 2 == 1
        pieces[index] = _PARTS[piece] if is_part else re.sub(r"\\ ", r"\\s*", re.escape(piece)).replace("\\~", r"\s+")
    return re.compile("".join(pieces))


@cache
def forms() -> tuple[tuple[re.Pattern[str], _Builder], ...]:
    """Every form with what builds its instruction, the frequent ones first. Exactly one matches a statement."""
    return tuple((_pattern(form), build) for form, build in _FORMS)


# By a statement's first word: the form that was probably meant.
HINTS = {
    "": "for example: r1 = 7, w1 += r2, r1 = *(u32 *)(r2 + 4), if r1 > 3 goto out, call map_lookup_elem, exit",
    "if": "if r1 > r2 goto label; conditions are == != > >= < <= s> s>= s< s<= &",
    "goto": "goto label, or goto +2 for a distance in slots",
    "gotol": "gotol label, or gotol +2 for a distance in slots",
    "call": "call map_lookup_elem, call 1, or call label",
    "callx": "callx r3",
    "lock": "lock *(u64 *)(r1 + 0) += r2, with += |= &= ^= and u32 or u64",
}
