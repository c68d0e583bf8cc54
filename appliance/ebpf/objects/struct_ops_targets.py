"""The places of members of the kernel's structures of functions, for programs that are a part of one.

Sources: kernel/bpf/bpf_struct_ops.c, and the btf_struct_access of its structures.
"""

from __future__ import annotations

from collections.abc import Iterator

from appliance.ebpf.btf.btf import COMPOSITES, VOID, Btf, BtfType, Kind, Member, Parameter
from appliance.ebpf.btf.structure_walk import pointee
from appliance.ebpf.btf.typed_contexts import NULLABLE, POINTERS, UnknownTarget, context_of, returns_nothing
from appliance.ebpf.objects.struct_ops import StructOpsMember
from hooks.contracts.contract import FieldKind, HookPoint, Writable
from hooks.contracts.struct_ops import STRUCT_OPS, StructOps, WritableMember

_HELD = "__ref"  # at the end of the name of a parameter that must be given back


def hook_at_member(operation: StructOpsMember, types: Btf, *, sleepable: bool) -> HookPoint:
    """The place of a member of a structure of functions. Raises UnknownTarget, and ObjectError as types may."""
    name = ".".join(operation)
    number = types.find(Kind.STRUCT, operation.structure)
    known = STRUCT_OPS.get(operation.structure, StructOps())
    if number is None or types.find(Kind.STRUCT, f"bpf_struct_ops_{operation.structure}") is None:
        raise UnknownTarget(f"these types have no `{operation.structure}` that programs may be a part of")
    members = [member for member in types.type(number).entries if isinstance(member, Member)]
    index = next((n for n, member in enumerate(members) if member.name == operation.member), None)
    pointer = types.resolve(members[index].type) if index is not None else VOID
    prototype = types.resolve(pointer.target) if pointer.kind is Kind.PTR else VOID
    if index is None or prototype.kind is not Kind.FUNC_PROTO or operation.member in known.missing:
        raise UnknownTarget(f"no program can take the place of `{name}`")
    context = context_of(types, _Kinds(operation, known, types), name, prototype, skip=0, result=False)
    void, writable = returns_nothing(types, prototype), tuple(_writable(types, known))
    return known.at(name, context, index, writable, void=void, sleepable=sleepable)


def _writable(types: Btf, known: StructOps) -> Iterator[Writable]:
    for name, members in known.writable.items():
        whole = types.find(Kind.STRUCT, name)
        for member in members if whole is not None else ():
            place = _place(types, member)
            if whole is not None and place is not None:
                yield Writable(whole, place[0], place[0] + place[1], member.inside)


def _place(types: Btf, writable: WritableMember) -> tuple[int, int] | None:
    """The offset and the size of a member; None if this kernel has none."""
    number, at = types.find(Kind.STRUCT, writable.structure), 0
    for name in writable.path:
        member = _named(types, number, name) if number is not None else None
        if member is None:
            return None
        number, at = member.type, at + member.bit_offset // 8
    return (at, types.size_of(number)) if number is not None else None


def _named(types: Btf, number: int, name: str) -> Member | None:
    entries = types.resolve(number).entries
    return next((entry for entry in entries if isinstance(entry, Member) and entry.name == name), None)


class _Kinds:
    """The pointers that a member of a structure is called with. Those that may be null are named so in the kernel's own
    function in its place, if it has one, which is called after both (find_stub_func_proto)."""

    def __init__(self, operation: StructOpsMember, known: StructOps, types: Btf) -> None:
        self._known = known
        self._types = types
        stub = types.function("__".join(operation))
        entries = types.resolve(types.type(stub).target).entries if stub is not None else ()
        self._names = [entry.name for entry in entries if isinstance(entry, Parameter)]

    def of(self, index: int, parameter: Parameter, pointer: BtfType) -> tuple[FieldKind, int]:
        """The kind of the field, and the structure that it points to."""
        structure, _ = pointee(self._types, pointer)
        if self._types.type(structure).kind not in COMPOSITES:
            return FieldKind.SCALAR, 0
        more = self._known.promoted.get(self._types.type(structure).name)
        promoted = self._types.find(Kind.STRUCT, more) if more is not None else None
        name = self._names[index] if index < len(self._names) else ""
        if name.endswith(_HELD):
            raise UnknownTarget("programs must give back what they are called with there")
        return POINTERS[True, name.endswith(NULLABLE)], structure if promoted is None else promoted
