"""From an address to its route and next hop: policy rules, tables, longest prefixes, and who shares a route.

Addresses are numbers of 128 bits, of which IPv4 has the low 32. A route is spoken of by its number, from 1.
"""

from __future__ import annotations

from llvmlite import ir

from appliance.helpers.native.routing.search import NULL, entry_at, find_last, key
from appliance.helpers.routing.fib_lookup import CHAIN_LIMIT, HASH_MULTIPLIER, RESULT_OF_KIND
from appliance.helpers.routing.layout import Copy, HopEntry, Range, RouteEntry, RuleEntry
from appliance.ir import I32, I64, I128, PTR, U1, U32, U64, U128, Code, Pointer, Value, Variable
from hooks.linux import bpf
from hooks.routing.routes import AF_INET, RouteKind

UNROUTED = 0  # in the place of a route's number


def halves(code: Code, address: U128) -> tuple[U64, U64]:
    """High and low."""
    return code.resize(code.shr(address, 64), I64), code.resize(address, I64)


def emit_rules_lookup(module: ir.Module) -> ir.Function:
    """`i64 fib.rules_lookup(copy, family, mark, iif, oif, source, destination)`: the route's number, UNROUTED, or the
    negative answer of a rule that refuses."""
    table_lookup = module.globals["fib.table_lookup"]
    code = Code.define(
        module, "fib.rules_lookup", I64, copy=PTR, family=I64, mark=I32, iif=I32, oif=I32, source=I128, destination=I128
    )
    copy, family, destination = code["copy"], code["family"], code["destination"]
    number = code.variable(I64, 0)
    with code.loop() as loop:
        index = number.get()
        loop.break_if(code.compare(index, ">=", code.field(copy, Copy, "rules_count").load()))
        number.set(code.add(index, 1))
        rule = entry_at(code, copy, "rules", index)
        loop.continue_if(code.builder.not_(_rule_matches(code, rule)))
        table = code.resize(code.field(rule, RuleEntry, "table").load(), I64)
        with code.if_(code.compare(table, "==", 0)):
            code.ret(code.sub(ir.Constant(I64, 0), result_of_kind(code, code.field(rule, RuleEntry, "kind").load())))
        route = code.call(table_lookup, copy, table, family, destination, code["oif"])
        loop.continue_if(code.compare(route, "==", UNROUTED))
        kind = code.field(entry_at(code, copy, "routes", code.sub(route, 1)), RouteEntry, "kind").load()
        loop.continue_if(code.compare(kind, "==", RouteKind.THROW))
        code.ret(route)
    code.ret(UNROUTED)
    return code.function


def _rule_matches(code: Code, rule: Pointer) -> U1:
    """Whether all selectors of the rule do."""

    def held(name: str) -> Value:
        return code.field(rule, RuleEntry, name).load()

    def wide(name: str) -> U128:
        high, low = (code.resize(held(f"{name}_{half}"), I128) for half in ("high", "low"))
        return code.or_(code.shl(high, 64), low)

    fits = code.compare(code.resize(held("family"), I64), "==", code["family"])
    fits = code.and_(fits, code.compare(code.and_(code.xor(code["mark"], held("mark")), held("mask")), "==", 0))
    for name, given in (("interface", "iif"), ("out_interface", "oif")):
        any_ = code.compare(held(name), "==", 0)
        fits = code.and_(fits, code.or_(any_, code.compare(held(name), "==", code[given])))
    for name in ("source", "destination"):
        fits = code.and_(fits, code.compare(code.and_(code[name], wide(f"{name}_mask")), "==", wide(name)))
    return fits


def result_of_kind(code: Code, kind: U32) -> U64:
    """What a route that is not unicast, or a rule without a table, answers."""
    answer: U64 = ir.Constant(I64, bpf.BPF_FIB_LKUP_RET_NOT_FWDED)
    for known, meaning in RESULT_OF_KIND.items():
        answer = code.select(code.compare(kind, "==", known), ir.Constant(I64, meaning), answer)
    return answer


def emit_table_lookup(module: ir.Module) -> ir.Function:
    """`i64 fib.table_lookup(copy, table, family, destination, oif)`: the number of the best route, or UNROUTED.

    Of IPv4 with an interface to leave by, the first along the chain that leaves by it, or that refuses the packet
    anyhow. To IPv6 the interface is a mere wish, as in the kernel (rt6_score_route).
    """
    code = Code.define(module, "fib.table_lookup", I64, copy=PTR, table=I64, family=I64, destination=I128, oif=I32)
    copy, oif = code["copy"], code.select(code.compare(code["family"], "==", AF_INET), code["oif"], 0)
    space = code.or_(code.shl(code["table"], 32), code["family"])
    range_ = find_last(code, copy, "ranges", key(code, space, *halves(code, code["destination"])))
    with code.if_(code.is_null(range_)):
        code.ret(UNROUTED)
    with code.if_(code.compare(code.field(range_, Range, "space").load(), "!=", space)):
        code.ret(UNROUTED)
    number = code.variable(I64, code.field(range_, Range, "route").load())
    with code.count(ir.Constant(I64, CHAIN_LIMIT)):
        current = number.get()
        with code.if_(code.or_(code.compare(current, "==", UNROUTED), code.compare(oif, "==", 0))):
            code.ret(current)
        route = entry_at(code, copy, "routes", code.sub(current, 1))
        with code.if_(code.compare(code.field(route, RouteEntry, "kind").load(), ">=", RouteKind.BLACKHOLE)):
            code.ret(current)
        with code.if_(code.builder.not_(code.is_null(_hop_by_oif(code, copy, route, oif)))):
            code.ret(current)
        number.set(code.resize(code.field(route, RouteEntry, "next").load(), I64))
    code.ret(UNROUTED)
    return code.function


def _hop_by_oif(code: Code, copy: Pointer, route: Pointer, oif: U32) -> Pointer:
    """The route's first next hop by that interface, or null."""
    first, count = (code.resize(code.field(route, RouteEntry, name).load(), I64) for name in ("first_hop", "hop_count"))
    found: Variable[Pointer] = code.variable(PTR, NULL)
    number = code.variable(I64, 0)
    with code.loop() as loop:
        loop.break_if(code.compare(number.get(), ">=", count))
        hop = entry_at(code, copy, "hops", code.add(first, number.get()))
        with code.if_(code.compare(code.field(hop, HopEntry, "interface").load(), "==", oif)):
            found.set(hop)
            loop.break_()
        number.add(1)
    return found.get()


def emit_select_path(module: ir.Module) -> ir.Function:
    """`ptr fib.select_path(copy, route, source, destination, oif)`: the next hop by `oif`, or without one the hop
    that the two addresses always get; null if the route has none."""
    code = Code.define(module, "fib.select_path", PTR, copy=PTR, route=PTR, source=I128, destination=I128, oif=I32)
    copy, route, oif = code["copy"], code["route"], code["oif"]
    first, count = (code.resize(code.field(route, RouteEntry, name).load(), I64) for name in ("first_hop", "hop_count"))
    with code.if_(code.compare(count, "==", 0)):
        code.ret(NULL)
    with code.if_(code.compare(oif, "!=", 0)):
        wished = _hop_by_oif(code, copy, route, oif)
        code.ret(code.select(code.is_null(wished), entry_at(code, copy, "hops", first), wished))
    source, destination = (code.xor(*halves(code, code[name])) for name in ("source", "destination"))
    mixed = code.mul(code.add(code.mul(source, HASH_MULTIPLIER), destination), HASH_MULTIPLIER)
    chosen = code.builder.urem(code.shr(mixed, 32), count)
    code.ret(entry_at(code, copy, "hops", code.add(first, chosen)))
    return code.function
