"""What C calls a type: `struct flow`, `__u32[4]`, `const char *`; and what it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from appliance.ebpf.btf.btf import COMPOSITES, ENUMS, MAX_DEPTH, Btf, Enumerator, Kind, Member

_KEYWORDS: Mapping[Kind, str] = {
    Kind.STRUCT: "struct",
    Kind.UNION: "union",
    Kind.ENUM: "enum",
    Kind.ENUM64: "enum",
    Kind.FWD: "struct",
}
_QUALIFIERS: Mapping[Kind, str] = {Kind.CONST: "const", Kind.VOLATILE: "volatile", Kind.RESTRICT: "restrict"}


def type_name(btf: Btf, number: int, depth: int = 0) -> str:
    """The name of the type of that number. Raises ObjectError if there is no such type."""
    found = btf.type(number)
    if depth > MAX_DEPTH:
        return "…"
    if found.kind in _KEYWORDS:
        return f"{_KEYWORDS[found.kind]} {found.name or '{…}'}"
    if found.kind is Kind.VOID:
        return "void"
    if found.kind is Kind.ARRAY:
        return _array_name(btf, number)
    if found.kind in (Kind.PTR, Kind.TYPE_TAG, *_QUALIFIERS):
        inner = type_name(btf, found.target, depth + 1)
        if found.kind is Kind.PTR:
            return f"{inner}*" if inner.endswith("*") else f"{inner} *"
        word = _QUALIFIERS.get(found.kind)
        if word is None:
            return inner
        return f"{inner}{word}" if inner.endswith("*") else f"{word} {inner}"
    return found.name or found.kind.name.lower()


def _array_name(btf: Btf, number: int) -> str:
    """The element, then the lengths from the outermost on, as C writes them."""
    lengths = ""
    for _ in range(MAX_DEPTH):
        found = btf.type(number)
        if found.kind is not Kind.ARRAY:
            return f"{type_name(btf, number, 1)}{lengths}"
        lengths, number = f"{lengths}[{found.count}]", found.target
    return f"…{lengths}"


def definition(btf: Btf, number: int) -> str | None:
    """What a structure, union or enumeration is made of, in one line; None for other types. Raises ObjectError.

    `struct flow { __u32 source; __u16 port; __u8 mac[6]; }`
    """
    number = btf.strip(number)
    found = btf.type(number)
    if found.kind in ENUMS:
        parts = [f"{entry.name} = {entry.value}" for entry in found.entries if isinstance(entry, Enumerator)]
        return f"{type_name(btf, number)} {{ {', '.join(parts)} }}"
    if found.kind not in COMPOSITES:
        return None
    members = [_member(btf, entry) for entry in found.entries if isinstance(entry, Member)]
    return f"{type_name(btf, number)} {{ {'; '.join(members)}; }}" if members else f"{type_name(btf, number)} {{ }}"


def _member(btf: Btf, member: Member) -> str:
    element, bracket, lengths = type_name(btf, member.type).partition("[")
    name = f" {member.name}" if member.name else ""
    bits = f" : {member.bits}" if member.bits else ""
    return f"{element}{name}{bracket}{lengths}{bits}"


def parts_of(btf: Btf, number: int) -> Iterator[int]:
    """The numbers of the structures, unions and enumerations that a type is or holds, each once, itself first."""
    seen, waiting = set[int](), [number]
    while waiting:
        found = btf.strip(waiting.pop(0))
        type_ = btf.type(found)
        if found in seen:
            continue
        seen.add(found)
        if type_.kind is Kind.ARRAY:
            waiting.append(type_.target)
        elif type_.kind in COMPOSITES:
            yield found
            waiting += [entry.type for entry in type_.entries if isinstance(entry, Member)]
        elif type_.kind in ENUMS:
            yield found
