"""Programs of chance that follow an argument's pointers, and Linux's verdict on them.

r2 = *(u64 *)(r1 + 16)           an argument, mostly one that points to a structure
if r2 == 0 return 0              mostly
r2 = *(u64 *)(r2 + 2112)         what may be a member, up to four times
"""

from __future__ import annotations

import ctypes
import os
import struct
from dataclasses import dataclass
from random import Random

from appliance.ebpf.btf.btf import COMPOSITES, Btf, BtfType, Kind, Member
from appliance.ebpf.btf.structure_walk import NoSuchPlace, walk
from appliance.ebpf.btf.typed_contexts import UnknownTarget
from appliance.ebpf.isa.codec import encode
from appliance.ebpf.isa.instructions import Alu, Branch, Exit, Immediate, Instruction, Load, Move
from appliance.ebpf.isa.opcodes import AluOp, Condition
from appliance.ebpf.objects.targets import hook_at
from hooks.contracts.contract import ContextField, HookPoint
from hooks.contracts.typed import TypedHook

_SYS_BPF, _PROG_LOAD, _SLEEPABLE = 321, 5, 1 << 4
_FARTHEST = 32000  # that an instruction's offset reaches
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Walk:
    """A program at a place; `type` is the place's number among the kernel's types."""

    hook: HookPoint
    type: int
    instructions: tuple[Instruction, ...]


def some_walk(chance: Random, types: Btf, hook: TypedHook, target: str) -> Walk | None:
    """A program at that place; None if it can have none."""
    found = _numbered(types, hook, target)
    if found is None or not found[0].context.fields:
        return None
    place, number = found
    field = chance.choice([f for f in place.context.fields if f.structure] or list(place.context.fields))
    return Walk(place, number, tuple(_instructions(chance, types, field)))


def stands(types: Btf, hook: TypedHook, target: str) -> bool:
    """Whether the kernel lets a program stand there that does nothing: some refuse whatever it is, unread."""
    found = _numbered(types, hook, target)
    empty = (Move(64, 0, Immediate(0)), Exit())
    return found is not None and linux_accepts(Walk(*found, empty))


def _numbered(types: Btf, hook: TypedHook, target: str) -> tuple[HookPoint, int] | None:
    """The place, and its number among the kernel's types; None if there is none."""
    try:
        place = hook_at(hook, target, types)
    except UnknownTarget:
        return None
    name = hook.prefix + target
    number = types.find(Kind.TYPEDEF, name) if hook.traced else types.function(name)
    return None if number is None else (place, number)


def _instructions(chance: Random, types: Btf, field: ContextField) -> list[Instruction]:
    beside, size = chance.choice([0] * 30 + [4, 8]), chance.choice([8] * 20 + [1, 2, 4])
    code: list[Instruction] = [Load(size, 2, 1, field.offset + beside)]
    structure = field.structure
    if chance.random() < 0.8:
        _check(code)
    for _ in range(chance.randint(1, 4)):
        offset, size = _place(chance, types, structure)
        moved = chance.choice([0] * 9 + [8, 16, -8])
        if moved:
            code.append(Alu(AluOp.ADD, 64, 2, Immediate(moved)))
        code.append(Load(size, 2, 2, offset - moved))
        structure = _found(types, structure, offset, size)
        if chance.random() < 0.5:
            _check(code)
        if not structure and chance.random() < 0.7:
            break
    return [*code, Move(64, 0, Immediate(0)), Exit()]


def _check(code: list[Instruction]) -> None:
    at = len(code)
    code += [Branch(Condition.NE, 64, 2, Immediate(0), at + 3), Move(64, 0, Immediate(0)), Exit()]


def _place(chance: Random, types: Btf, structure: int) -> tuple[int, int]:
    """An offset and a size, mostly those of a member."""
    size = chance.choice([1, 2, 4, 8, 8, 8])
    if not structure:
        return chance.randint(0, 64), size
    found = types.resolve(structure)
    offset = chance.randint(0, found.size + 8)
    while found.kind in COMPOSITES and found.entries and chance.random() < 0.7:
        member = chance.choice(found.entries)
        assert isinstance(member, Member)
        at, found = member.bit_offset // 8, types.resolve(member.type)
        offset = at if found.kind is not Kind.ARRAY else at + chance.randint(0, types.size_of(member.type))
        size = 8 if found.kind is Kind.PTR and chance.random() < 0.9 else size
    return min(offset, _FARTHEST), size


def _found(types: Btf, structure: int, offset: int, size: int) -> int:
    try:
        return walk(types, structure, offset, size).target if structure else 0
    except NoSuchPlace:
        return 0


def linux_accepts(program: Walk) -> bool:
    """Whether the kernel loads it. The types are those of the running kernel."""
    slots = encode(program.instructions, {})
    code, license_ = ctypes.create_string_buffer(slots, len(slots)), ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "<IIQQ20xI20xI36xI",
        program.hook.program_type, len(slots) // 8, ctypes.addressof(code), ctypes.addressof(license_),
        _SLEEPABLE if program.hook.sleepable else 0, program.hook.attach_type, program.type,
    )  # fmt: skip
    descriptor = int(_libc.syscall(_SYS_BPF, _PROG_LOAD, attributes.ljust(128, b"\0"), 128))
    if descriptor >= 0:
        os.close(descriptor)
    return descriptor >= 0


def tracepoints(types: Btf) -> list[str]:
    """The names of all of them."""
    prefix = "btf_trace_"
    named = (types.type(numbers[0]) for name, numbers in types.named() if name.startswith(prefix))
    return sorted(found.name.removeprefix(prefix) for found in named if _is_typedef(found))


def _is_typedef(found: BtfType) -> bool:
    return found.kind is Kind.TYPEDEF
