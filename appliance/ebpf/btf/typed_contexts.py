"""A context of arguments, as the kernel's types lay it out: an array of 8 bytes for each.

    bool tcp_check(struct sock *sk, int n)     ─>   0  sk      a pointer to `struct sock`
                                                    8  n       a number, in the low 4 bytes
                                                   16  result  a number, if the hook has it

A pointer to a structure keeps its type; any other is a number to programs, as there is nothing to follow.
Source: btf_ctx_access of kernel/bpf/btf.c.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from appliance.ebpf.btf.btf import Btf, BtfType, Kind, Parameter
from hooks.contracts.contract import ContextField, ContextLayout, FieldKind
from hooks.contracts.kernel_only import LONG_PARTS

_SLOT = 8
NULLABLE = "__nullable"  # at the end of the name of a parameter that may be null

# What a pointer to a structure is, by whether it is good for certain, and whether it may be null.
POINTERS: Mapping[tuple[bool, bool], FieldKind] = {
    (False, False): FieldKind.TYPED,
    (False, True): FieldKind.TYPED_OR_NULL,
    (True, False): FieldKind.TRUSTED,
    (True, True): FieldKind.TRUSTED_OR_NULL,
}


class UnknownTarget(Exception):
    """The kernel's types have no such place; the message says so."""


class PointerKinds(Protocol):
    """What the pointers among the arguments of one place are."""

    def of(self, index: int, parameter: Parameter, pointer: BtfType) -> tuple[FieldKind, int]:
        """The kind of the field, and the structure that it points to."""


def context_of(
    types: Btf, kinds: PointerKinds, name: str, prototype: BtfType, *, skip: int, result: bool
) -> ContextLayout:
    """The context of a function, without the first `skip` arguments; with its result, if it has one and `result`."""
    parameters = parameters_of(prototype)[skip:]
    if result and not returns_nothing(types, prototype):
        parameters.append(Parameter("result", prototype.target))
    fields = tuple(_fields(types, kinds, parameters))
    return ContextLayout(name, max((field.offset + field.size for field in fields), default=0), fields)


def parameters_of(prototype: BtfType) -> list[Parameter]:
    """The parameters of a function's type."""
    return [entry for entry in prototype.entries if isinstance(entry, Parameter)]


def returns_nothing(types: Btf, prototype: BtfType) -> bool:
    """Whether a function of that type returns void."""
    return types.resolve(prototype.target).kind is Kind.VOID


def _fields(types: Btf, kinds: PointerKinds, parameters: list[Parameter]) -> Iterator[ContextField]:
    """Each argument at a multiple of 8."""
    at = 0
    for index, parameter in enumerate(parameters):
        known = types.resolve(parameter.type)
        slots = max(1, -(-types.size_of(parameter.type) // _SLOT))
        name = parameter.name or f"argument {index}"
        kind, structure = kinds.of(index, parameter, known) if known.kind is Kind.PTR else (FieldKind.SCALAR, 0)
        whole = known.kind is Kind.PTR
        for slot in range(slots):
            for size in (_SLOT,) if whole else LONG_PARTS:
                place = at + _SLOT * slot
                yield ContextField(name, place, size, 0, size, kind, reads=(size,), structure=structure)
        at += _SLOT * slots
