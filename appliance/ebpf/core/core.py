"""CO-RE: compile once, run everywhere. Relocations of what a program knows of types, by the types of the target.

    local types   struct flow { int a; int b; }           FIELD_BYTE_OFFSET of b: 4     r1 = *(u32 *)(r1 + 4)
    target types  struct flow { int a; long c; int b; }                           16   r1 = *(u32 *)(r1 + 16)

A relocation without a result poisons its instruction, which then calls a helper that nobody has: harmless in code that
is never reached because one like FIELD_EXISTS decided so before. Source: libbpf, relo_core.c.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from appliance.ebpf.btf.btf import Btf, Kind
from appliance.ebpf.core.access import (
    AccessSpec,
    describe,
    local_enumerator,
    local_field,
    target_enumerator,
    target_field,
)
from appliance.ebpf.core.candidates import Candidates, types_are_compatible
from appliance.ebpf.core.matching import TypeMatcher
from appliance.ebpf.object_errors import CoreError


class RelocationKind(IntEnum):
    """What of a type or field is wanted (enum bpf_core_relo_kind)."""

    FIELD_BYTE_OFFSET = 0
    FIELD_BYTE_SIZE = 1
    FIELD_EXISTS = 2
    FIELD_SIGNED = 3
    FIELD_LSHIFT_U64 = 4
    FIELD_RSHIFT_U64 = 5
    TYPE_ID_LOCAL = 6
    TYPE_ID_TARGET = 7
    TYPE_EXISTS = 8
    TYPE_SIZE = 9
    ENUMVAL_EXISTS = 10
    ENUMVAL_VALUE = 11
    TYPE_MATCHES = 12


_OF_FIELDS = frozenset(range(RelocationKind.FIELD_BYTE_OFFSET, RelocationKind.FIELD_RSHIFT_U64 + 1))
_OF_VALUES = frozenset({RelocationKind.ENUMVAL_EXISTS, RelocationKind.ENUMVAL_VALUE})


@dataclass(frozen=True, slots=True)
class CoreRelocation:
    """One relocation (struct bpf_core_relo): of type number `type` of the program's own types, and what the access
    string `access` names in it."""

    type: int
    access: str
    kind: RelocationKind


@dataclass(frozen=True, slots=True)
class Value:
    """What a relocation comes to by one side's types. `size` and `type` are of a field that loads and stores touch
    whole; 0 for all else.

    `validate` says that the compiler wrote this very value, so that the instruction must hold it.
    """

    value: int
    validate: bool = True
    size: int = 0
    type: int = 0


@dataclass(frozen=True, slots=True)
class RelocationResult:
    """What to patch (struct bpf_core_relo_res): the value that the compiler wrote and the one to be written, or None to
    poison the instruction.

    `resizable` says whether a load or store may take the target's size in place of the compiler's.
    """

    local: Value | None
    target: Value | None
    resizable: bool = True


class CoreResolver:
    """Resolves the relocations of one file. `find_target` is called once, when first one needs the target's types.
    For one thread."""

    def __init__(self, local: Btf, find_target: Callable[[], Btf]) -> None:
        self._local = local
        self._find_target = find_target
        self._search: _Search | None = None
        self._results: dict[CoreRelocation, RelocationResult] = {}

    def resolve(self, relocation: CoreRelocation) -> RelocationResult:
        """What to write. Raises CoreError, and ObjectError for types that make no sense."""
        if relocation not in self._results:
            self._results[relocation] = self._resolve(relocation)
        return self._results[relocation]

    def _resolve(self, relocation: CoreRelocation) -> RelocationResult:
        access = _local_access(self._local, relocation)
        if relocation.kind is RelocationKind.TYPE_ID_LOCAL:
            same = Value(relocation.type, validate=False)
            return RelocationResult(same, same)
        if not self._local.type(relocation.type).name:
            raise CoreError(f"type {relocation.type} has no name, by which it could be found in the target")
        if self._search is None:
            self._search = _Search(self._local, self._find_target())
        return self._search.resolve(relocation, access)


class _Search:
    """The target's types being searched."""

    def __init__(self, local: Btf, target: Btf) -> None:
        self._local = local
        self._target = target
        self._candidates = Candidates(target)
        self._matcher = TypeMatcher(local, target)

    def resolve(self, relocation: CoreRelocation, access: AccessSpec) -> RelocationResult:
        found: AccessSpec | None = None
        value: Value | None = None
        for candidate in self._candidates.of(self._local.type(relocation.type)):
            other = self._match(relocation, access, candidate)
            if other is None:
                continue
            its = _evaluate(relocation.kind, other)
            if found is None:
                found, value = other, its
            elif other.bit_offset != found.bit_offset or _plain(its) != _plain(value):
                raise CoreError(
                    f"the target has several {describe(self._local, relocation.type)}, which give different results "
                    f"({_words(value, found)} and {_words(its, other)})"
                )
        local = _evaluate(relocation.kind, access)
        if found is None:
            value = _evaluate(relocation.kind, None)
        return RelocationResult(local, value, self._resizable(local, value))

    def _match(self, relocation: CoreRelocation, access: AccessSpec, candidate: int) -> AccessSpec | None:
        if relocation.kind in _OF_FIELDS:
            return target_field(access, self._target, candidate)
        if relocation.kind in _OF_VALUES:
            return target_enumerator(access, self._target, candidate)
        if relocation.kind is RelocationKind.TYPE_MATCHES:
            compatible = self._matcher.match(relocation.type, candidate)
        else:
            compatible = types_are_compatible(self._local, relocation.type, self._target, candidate)
        return AccessSpec(self._target, candidate) if compatible else None

    def _resizable(self, local: Value | None, target: Value | None) -> bool:
        """Pointers and unsigned numbers may change their size: they are extended with zeros."""
        if local is None or target is None or local.size == target.size:
            return True
        kinds = self._local.type(local.type), self._target.type(target.type)
        if all(found.kind is Kind.PTR for found in kinds):
            return True
        return all(found.kind is Kind.INT and not found.signed for found in kinds)


def _local_access(local: Btf, relocation: CoreRelocation) -> AccessSpec:
    if relocation.kind in _OF_FIELDS:
        return local_field(local, relocation.type, relocation.access)
    if relocation.kind in _OF_VALUES:
        return local_enumerator(local, relocation.type, relocation.access)
    local.type(relocation.type)
    if relocation.access != "0":
        raise CoreError(f"the relocation of a whole type has the access string {relocation.access[:80]!r}, not '0'")
    return AccessSpec(local, relocation.type)


def _plain(value: Value | None) -> int | None:
    return None if value is None else value.value


def _words(value: Value | None, access: AccessSpec) -> str:
    if value is None:
        return "not at all"
    return f"{value.value} by type {access.root}"


# the results


def _evaluate(kind: RelocationKind, access: AccessSpec | None) -> Value | None:
    """The value by one side's types; no access means that the target has no such thing, and None that there is none."""
    if kind in (
        RelocationKind.FIELD_EXISTS,
        RelocationKind.ENUMVAL_EXISTS,
        RelocationKind.TYPE_EXISTS,
        RelocationKind.TYPE_MATCHES,
    ):
        return Value(int(access is not None))
    if kind in (RelocationKind.TYPE_SIZE, RelocationKind.TYPE_ID_TARGET):
        if access is None:
            return Value(0)
        if kind is RelocationKind.TYPE_ID_TARGET:
            return Value(access.root, validate=False)
        return Value(access.btf.size_of(access.root))
    if access is None:
        return None
    if kind is RelocationKind.ENUMVAL_VALUE:
        return Value(_extended(access))
    return _element(kind, access) if access.member is None else _field(kind, access)


def _extended(access: AccessSpec) -> int:
    """An enumeration's value as 64 bits hold it. Those of 32 bits are extended as signed, whatever they are."""
    value = access.enumerator.value
    narrow = access.btf.type(access.accessors[-1].type).kind is Kind.ENUM
    return value - (1 << 32) if narrow and value >> 31 == 1 else value


def _element(kind: RelocationKind, access: AccessSpec) -> Value:
    """Of an element of an array, which has a place and a size and nothing else."""
    size = access.btf.size_of(access.value_type)
    if kind is RelocationKind.FIELD_BYTE_OFFSET:
        return Value(access.bit_offset // 8, size=size, type=access.value_type)
    if kind is RelocationKind.FIELD_BYTE_SIZE:
        return Value(size)
    raise CoreError(f"an element of an array has no {kind.name}")


def _field(kind: RelocationKind, access: AccessSpec) -> Value:
    """Of a member. A bit field's bytes are those of the smallest aligned load that holds it."""
    assert access.member is not None
    bits, held = access.member.bits, access.btf.type(access.value_type)
    if bits:
        at, size = _load_of_bits(access.bit_offset, bits, held.size)
    else:
        at, size = access.bit_offset // 8, access.btf.size_of(access.value_type)
    validate = not bits  # compilers differ in how they load bit fields
    if kind is RelocationKind.FIELD_BYTE_OFFSET:
        return Value(at, validate, *((0, 0) if bits else (size, access.value_type)))
    if kind is RelocationKind.FIELD_BYTE_SIZE:
        return Value(size, validate)
    if kind is RelocationKind.FIELD_SIGNED:
        return Value(int(held.signed))
    width = bits or size * 8
    if kind is RelocationKind.FIELD_LSHIFT_U64:
        return Value(64 - (access.bit_offset + width - at * 8), validate)
    return Value(64 - width)


def _load_of_bits(offset: int, bits: int, size: int) -> tuple[int, int]:
    """The byte and the size of the load that holds those bits, at least of the declared size."""
    if not size:
        raise CoreError("a bit field's type has no size")
    while True:
        at = offset // 8 // size * size
        if offset + bits <= (at + size) * 8:
            return at, size
        if size >= 8:
            raise CoreError("a bit field does not fit into one load of 64 bits")
        size *= 2
