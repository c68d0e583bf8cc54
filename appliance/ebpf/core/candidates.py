"""Which target types a local type may mean, by libbpf's rules: same essential name, compatible kind and shape.

    struct sk_buff___old  ─┐  essential name: what stands before the last ___
    struct sk_buff         ├─ sk_buff
    struct sk_buff___2    ─┘

Source: relo_core.c of libbpf 1.x, whose decisions programs rely on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from appliance.ebpf.btf.btf import COMPOSITES, ENUMS, MAX_DEPTH, Btf, BtfType, Kind, Parameter
from appliance.ebpf.object_errors import CoreError

_FLAVOUR = re.compile(r"(?s)(.*[^_])___[^_].*")
_SAME_BY_KIND = COMPOSITES | ENUMS | {Kind.VOID, Kind.FWD}


def essential_name(name: str) -> str:
    """The name without its flavour."""
    flavoured = _FLAVOUR.fullmatch(name) if "___" in name else None
    return flavoured[1] if flavoured else name


class Candidates:
    """The types of the target by essential name. For one thread."""

    def __init__(self, target: Btf) -> None:
        self._target = target
        self._numbers: dict[str, list[int]] = {}
        for name, numbers in target.named():
            self._numbers.setdefault(essential_name(name), []).extend(numbers)

    def of(self, local: BtfType) -> Iterable[int]:
        """The types that a local one may mean, in the order of the target."""
        for number in sorted(self._numbers.get(essential_name(local.name), ())):
            if same_kind(local, self._target.type(number)):
                yield number


def same_kind(one: BtfType, other: BtfType) -> bool:
    """Whether the kinds agree; enumerations of 32 and 64 bits do."""
    return one.kind is other.kind or (one.kind in ENUMS and other.kind in ENUMS)


def fields_are_compatible(local: Btf, local_number: int, target: Btf, target_number: int) -> bool:
    """Whether a field of the one type may be read as one of the other. Structures all agree: their fields are asked."""
    for _ in range(MAX_DEPTH):
        one, other = local.resolve(local_number), target.resolve(target_number)
        if one.kind in COMPOSITES and other.kind in COMPOSITES:
            return True
        if not same_kind(one, other):
            return False
        if one.kind is Kind.ARRAY:
            local_number, target_number = one.target, other.target
            continue
        if one.kind in ENUMS or one.kind is Kind.FWD:
            names = essential_name(one.name), essential_name(other.name)
            return not all(names) or names[0] == names[1]
        return one.kind in (Kind.PTR, Kind.FLOAT) or (one.kind is Kind.INT and not (one.bit_offset or other.bit_offset))
    raise CoreError(f"type {local_number} is an array of itself")


def types_are_compatible(
    local: Btf, local_number: int, target: Btf, target_number: int, depth: int = MAX_DEPTH
) -> bool:
    """Whether one type may stand for the other: the same kinds all the way down; structures by name alone."""
    if not same_kind(local.type(local_number), target.type(target_number)):
        return False
    for _ in range(depth):
        one, other = local.resolve(local_number), target.resolve(target_number)
        if not same_kind(one, other):
            return False
        if one.kind in _SAME_BY_KIND:
            return True
        if one.kind is Kind.INT:
            return not (one.bit_offset or other.bit_offset)
        if one.kind is Kind.FUNC_PROTO:
            if len(one.entries) != len(other.entries):
                return False
            for mine, its in zip(one.entries, other.entries, strict=True):
                assert isinstance(mine, Parameter) and isinstance(its, Parameter)
                mine_number, its_number = local.strip(mine.type), target.strip(its.type)
                if not types_are_compatible(local, mine_number, target, its_number, depth - 1):
                    return False
        elif one.kind not in (Kind.PTR, Kind.ARRAY):
            return False
        local_number, target_number = one.target, other.target
    raise CoreError(f"type {local_number} is nested too deeply to compare")
