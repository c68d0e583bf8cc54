"""Loads and stores.

A load from the context is not a load from guest memory: the verifier has named the guest's offset, the hook's layout
says which field that is, and the value is read from where this process keeps it, in the width that it has here:

    guest   r2 = *(u32 *)(r1 + 0)        xdp_md.data, 4 bytes
    native  r2 = i64 at context + 24     FrameContext.data, 8 bytes: a pointer of this process

What is loaded from a map's value is frozen: a program that compared it with a bound uses the number that it compared.
"""

from __future__ import annotations

from llvmlite import ir

from appliance.ebpf.isa.instructions import LegacyPacketLoad, Load, Store
from appliance.ir import I64, Pointer
from appliance.jit.subprogram import Subprogram
from appliance.verifier.program import Region
from hooks.contracts.contract import ContextField, FieldKind


def emit_load(sub: Subprogram, index: int, load: Load) -> None:
    field, within = _context_field(sub, index, load.size)
    if field is not None and field.kind is not FieldKind.SCALAR:
        pointer = sub.code.at(sub.context, field.host_offset)
        sub.write(load.dst, sub.code.load(pointer, ir.IntType(field.host_size * 8), align=field.host_size))
        return
    place = _scalar_place(sub, field, within) if field else sub.place(index, load.base, load.offset)
    type_ = ir.IntType(load.size * 8)
    if load.ordered:
        loaded = sub.code.builder.load_atomic(sub.code.typed(place, type_), "acquire", load.size)
    else:
        loaded = sub.code.load(place, type_)
        if _is_shared(sub, index):
            loaded = sub.code.freeze(loaded)
    sub.write(load.dst, sub.code.builder.sext(loaded, I64) if load.signed else loaded)


def emit_store(sub: Subprogram, index: int, store: Store) -> None:
    value = sub.narrow(sub.operand(store.source), store.size * 8)
    field, within = _context_field(sub, index, store.size)
    if field is not None and not field.writes:
        raise sub.refusal(f"a store to the context's field {field.name}", index)
    place = _scalar_place(sub, field, within) if field else sub.place(index, store.base, store.offset)
    if store.ordered:
        sub.code.builder.store_atomic(value, sub.code.typed(place, value.type), "release", store.size)
    else:
        sub.code.store(value, place)


def refuse_legacy_load(sub: Subprogram, index: int, _load: LegacyPacketLoad) -> None:
    """Only socket filters may use these, and no hook here is one."""
    raise sub.refusal("a classic-BPF packet load", index)


def _context_field(sub: Subprogram, index: int, size: int) -> tuple[ContextField | None, int]:
    """The field that the instruction reads or writes, and the offset inside of it; (None, 0) for other memory."""
    access = sub.plan.program.facts.accesses.get(index)
    if access is None or access.region is not Region.CONTEXT:
        return None, 0
    layout = sub.plan.program.spec.hook.context
    field = layout.field_at(access.offset, size) if access.offset is not None else None
    if field is None or access.offset is None:
        raise sub.refusal(f"an access to {layout.name} outside of its fields", index)
    return field, access.offset - field.offset


def _is_shared(sub: Subprogram, index: int) -> bool:
    """Whether others may write there meanwhile, so that the load races. To LLVM what it reads is undefined then, and
    might be another number wherever it is used: one for the comparison with a bound, one for the access behind it."""
    access = sub.plan.program.facts.accesses.get(index)
    return access is None or access.region is Region.MAP_VALUE


def _scalar_place(sub: Subprogram, field: ContextField, within: int) -> Pointer:
    """Guest and host are both little endian, so that a part of a field has the same offset in both."""
    return sub.code.at(sub.context, field.host_offset + within)
