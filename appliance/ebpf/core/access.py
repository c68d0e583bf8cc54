"""Paths into types: what a CO-RE relocation's access string names in the local types, and where that is in the target.

    "0:1:0:2"    0         of type struct flow        flow[0]
                  1        its second member                 .key      (anonymous members have no name to match,
                   0       whose first member                .ports     and vanish from the path)
                    2      is an array: third element             [2]

The target is walked by names and indices alone, so that members may have moved.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from appliance.ebpf.btf.btf import COMPOSITES, ENUMS, Btf, BtfType, Enumerator, Kind, Member
from appliance.ebpf.core.candidates import essential_name, fields_are_compatible
from appliance.ebpf.object_errors import CoreError

MAX_ACCESSORS = 64  # BPF_CORE_SPEC_MAX_LEN
MAX_TEXT = 1024

_ACCESS = re.compile(r"\d{1,9}(:\d{1,9})*")


@dataclass(frozen=True, slots=True)
class Accessor:
    """A member of `type` by index and name, or, without a name, the element `index` of an array of `type`."""

    type: int
    index: int
    name: str = ""


@dataclass(slots=True)
class AccessSpec:
    """A path from the type `root`: its named accessors, and the bit at which it arrives. For one thread."""

    btf: Btf
    root: int
    accessors: list[Accessor] = field(default_factory=list)
    bit_offset: int = 0

    @property
    def member(self) -> Member | None:
        """The member that the path ends with, or None if it ends with an element."""
        last = self.accessors[-1]
        found = self.btf.type(last.type).entries[last.index] if last.name else None
        return found if isinstance(found, Member) else None

    @property
    def value_type(self) -> int:
        """The type of what the path ends with, without typedefs and qualifiers."""
        return self.btf.strip(self.member.type if self.member is not None else self.accessors[-1].type)

    @property
    def enumerator(self) -> Enumerator:
        """What the path of an enumeration ends with."""
        found = self.btf.type(self.accessors[-1].type).entries[self.accessors[-1].index]
        assert isinstance(found, Enumerator)
        return found


def parse_indices(text: str) -> tuple[int, ...]:
    """The numbers of an access string. Raises CoreError."""
    if len(text) > MAX_TEXT or not _ACCESS.fullmatch(text):
        raise CoreError(f"{text[:80]!r} is no path into a type")
    indices = tuple(map(int, text.split(":")))
    if len(indices) > MAX_ACCESSORS:
        raise CoreError(f"the path {text[:80]!r} has more than {MAX_ACCESSORS} accessors")
    return indices


def local_enumerator(btf: Btf, root: int, text: str) -> AccessSpec:
    """The enumerator that an access string names. Raises CoreError."""
    number, indices = btf.strip(root), parse_indices(text)
    found = btf.type(number)
    if found.kind not in ENUMS or len(indices) != 1 or indices[0] >= len(found.entries):
        raise CoreError(f"{text!r} names no value of {describe(btf, root)}")
    entry = found.entries[indices[0]]
    assert isinstance(entry, Enumerator)
    return AccessSpec(btf, root, [Accessor(number, indices[0], entry.name)])


def local_field(btf: Btf, root: int, text: str) -> AccessSpec:
    """The field that an access string names. Raises CoreError, and ObjectError for types that make no sense."""
    first, *indices = parse_indices(text)
    number = btf.strip(root)
    access = AccessSpec(btf, root, [Accessor(number, first)], first * btf.size_of(number) * 8)
    for index in indices:
        number = btf.strip(number)
        found = btf.type(number)
        if found.kind in COMPOSITES and index < len(found.entries):
            member = found.entries[index]
            assert isinstance(member, Member)
            access.bit_offset += member.bit_offset
            if member.name:
                access.accessors.append(Accessor(number, index, member.name))
            number = member.type
        elif found.kind is Kind.ARRAY and _has_element(access, found, index):
            number = _enter_element(access, found, index)
        else:
            raise CoreError(f"{text!r} leads nowhere in {describe(btf, root)}")
    return access


def _has_element(access: AccessSpec, array: BtfType, index: int) -> bool:
    """Whether the array that the path leads to has that element; an array without length at a structure's end does."""
    if index < array.count:
        return True
    last = access.accessors[-1]
    return not array.count and bool(last.name) and last.index == len(access.btf.type(last.type).entries) - 1


def _enter_element(access: AccessSpec, array: BtfType, index: int) -> int:
    number = access.btf.strip(array.target)
    access.accessors.append(Accessor(number, index))
    access.bit_offset += index * access.btf.size_of(number) * 8
    return number


def target_enumerator(local: AccessSpec, target: Btf, root: int) -> AccessSpec | None:
    """The value of that essential name in a target enumeration, or None."""
    number, wanted = target.strip(root), essential_name(local.accessors[0].name)
    found = target.type(number)
    if found.kind not in ENUMS:
        return None
    for index, entry in enumerate(found.entries):
        assert isinstance(entry, Enumerator)
        if essential_name(entry.name) == wanted:
            return AccessSpec(target, root, [Accessor(number, index, entry.name)])
    return None


def target_field(local: AccessSpec, target: Btf, root: int) -> AccessSpec | None:
    """The same path in a target type, or None if it has none. Raises ObjectError for types that make no sense."""
    access = AccessSpec(target, root)
    number = root
    for position, accessor in enumerate(local.accessors):
        number = target.strip(number)
        if accessor.name:
            found = _match_member(local.btf, accessor, access, number)
            if found is None:
                return None
            number = found
            continue
        if position:
            array = target.type(number)
            if array.kind is not Kind.ARRAY or not _has_element(access, array, accessor.index):
                return None
            number = target.strip(array.target)
        access.accessors.append(Accessor(number, accessor.index))
        access.bit_offset += accessor.index * target.size_of(number) * 8
    return access


def _match_member(local: Btf, accessor: Accessor, access: AccessSpec, root: int) -> int | None:
    """Add the member of that name to the path, looking into anonymous members; its type, or None if there is none."""
    wanted = local.type(accessor.type).entries[accessor.index]
    assert isinstance(wanted, Member)
    seen: set[int] = set()
    waiting = [(root, 0)]
    while waiting:
        number, offset = waiting.pop()
        number = access.btf.strip(number)
        structure = access.btf.type(number)
        if structure.kind not in COMPOSITES or number in seen:
            continue
        seen.add(number)
        inner: list[tuple[int, int]] = []
        for index, member in enumerate(structure.entries):
            assert isinstance(member, Member)
            if not member.name:
                inner.append((member.type, offset + member.bit_offset))
            elif member.name == accessor.name and fields_are_compatible(local, wanted.type, access.btf, member.type):
                access.accessors.append(Accessor(number, index, member.name))
                access.bit_offset += offset + member.bit_offset
                return member.type
        waiting.extend(reversed(inner))
    return None


def describe(btf: Btf, number: int) -> str:
    """A type in C's words."""
    found = btf.type(number)
    word = {Kind.STRUCT: "struct ", Kind.UNION: "union ", Kind.ENUM: "enum ", Kind.ENUM64: "enum "}.get(found.kind, "")
    return word + (found.name or f"type {number}")
