"""What a load finds at a place of a structure of the kernel, by the types alone.

    struct task_struct + 1448, 8 bytes ─> member `mm`, a pointer to `struct mm_struct`
    struct task_struct + 1456, 4 bytes ─> member `pid`, a number
    struct task_struct + 1449, 8 bytes ─> nothing: a pointer is only loaded whole

Structures inside of structures, unions and arrays are walked through. An array of numbers may be read like memory.
Source: btf_struct_walk of kernel/bpf/btf.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from appliance.ebpf.btf.btf import COMPOSITES, MAX_DEPTH, Btf, BtfType, Kind, Member

_POINTER = 8


class NoSuchPlace(Exception):
    """Nothing can be loaded there; the message says why, in words that follow "of a `NAME`"."""


@dataclass(frozen=True, slots=True)
class WalkResult:
    """What is there, called `member`: a number, a pointer (`is_pointer`), or one to the structure of number `target`.
    `tags` are those of the pointer's type (`user`, `percpu`, `rcu`). `in_union` says that it shares its place with
    something else, so that nobody knows what it is."""

    target: int = 0
    is_pointer: bool = False
    member: str = ""
    tags: frozenset[str] = frozenset()
    in_union: bool = False


def walk(types: Btf, structure: int, offset: int, size: int) -> WalkResult:
    """What a load of `size` bytes finds. Raises NoSuchPlace, and ObjectError for types that make no sense."""
    in_union = False
    for _ in range(MAX_DEPTH):
        found = types.resolve(structure)
        if found.kind not in COMPOSITES:
            raise NoSuchPlace("which is no structure")
        in_union |= found.kind is Kind.UNION and len(found.entries) > 1
        if offset < 0 or offset + size > found.size:
            behind = _behind(types, found, offset, size)
            if behind is None:
                return WalkResult(in_union=in_union)
            structure, offset = behind
            continue
        inner = _member(types, found, offset, size, in_union)
        if isinstance(inner, WalkResult):
            return inner
        structure, offset = inner
    raise NoSuchPlace("which holds itself")


def _behind(types: Btf, found: BtfType, offset: int, size: int) -> tuple[int, int] | None:
    """An element of the array without a length at the structure's end, and the place in it; None for numbers."""
    last = found.entries[-1] if found.entries else None
    array = types.resolve(last.type) if isinstance(last, Member) else None
    if not isinstance(last, Member) or array is None or array.kind is not Kind.ARRAY or array.count:
        raise NoSuchPlace(f"which has {found.size} bytes")
    beyond = offset - last.bit_offset // 8
    element = types.resolve(array.target)
    if beyond < 0 or not (element.kind is Kind.INT or (element.kind in COMPOSITES and element.size)):
        raise NoSuchPlace(f"which has {found.size} bytes")
    return None if element.kind is Kind.INT else (array.target, beyond % element.size)


def _member(types: Btf, found: BtfType, offset: int, size: int, in_union: bool) -> WalkResult | tuple[int, int]:
    """What a member holds there, or the structure that the member is, and the place in it."""
    for member in _members(found):
        at = member.bit_offset // 8
        if offset + size <= at:
            break
        if member.bits:
            end = (member.bit_offset + member.bits + 7) // 8
            if offset <= at and end <= offset + size:
                return WalkResult(member=member.name, in_union=in_union)
            continue
        if offset < at:
            break
        end = at + types.size_of(member.type)
        if offset >= end:
            continue
        kind, at = _element(types, member.type, at, offset)
        inner = types.resolve(kind)
        if inner.kind in COMPOSITES:
            return kind, offset - at
        if inner.kind is Kind.PTR:
            if size != _POINTER or offset != at:
                raise NoSuchPlace(f"whose member `{member.name}` there is a pointer, which is only loaded whole")
            target, tags = pointee(types, inner)
            if types.type(target).kind in COMPOSITES:
                return WalkResult(target, True, member.name, tags, in_union)
            return WalkResult(0, True, member.name)
        if offset + size > end and not in_union:
            raise NoSuchPlace(f"whose member `{member.name}` ends before that")
        return WalkResult(member=member.name, in_union=in_union)
    raise NoSuchPlace("which has no member there")


def _members(found: BtfType) -> Iterator[Member]:
    return (entry for entry in found.entries if isinstance(entry, Member))


def _element(types: Btf, number: int, at: int, offset: int) -> tuple[int, int]:
    """The type of the element of an array, of whatever dimensions, that has the byte at `offset`, and its place."""
    for _ in range(MAX_DEPTH):
        found = types.resolve(number)
        if found.kind is not Kind.ARRAY:
            break
        number = found.target
        size = types.size_of(number)
        if size:
            at += (offset - at) // size * size
    return number, at


def pointee(types: Btf, pointer: BtfType) -> tuple[int, frozenset[str]]:
    """What a pointer points to, without typedefs and qualifiers, and the tags on the way there."""
    tags, number = set(), pointer.target
    for _ in range(MAX_DEPTH):
        found = types.type(number)
        if found.kind is not Kind.TYPE_TAG:
            break
        tags.add(found.name)
        number = found.target
    return types.strip(number), frozenset(tags)


def structures_at(types: Btf, structure: int, offset: int) -> Iterator[int]:
    """The structures that begin at that place of a structure, the outer ones first: itself, if it is its start."""
    number = types.strip(structure)
    if not offset:
        yield number
    for _ in range(MAX_DEPTH):
        inner = _structure_holding(types, types.type(number), offset)
        if inner is None:
            return
        number, offset = inner
        if not offset:
            yield number


def _structure_holding(types: Btf, found: BtfType, offset: int) -> tuple[int, int] | None:
    """The structure inside of one that has the byte at `offset`, and the place of the byte in it."""
    for member in _members(found):
        at = member.bit_offset // 8
        if offset < at:
            return None
        if member.bits or offset >= at + types.size_of(member.type):
            continue
        number, at = _element(types, member.type, at, offset)
        number = types.strip(number)
        return (number, offset - at) if types.type(number).kind in COMPOSITES else None
    return None
