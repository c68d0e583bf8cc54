"""bpf_check_mtu: whether a frame may leave by an interface, as the routing tables know its MTU."""

from __future__ import annotations

import errno

from llvmlite import ir

from appliance.helpers.native.call import HelperCall
from appliance.helpers.native.routing.search import find_link, reading
from appliance.helpers.routing.layout import LinkEntry
from appliance.ir import I32, I64, PTR, U32, U64, Code
from hooks.linux.bpf import BPF_MTU_CHK_RET_FRAG_NEEDED, BPF_MTU_CHK_RET_SUCCESS


def check_mtu(call: HelperCall) -> U64:
    """Whether the frame, longer by r4 bytes, may leave by the interface r2, or, if 0, by the one that it came by.

    Where r3 points to, the caller puts a length without the link's header to ask for instead, or 0, and finds the MTU.
    0 or 1; -EINVAL for flags, -ENODEV for an interface that the tables do not know.
    """
    code = call.code
    answer = code.variable(I64, -errno.EINVAL)
    with code.if_(code.compare(call.arguments[4], "==", 0), likely=True):
        tables = code.pointer(call.field("routing").load())
        answer.set(-errno.ENODEV)
        with code.if_(code.builder.not_(code.is_null(tables))):
            asked = _interface(call), _length(call), call.pointers[2], call.low(3)
            answer.set(code.call(_emit_check(code.module), tables, *asked))
    return answer.get()


def _interface(call: HelperCall) -> U32:
    named = call.low(1)
    chosen: U32 = call.code.select(call.code.compare(named, "==", 0), call.field("ingress_ifindex").load(), named)
    return chosen


def _length(call: HelperCall) -> U32:
    code = call.code
    return code.resize(code.sub(call.field("data_end").load(), call.field("data").load()), I32)


def _emit_check(module: ir.Module) -> ir.Function:
    """`i64 check(tables, interface, length, place, difference)`, in 32-bit numbers with a sign, as the kernel does."""
    known = module.globals.get("routing.check_mtu")
    if known is not None:
        return known
    code = Code.define(
        module, "routing.check_mtu", I64, tables=PTR, interface=I32, length=I32, place=PTR, difference=I32
    )
    answer, mtu = code.variable(I64), code.variable(I32)
    wanted = code.load(code["place"], I32)
    with reading(code, code["tables"]) as copy:
        answer.set(-errno.ENODEV)
        mtu.set(wanted)
        link = find_link(code, copy, code["interface"])
        with code.if_(code.builder.not_(code.is_null(link)), likely=True):
            mtu.set(code.field(link, LinkEntry, "mtu").load())
            header = code.field(link, LinkEntry, "header").load()
            length = code.select(code.compare(wanted, "==", 0), code["length"], code.add(wanted, header))
            length, room = code.add(length, code["difference"]), code.add(mtu.get(), header)
            too_long = code.compare_signed(length, ">", room)
            fits = ir.Constant(I64, BPF_MTU_CHK_RET_SUCCESS)
            answer.set(code.select(too_long, ir.Constant(I64, BPF_MTU_CHK_RET_FRAG_NEEDED), fits))
    code.store(mtu.get(), code["place"])
    code.ret(answer.get())
    return code.function
