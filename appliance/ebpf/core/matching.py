"""Whether a target type matches a local one (`bpf_core_type_matches`): the strict question, member by member.

    numbers                  same size and sign
    structures               every local member is there, by name, and matches; no more than there are
    ... behind a pointer     the same kind, or a declaration of it
    enumerations             same size, and every local value is there, by name; no more than there are
    arrays, functions        same length, and all their types match

Names are compared without flavours, and typedefs and qualifiers are looked through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance.ebpf.btf.btf import (
    COMPOSITES,
    ENUMS,
    MAX_DEPTH,
    Btf,
    BtfType,
    Entry,
    Enumerator,
    Kind,
    Member,
    Parameter,
)
from appliance.ebpf.core.candidates import essential_name
from appliance.ebpf.object_errors import CoreError


class TypeMatcher:
    """Compares local types with those of a target, every pair at most once. For one thread."""

    def __init__(self, local: Btf, target: Btf) -> None:
        self._local = local
        self._target = target
        self._known: dict[tuple[int, int, bool], bool] = {}

    def match(self, local: int, target: int, behind_pointer: bool = False, depth: int = MAX_DEPTH) -> bool:
        """Whether they match. Raises CoreError if they are nested too deeply to say."""
        question = self._local.strip(local), self._target.strip(target), behind_pointer
        if question not in self._known:
            if not depth:
                raise CoreError(f"type {local} is nested too deeply to compare")
            self._known[question] = self._compare(*question, depth)
        return self._known[question]

    def _compare(self, local: int, target: int, behind_pointer: bool, depth: int) -> bool:
        one, other = self._local.type(local), self._target.type(target)
        if not _names_match(one.name, other.name):
            return False
        if one.kind in COMPOSITES:
            if behind_pointer:
                return one.kind is other.kind or _is_declared_by(other, one)
            return one.kind is other.kind and self._members_match(one, other, depth)
        if one.kind is Kind.FWD and behind_pointer and _is_declared_by(one, other):
            return True
        compare = _SIMPLE.get(one.kind)
        if compare is not None:
            return compare(one, other)
        if one.kind is not other.kind or one.count != other.count or len(one.entries) != len(other.entries):
            return False
        behind_pointer |= one.kind is Kind.PTR
        for mine, its in zip(one.entries, other.entries, strict=True):
            assert isinstance(mine, Parameter) and isinstance(its, Parameter)
            if not self.match(mine.type, its.type, behind_pointer, depth - 1):
                return False
        return self.match(one.target, other.target, behind_pointer, depth - 1)

    def _members_match(self, one: BtfType, other: BtfType, depth: int) -> bool:
        if len(one.entries) > len(other.entries):  # several may have one name, or none
            return False
        theirs: dict[str, list[int]] = {}
        for member in other.entries:
            assert isinstance(member, Member)
            theirs.setdefault(essential_name(member.name), []).append(member.type)
        for member in one.entries:
            assert isinstance(member, Member)
            candidates = theirs.get(essential_name(member.name), ())
            if not any(self.match(member.type, candidate, depth=depth - 1) for candidate in candidates):
                return False
        return True


def _names_match(one: str, other: str) -> bool:
    return essential_name(one) == essential_name(other)


def _is_declared_by(declaration: BtfType, found: BtfType) -> bool:
    kind = Kind.UNION if declaration.is_union else Kind.STRUCT
    return declaration.kind is Kind.FWD and found.kind is kind


def _numbers_match(one: BtfType, other: BtfType) -> bool:
    return other.kind is Kind.INT and one.size == other.size and one.signed == other.signed


def _enums_match(one: BtfType, other: BtfType) -> bool:
    if other.kind not in ENUMS or one.size != other.size or len(one.entries) > len(other.entries):
        return False
    return _value_names(one.entries) <= _value_names(other.entries)


def _value_names(entries: tuple[Entry, ...]) -> set[str]:
    return {essential_name(entry.name) for entry in entries if isinstance(entry, Enumerator)}


def _declarations_match(one: BtfType, other: BtfType) -> bool:
    return other.kind is Kind.FWD and one.is_union == other.is_union


_SIMPLE: Mapping[Kind, Callable[[BtfType, BtfType], bool]] = {
    Kind.VOID: lambda _, other: other.kind is Kind.VOID,
    Kind.INT: _numbers_match,
    Kind.ENUM: _enums_match,
    Kind.ENUM64: _enums_match,
    Kind.FWD: _declarations_match,
    Kind.FLOAT: lambda _, __: False,  # as libbpf, which does not compare them
}
