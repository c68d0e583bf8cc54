"""Asking for the way to an address: bpf_fib_lookup over the tables of `helpers.routing.layout`.

    policy rules ──> table ──> longest prefix ──> route ──> next hop ──> neighbour
                                                    │          │            └─ its Ethernet address
                                                    │          └─ interface, gateway
                                                    └─ metric, MTU

Source: bpf_ipv4_fib_lookup and bpf_ipv6_fib_lookup of net/core/filter.c.
"""

from __future__ import annotations

import ctypes
import errno

from llvmlite import ir

from appliance.helpers.native.call import HelperCall
from appliance.helpers.native.routing.route_lookup import (
    UNROUTED,
    emit_rules_lookup,
    emit_select_path,
    emit_table_lookup,
    halves,
    result_of_kind,
)
from appliance.helpers.native.routing.search import entry_at, find_exactly, find_link, key, reading
from appliance.helpers.routing.fib_lookup import IP_MAX_MTU, LOOPBACK_INTERFACE, STRICT
from appliance.helpers.routing.layout import HopEntry, LinkEntry, NeighbourEntry, RouteEntry
from appliance.ir import I1, I8, I16, I32, I64, I128, PTR, U1, U32, U64, U128, Code, N, Pointer
from hooks.linux import bpf
from hooks.linux.bpf import bpf_fib_lookup
from hooks.linux.rtnetlink import RT_TABLE_MAIN
from hooks.routing.routes import AF_INET, AF_INET6, RouteKind

SIZE = ctypes.sizeof(bpf_fib_lookup)


def fib_lookup(call: HelperCall) -> U64:
    """Fill `params` (r2, r3 bytes) with the way to its destination, by the flags r4.

    BPF_FIB_LKUP_RET_*; -EINVAL for `params` that are too short or for unknown flags, -EAFNOSUPPORT, -ENODEV.
    """
    code, flags = call.code, call.low(3)
    answer = code.variable(I64, -errno.EINVAL)
    whole = code.compare_signed(call.low(2), ">=", SIZE)
    known = code.compare(code.and_(flags, 0xFFFFFFFF & ~bpf.BPF_FIB_LOOKUP_MASK), "==", 0)
    with code.if_(code.and_(whole, known), likely=True):
        tables = code.pointer(call.field("routing").load())
        answer.set(code.call(_emit_lookup(code.module), tables, call.pointers[1], flags))
    return answer.get()


def _emit_lookup(module: ir.Module) -> ir.Function:
    """`i64 fib.lookup(tables, asked, flags)`: on a copy of `params`, for as long as the tables change meanwhile."""
    known = module.globals.get("fib.lookup")
    if known is not None:
        return known
    attempt = _emit_attempt(module)
    code = Code.define(module, "fib.lookup", I64, tables=PTR, asked=PTR, flags=I32)
    tables, asked = code["tables"], code["asked"]
    family = code.field(asked, bpf_fib_lookup, "family").load()
    with code.if_(code.and_(code.compare(family, "!=", AF_INET), code.compare(family, "!=", AF_INET6))):
        code.ret(-errno.EAFNOSUPPORT)
    with code.if_(code.is_null(tables)):
        code.ret(bpf.BPF_FIB_LKUP_RET_NOT_FWDED)
    params = code.buffer(SIZE)
    answer = code.variable(I64)
    with reading(code, tables) as copy:
        code.copy(params, asked, SIZE)
        answer.set(code.call(attempt, copy, params, code["flags"]))
    code.copy(asked, params, SIZE)
    code.ret(answer.get())
    return code.function


def _has(code: Code, flag: int) -> U1:
    return code.compare(code.and_(code["flags"], flag), "!=", 0)


def _address(code: Code, params: Pointer, name: str, family: U64) -> U128:
    """The address as a number: 128 bits, of which IPv4 has the low 32."""
    place = code.field(params, bpf_fib_lookup, name).address
    four = code.resize(code.swap_bytes(code.load(place, I32)), I128)
    six = code.swap_bytes(code.load(place, I128))
    return code.select(code.compare(family, "==", AF_INET), four, six)


def _emit_attempt(module: ir.Module) -> ir.Function:
    """`i64 fib.attempt(copy, params, flags)`: the whole lookup, answered in `params` itself."""
    select_path, table_lookup = emit_select_path(module), emit_table_lookup(module)
    rules_lookup = emit_rules_lookup(module)
    finish = _emit_finish(module)
    code = Code.define(module, "fib.attempt", I64, copy=PTR, params=PTR, flags=I32)
    copy, params = code["copy"], code["params"]
    family = code.resize(code.field(params, bpf_fib_lookup, "family").load(), I64)
    source, destination = (_address(code, params, name, family) for name in ("src", "dst"))
    _refuse_strict(code, family, source, destination)
    interface = code.field(params, bpf_fib_lookup, "ifindex").load()
    link = find_link(code, copy, interface)
    with code.if_(code.is_null(link)):
        code.ret(-errno.ENODEV)
    forwards = code.shr(code.resize(code.field(link, LinkEntry, "forwards").load(), I64), family)
    with code.if_(code.compare(code.and_(forwards, 1), "==", 0)):
        code.ret(bpf.BPF_FIB_LKUP_RET_FWD_DISABLED)

    outward = _has(code, bpf.BPF_FIB_LOOKUP_OUTPUT)
    oif = code.select(outward, interface, 0)
    iif = code.select(outward, ir.Constant(I32, LOOPBACK_INTERFACE), interface)
    found = code.variable(I64)
    with code.if_else(_has(code, bpf.BPF_FIB_LOOKUP_DIRECT)) as (one_table, by_policy):
        with one_table:
            found.set(code.call(table_lookup, copy, _consume_tbid(code, params), family, destination, oif))
        with by_policy:
            mark = code.field(params, bpf_fib_lookup, "mark").load()
            mark = code.select(_has(code, bpf.BPF_FIB_LOOKUP_MARK), mark, 0)
            found.set(code.call(rules_lookup, copy, family, mark, iif, oif, source, destination))
    with code.if_(code.compare(found.get(), "==", UNROUTED)):
        code.ret(bpf.BPF_FIB_LKUP_RET_NOT_FWDED)
    with code.if_(code.compare_signed(found.get(), "<", 0)):
        code.ret(code.sub(ir.Constant(I64, 0), found.get()))
    route = entry_at(code, copy, "routes", code.sub(found.get(), 1))
    kind = code.field(route, RouteEntry, "kind").load()
    with code.if_(code.compare(kind, "!=", RouteKind.UNICAST)):
        code.ret(result_of_kind(code, kind))
    hop = code.call(select_path, copy, route, source, destination, oif)
    with code.if_(code.is_null(hop)):
        code.ret(bpf.BPF_FIB_LKUP_RET_NOT_FWDED)
    code.ret(code.call(finish, copy, params, code["flags"], route, hop))
    return code.function


def _consume_tbid(code: Code, params: Pointer) -> U64:
    """The number of the table that `params` names, and then no longer does; the main table's if it names none."""
    table = code.variable(I64, RT_TABLE_MAIN)
    with code.if_(_has(code, bpf.BPF_FIB_LOOKUP_TBID)):
        asked = code.field(params, bpf_fib_lookup, "tbid")
        number = code.resize(asked.load(), I64)
        table.set(code.select(code.compare(number, "==", 0), RT_TABLE_MAIN, number))
        asked.store(0)
    return table.get()


def _refuse_strict(code: Code, family: U64, source: U128, destination: U128) -> None:
    """Of IPv6, multicast, link-local and loopback addresses are never forwarded."""
    strict = ir.Constant(I1, 0)
    for address in (source, destination):
        for value, mask in STRICT:
            strict = code.or_(strict, code.compare(code.and_(address, mask), "==", value))
    with code.if_(code.and_(code.compare(family, "==", AF_INET6), strict)):
        code.ret(bpf.BPF_FIB_LKUP_RET_NOT_FWDED)


def _emit_finish(module: ir.Module) -> ir.Function:
    """`i64 fib.finish(copy, params, flags, route, hop)`: say where the route leads, if the packet fits there."""
    code = Code.define(module, "fib.finish", I64, copy=PTR, params=PTR, flags=I32, route=PTR, hop=PTR)
    copy, params, hop = code["copy"], code["params"], code["hop"]

    def asked(name: str, offset: int = 0) -> Pointer:
        return code.at(code.field(params, bpf_fib_lookup, name).address, offset)

    interface = code.field(hop, HopEntry, "interface").load()
    link = find_link(code, copy, interface)
    with code.if_(code.is_null(link)):
        code.ret(bpf.BPF_FIB_LKUP_RET_NOT_FWDED)
    mtu = _mtu(code, link)
    length = code.field(params, bpf_fib_lookup, "tot_len")
    with code.if_(code.compare(code.resize(length.load(), I32), ">", mtu)):
        length.store(code.resize(mtu, I16))
        code.ret(bpf.BPF_FIB_LKUP_RET_FRAG_NEEDED)
    with code.if_(code.compare(code.field(hop, HopEntry, "encapsulated").load(), "!=", 0)):
        code.ret(bpf.BPF_FIB_LKUP_RET_UNSUPP_LWT)
    code.field(params, bpf_fib_lookup, "rt_metric").store(code.field(code["route"], RouteEntry, "metric").load())
    code.field(params, bpf_fib_lookup, "ifindex").store(interface)
    _store_source(code)
    _store_gateway(code)
    with code.if_(code.compare(code.and_(code["flags"], bpf.BPF_FIB_LOOKUP_SKIP_NEIGH), "==", 0)):
        family = code.resize(code.field(params, bpf_fib_lookup, "family").load(), I64)
        space = code.or_(code.shl(code.resize(interface, I64), 32), family)
        address = _address(code, params, "dst", family)
        neighbour = find_exactly(code, copy, "neighbours", key(code, space, *halves(code, address)))
        with code.if_(code.is_null(neighbour)):
            code.ret(bpf.BPF_FIB_LKUP_RET_NO_NEIGH)
        code.copy(asked("dmac"), code.field(neighbour, NeighbourEntry, "ethernet").address, 6)
        code.copy(asked("mark"), code.field(link, LinkEntry, "ethernet").address, 6)
    code.field(params, bpf_fib_lookup, "tbid").store(0)
    length.store(code.resize(mtu, I16))
    code.ret(bpf.BPF_FIB_LKUP_RET_SUCCESS)
    return code.function


def _mtu(code: Code, link: Pointer) -> U32:
    """The route's own MTU, or the interface's for packets of the family."""
    own = code.field(code["route"], RouteEntry, "mtu").load()
    four = code.compare(code.field(code["params"], bpf_fib_lookup, "family").load(), "==", AF_INET)
    plain, six = (code.field(link, LinkEntry, name).load() for name in ("mtu", "mtu_ipv6"))
    plain = code.select(code.compare(plain, ">", IP_MAX_MTU), ir.Constant(I32, IP_MAX_MTU), plain)
    mtu: U32 = code.select(code.compare(own, "!=", 0), own, code.select(four, plain, six))
    return mtu


def _store_address(code: Code, name: str, family: N, high: U64, low: U64) -> None:
    """A number as an address in network order."""
    place = code.field(code["params"], bpf_fib_lookup, name).address
    with code.if_else(code.compare(family, "==", AF_INET)) as (four, six):
        with four:
            code.store(code.swap_bytes(code.resize(low, I32)), place)
        with six:
            code.store(code.swap_bytes(high), place)
            code.store(code.swap_bytes(low), code.at(place, 8))


def _store_source(code: Code) -> None:
    """With the flag SRC: an address of ours to speak from."""
    hop = code["hop"]
    family = code.field(code["params"], bpf_fib_lookup, "family").load()
    with code.if_(_has(code, bpf.BPF_FIB_LOOKUP_SRC)):
        missing = code.compare(code.field(hop, HopEntry, "has_source").load(), "==", 0)
        with code.if_(code.and_(missing, code.compare(family, "==", AF_INET6))):
            code.ret(bpf.BPF_FIB_LKUP_RET_NO_SRC_ADDR)
        high, low = (code.field(hop, HopEntry, f"source_{half}").load() for half in ("high", "low"))
        _store_address(code, "src", family, high, low)


def _store_gateway(code: Code) -> None:
    """The packet goes to the gateway, if there is one; that of an IPv4 route may have an IPv6 address."""
    hop = code["hop"]
    family = code.field(hop, HopEntry, "family").load()
    with code.if_(code.compare(family, "!=", 0)):
        code.field(code["params"], bpf_fib_lookup, "family").store(code.resize(family, I8))
        high, low = (code.field(hop, HopEntry, f"gateway_{half}").load() for half in ("high", "low"))
        _store_address(code, "dst", family, high, low)
