"""The context of a program that is attached to a function or a tracepoint, as the kernel's types lay it out.

    bool tcp_check(struct sock *sk, int n)     ─>   0  sk      a pointer to `struct sock`
                                                    8  n       a number, in the low 4 bytes
                                                   16  result  a number, if the hook has it

A pointer to a structure keeps its type; any other is a number to programs, as there is nothing to follow.
Source: btf_ctx_access of kernel/bpf/btf.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from appliance.ebpf.btf import COMPOSITES, ENUMS, VOID, Btf, BtfType, Kind, Member, Parameter
from appliance.ebpf.operations import Operation
from appliance.ebpf.structure_walk import pointed
from hooks import security
from hooks.contract import ContextField, ContextLayout, FieldKind, HookPoint, Writable
from hooks.judged import LONG_PARTS
from hooks.operations import OPERATIONS, Operations, Written
from hooks.typed import (
    ERROR_ARGUMENTS,
    ITERATED_TRUSTED,
    ITERATED_WHOLE,
    MAP_ITERATORS,
    NULLABLE_ARGUMENTS,
    TypedHook,
)

_SLOT = 8
MAX_ARGUMENTS = 12  # MAX_BPF_FUNC_ARGS
LARGEST_ARGUMENT = 16  # bytes, in two registers
_HANDED_ON = {Kind.INT, Kind.PTR, *ENUMS, *COMPOSITES}
_SECURITY = "bpf_lsm_"
_ITERATOR = "bpf_iter__"  # before the name of what an iterator gives, as a structure
_NULLABLE, _HELD = "__nullable", "__ref"  # at the end of a parameter's name


class UnknownTarget(Exception):
    """The kernel's types have no such place; the message says so."""


def hook_at(hook: TypedHook, target: str, types: Btf) -> HookPoint:
    """The place of that name. Raises UnknownTarget, and ObjectError for types that make no sense."""
    prototype, skipped = _prototype(hook, target, types)
    parameters = [entry for entry in prototype.entries if isinstance(entry, Parameter)][skipped:]
    void = types.type(types.strip(prototype.target)).kind is Kind.VOID
    kinds = _Kinds(hook, target, types)
    fields = tuple(_fields(types, kinds, parameters, prototype.target if hook.result and not void else 0))
    size = max((field.offset + field.size for field in fields), default=0)
    return hook.at(target, ContextLayout(f"{hook.prefix}{target}", size, fields), void=void)


def _prototype(hook: TypedHook, target: str, types: Btf) -> tuple[BtfType, int]:
    """The arguments and the result, and how many of the arguments programs do not see."""
    name = hook.prefix + target
    number = types.find(Kind.TYPEDEF, name) if hook.traced else types.function(name)
    if number is None or (hook.iterates and types.find(Kind.STRUCT, f"{_ITERATOR}{target}") is None):
        raise UnknownTarget(f"these types have no {'tracepoint' if hook.traced else 'function'} `{name}`")
    pointer = types.resolve(number) if hook.traced else types.type(number)
    prototype = types.resolve(pointer.target)
    if prototype.kind is not Kind.FUNC_PROTO or not hook.takes(target) or not _is_attachable(types, prototype, hook):
        raise UnknownTarget(f"no program of section `{hook.name}/…` can be attached to `{name}`")
    return prototype, 1 if hook.traced else 0


def operation_at(operation: Operation, types: Btf, *, sleepable: bool) -> HookPoint:
    """The place of a member of a structure of functions. Raises UnknownTarget, and ObjectError as above."""
    name = ".".join(operation)
    number = types.find(Kind.STRUCT, operation.structure)
    known = OPERATIONS.get(operation.structure, Operations())
    if number is None or types.find(Kind.STRUCT, f"bpf_struct_ops_{operation.structure}") is None:
        raise UnknownTarget(f"these types have no `{operation.structure}` that programs may be a part of")
    members = [member for member in types.type(number).entries if isinstance(member, Member)]
    index = next((n for n, member in enumerate(members) if member.name == operation.member), None)
    pointer = types.resolve(members[index].type) if index is not None else VOID
    prototype = types.resolve(pointer.target) if pointer.kind is Kind.PTR else VOID
    if index is None or prototype.kind is not Kind.FUNC_PROTO or operation.member in known.missing:
        raise UnknownTarget(f"no program can take the place of `{name}`")
    kinds = _OperationKinds(operation, known, types)
    parameters = [entry for entry in prototype.entries if isinstance(entry, Parameter)]
    fields = tuple(_fields(types, kinds, parameters, 0))
    size = max((field.offset + field.size for field in fields), default=0)
    void = types.type(types.strip(prototype.target)).kind is Kind.VOID
    writable = tuple(_writable(types, known))
    return known.at(name, ContextLayout(name, size, fields), index, writable, void=void, sleepable=sleepable)


def _writable(types: Btf, known: Operations) -> Iterator[Writable]:
    for name, members in known.written.items():
        whole = types.find(Kind.STRUCT, name)
        for written in members if whole is not None else ():
            place = _place(types, written)
            if whole is not None and place is not None:
                yield Writable(whole, place[0], place[0] + place[1], written.inside)


def _place(types: Btf, written: Written) -> tuple[int, int] | None:
    """The offset and the size of a member; None if this kernel has none."""
    number, at = types.find(Kind.STRUCT, written.structure), 0
    for name in written.path:
        member = _named(types, number, name) if number is not None else None
        if member is None:
            return None
        number, at = member.type, at + member.bit_offset // 8
    return (at, types.size_of(number)) if number is not None else None


def _named(types: Btf, number: int, name: str) -> Member | None:
    entries = types.resolve(number).entries
    return next((entry for entry in entries if isinstance(entry, Member) and entry.name == name), None)


class _PointerKinds(Protocol):
    """What the pointers among the arguments of one place are."""

    def of(self, index: int, parameter: Parameter, pointer: BtfType) -> tuple[FieldKind, int]:
        """The kind of the field, and the structure that it points to."""


def _is_attachable(types: Btf, prototype: BtfType, hook: TypedHook) -> bool:
    """Whether the kernel can hand the arguments on: there are not too many, each has a size, and none is large."""
    parameters = [entry for entry in prototype.entries if isinstance(entry, Parameter)]
    result = types.resolve(prototype.target).kind
    if len(parameters) > MAX_ARGUMENTS or result in COMPOSITES or (hook.changes_result and result is not Kind.INT):
        return False
    sized = all(types.resolve(parameter.type).kind in _HANDED_ON for parameter in parameters)
    return sized and all(types.size_of(parameter.type) <= LARGEST_ARGUMENT for parameter in parameters)


def _fields(types: Btf, kinds: _PointerKinds, parameters: list[Parameter], result: int) -> Iterator[ContextField]:
    """Each argument at a multiple of 8."""
    at = 0
    for index, parameter in enumerate((*parameters, *([Parameter("result", result)] if result else []))):
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


class _Kinds:
    """The pointers that a function or a tracepoint is given."""

    def __init__(self, hook: TypedHook, target: str, types: Btf) -> None:
        self._hook = hook
        self._target = target
        self._types = types

    def of(self, index: int, parameter: Parameter, pointer: BtfType) -> tuple[FieldKind, int]:
        """The kind of the field, and the structure that it points to."""
        buffer = self._buffer(parameter.name)
        if buffer is not None:
            return buffer, 0
        structure, _ = pointed(self._types, pointer)
        if self._types.type(structure).kind not in COMPOSITES or index in ERROR_ARGUMENTS.get(self._name, ()):
            return FieldKind.SCALAR, 0
        return _POINTERS[self._is_trusted(parameter.name), self._may_be_null(index, parameter.name)], structure

    @property
    def _name(self) -> str:
        """The tracepoint, for those tables that are about tracepoints."""
        return self._target if self._hook.traced else ""

    def _buffer(self, name: str) -> FieldKind | None:
        if not self._hook.iterates or self._target not in MAP_ITERATORS:
            return None
        return {"key": FieldKind.READ_ONLY_BUFFER_OR_NULL, "value": FieldKind.BUFFER_OR_NULL}.get(name)

    def _is_trusted(self, name: str) -> bool:
        if self._hook.iterates and self._may_be_null(0, name):
            return (self._target, name) in ITERATED_TRUSTED
        return self._hook.trusted and not (self._hook.prefix == _SECURITY and self._target in security.UNTRUSTED)

    def _may_be_null(self, index: int, name: str) -> bool:
        if self._hook.iterates:
            return name not in ITERATED_WHOLE and not (name == "map" and self._target in MAP_ITERATORS)
        return name.endswith(_NULLABLE) or index in NULLABLE_ARGUMENTS.get(self._name, ())


class _OperationKinds:
    """The pointers that a member of a structure is called with. Those that may be null are named so in the kernel's own
    function in its place, if it has one, which is called after both (find_stub_func_proto)."""

    def __init__(self, operation: Operation, known: Operations, types: Btf) -> None:
        self._known = known
        self._types = types
        stub = types.function("__".join(operation))
        entries = types.resolve(types.type(stub).target).entries if stub is not None else ()
        self._names = [entry.name for entry in entries if isinstance(entry, Parameter)]

    def of(self, index: int, parameter: Parameter, pointer: BtfType) -> tuple[FieldKind, int]:
        """The kind of the field, and the structure that it points to."""
        structure, _ = pointed(self._types, pointer)
        if self._types.type(structure).kind not in COMPOSITES:
            return FieldKind.SCALAR, 0
        more = self._known.promoted.get(self._types.type(structure).name)
        promoted = self._types.find(Kind.STRUCT, more) if more is not None else None
        name = self._names[index] if index < len(self._names) else ""
        if name.endswith(_HELD):
            raise UnknownTarget("programs must give back what they are called with there")
        return _POINTERS[True, name.endswith(_NULLABLE)], structure if promoted is None else promoted


_POINTERS = {
    (False, False): FieldKind.TYPED,
    (False, True): FieldKind.TYPED_OR_NULL,
    (True, False): FieldKind.TRUSTED,
    (True, True): FieldKind.TRUSTED_OR_NULL,
}
