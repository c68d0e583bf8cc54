"""What C calls a type: `struct flow`, `__u32[4]`, `const char *`."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.ebpf.btf import MAX_DEPTH, Btf, Kind

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
