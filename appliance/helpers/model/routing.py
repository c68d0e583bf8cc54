"""Routes and MTUs in Python, out of the same memory that native code reads (`helpers.routing.layout`).

Nobody changes the tables while the interpreter reads them: it holds the GIL, and only Python publishes.
"""

from __future__ import annotations

import ctypes
import errno
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from appliance.ebpf.interpreter import Helper, HelperCall, Value
from appliance.helpers.model.frame import given_context
from appliance.helpers.routing.fib_lookup import (
    CHAIN_LIMIT,
    HASH_MULTIPLIER,
    IP_MAX_MTU,
    LOOPBACK_INTERFACE,
    RESULT_OF_KIND,
    STRICT,
)
from appliance.helpers.routing.layout import ARRAYS, Copy, HopEntry, RouteEntry, RuleEntry, Tables
from hooks.linux import bpf
from hooks.linux.bpf import bpf_fib_lookup
from hooks.linux.rtnetlink import RT_TABLE_MAIN
from hooks.routing.routes import AF_INET, AF_INET6, RouteKind

M32 = (1 << 32) - 1
M64 = (1 << 64) - 1


class _Result(Exception):
    """The lookup ends here with that number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Reader:
    """The copy that is whole."""

    def __init__(self, address: int) -> None:
        tables = Tables.from_address(address)
        self._copy = Copy.from_address(tables.copies[tables.generation & 1])

    def array(self, name: str) -> Sequence[Any]:
        kind, count = ARRAYS[name][0], getattr(self._copy, f"{name}_count")
        entries: Sequence[Any] = (kind * count).from_address(getattr(self._copy, name))
        return entries

    def last(self, name: str, space: int, number: int) -> Any:
        """The last entry that is not behind the key, or None."""
        entries = self.array(name)
        index = bisect_right(entries, (space, number), key=_key)
        return entries[index - 1] if index else None

    def exactly(self, name: str, space: int, number: int) -> Any:
        found = self.last(name, space, number)
        return found if found is not None and _key(found) == (space, number) else None

    def route(self, number: int) -> RouteEntry:
        entry: RouteEntry = self.array("routes")[number - 1]
        return entry

    def hops(self, route: RouteEntry) -> Sequence[HopEntry]:
        return [self.array("hops")[route.first_hop + number] for number in range(route.hop_count)]


def _key(entry: Any) -> tuple[int, int]:
    return entry.space, entry.high << 64 | entry.low


def check_mtu(call: HelperCall) -> Value:
    """Whether the frame, longer by r4 bytes, may leave by the interface r2, or, if 0, by the one that it came by."""
    context = given_context(call)
    interface, difference, flags = call.number(1) & M32, _signed(call.number(3)), call.number(4)
    wanted = int.from_bytes(call.read(2, 4), "little")
    if flags:
        return -errno.EINVAL & M64
    host = context.host
    link = _Reader(host.routing).exactly("links", 0, interface or host.ingress_ifindex) if host.routing else None
    call.write(2, (link.mtu if link is not None else wanted).to_bytes(4, "little"))
    if link is None:
        return -errno.ENODEV & M64
    packet = context.packet
    length = wanted + link.header if wanted else packet.data_end - packet.data
    fits = _signed(length + difference) <= link.mtu + link.header
    return bpf.BPF_MTU_CHK_RET_SUCCESS if fits else bpf.BPF_MTU_CHK_RET_FRAG_NEEDED


def _signed(number: int) -> int:
    return (number & M32) - ((number & M32) >> 31 << 32)


def fib_lookup(call: HelperCall) -> Value:
    """Fill `params` (r2, r3 bytes) with the way to its destination, by the flags r4.

    BPF_FIB_LKUP_RET_* or -errno.
    """
    context, size, flags = given_context(call), _signed(call.number(2)), call.number(3) & M32
    asked = call.read(1, size)
    if size < ctypes.sizeof(bpf_fib_lookup) or flags & ~bpf.BPF_FIB_LOOKUP_MASK:
        return -errno.EINVAL & M64
    params = bpf_fib_lookup.from_buffer_copy(asked)
    if params.family not in (AF_INET, AF_INET6):
        return -errno.EAFNOSUPPORT & M64
    if not context.host.routing:
        return bpf.BPF_FIB_LKUP_RET_NOT_FWDED
    try:
        _look_up(_Reader(context.host.routing), params, flags)
        number = bpf.BPF_FIB_LKUP_RET_SUCCESS
    except _Result as result:
        number = result.number
    call.write(1, bytes(params))
    return number & M64


def _address(params: bpf_fib_lookup, name: str) -> int:
    octets = bytes(getattr(params, name))
    return int.from_bytes(octets[:4] if params.family == AF_INET else octets, "big")


def _store_address(params: bpf_fib_lookup, name: str, number: int) -> None:
    octets = number.to_bytes(4 if params.family == AF_INET else 16, "big")
    place = getattr(params, name)
    ctypes.memmove(ctypes.addressof(place), octets, len(octets))


def _look_up(reader: _Reader, params: bpf_fib_lookup, flags: int) -> None:
    """Answer in `params`. Raises _Result for everything but success."""
    source, destination = _address(params, "src"), _address(params, "dst")
    if params.family == AF_INET6:
        for address in (source, destination):
            if any(address & mask == value for value, mask in STRICT):
                raise _Result(bpf.BPF_FIB_LKUP_RET_NOT_FWDED)
    link = reader.exactly("links", 0, params.ifindex)
    if link is None:
        raise _Result(-errno.ENODEV)
    if not link.forwards >> params.family & 1:
        raise _Result(bpf.BPF_FIB_LKUP_RET_FWD_DISABLED)
    outward = flags & bpf.BPF_FIB_LOOKUP_OUTPUT
    oif = params.ifindex if outward else 0
    if flags & bpf.BPF_FIB_LOOKUP_DIRECT:
        route = _direct(reader, params, flags, destination, oif)
    else:
        mark = params.mark if flags & bpf.BPF_FIB_LOOKUP_MARK else 0
        iif = LOOPBACK_INTERFACE if outward else params.ifindex
        route = _rules_lookup(reader, params.family, mark, iif, oif, source, destination)
    if route is None:
        raise _Result(bpf.BPF_FIB_LKUP_RET_NOT_FWDED)
    if route.kind != RouteKind.UNICAST:
        raise _Result(RESULT_OF_KIND.get(route.kind, bpf.BPF_FIB_LKUP_RET_NOT_FWDED))
    hop = _select_path(reader.hops(route), source, destination, oif)
    if hop is None:
        raise _Result(bpf.BPF_FIB_LKUP_RET_NOT_FWDED)
    _finish(reader, params, flags, route, hop)


def _direct(reader: _Reader, params: bpf_fib_lookup, flags: int, destination: int, oif: int) -> RouteEntry | None:
    table = RT_TABLE_MAIN
    if flags & bpf.BPF_FIB_LOOKUP_TBID:
        table, params.tbid = params.tbid or RT_TABLE_MAIN, 0
    return _table_lookup(reader, table, params.family, destination, oif)


def _rules_lookup(
    reader: _Reader, family: int, mark: int, iif: int, oif: int, source: int, destination: int
) -> RouteEntry | None:
    for rule in reader.array("rules"):
        if rule.family != family or not _rule_matches(rule, mark, iif, oif, source, destination):
            continue
        if not rule.table:
            raise _Result(RESULT_OF_KIND[rule.kind])
        route = _table_lookup(reader, rule.table, family, destination, oif)
        if route is not None and route.kind != RouteKind.THROW:
            return route
    return None


def _rule_matches(rule: RuleEntry, mark: int, iif: int, oif: int, source: int, destination: int) -> bool:
    def wide(name: str) -> int:
        high, low = getattr(rule, f"{name}_high"), getattr(rule, f"{name}_low")
        return int(high << 64 | low)

    return (
        (mark ^ rule.mark) & rule.mask == 0
        and rule.interface in (0, iif)
        and rule.out_interface in (0, oif)
        and source & wide("source_mask") == wide("source")
        and destination & wide("destination_mask") == wide("destination")
    )


def _table_lookup(reader: _Reader, table: int, family: int, destination: int, oif: int) -> RouteEntry | None:
    space = table << 32 | family
    found = reader.last("ranges", space, destination)
    number = found.route if found is not None and found.space == space else 0
    for _ in range(CHAIN_LIMIT):
        if not number:
            return None
        route = reader.route(number)
        leaves = not oif or family == AF_INET6 or any(hop.interface == oif for hop in reader.hops(route))
        if leaves or route.kind >= RouteKind.BLACKHOLE:
            return route
        number = route.next
    return None


def _select_path(hops: Sequence[HopEntry], source: int, destination: int, oif: int) -> HopEntry | None:
    if not hops:
        return None
    if oif:
        return next((hop for hop in hops if hop.interface == oif), hops[0])
    first, second = (number >> 64 ^ number & M64 for number in (source, destination))
    mixed = (first * HASH_MULTIPLIER + second) * HASH_MULTIPLIER & M64
    return hops[(mixed >> 32) % len(hops)]


def _finish(reader: _Reader, params: bpf_fib_lookup, flags: int, route: RouteEntry, hop: HopEntry) -> None:
    link = reader.exactly("links", 0, hop.interface)
    if link is None:
        raise _Result(bpf.BPF_FIB_LKUP_RET_NOT_FWDED)
    mtu = route.mtu or (min(link.mtu, IP_MAX_MTU) if params.family == AF_INET else link.mtu_ipv6)
    if params.tot_len > mtu:
        params.tot_len = mtu
        raise _Result(bpf.BPF_FIB_LKUP_RET_FRAG_NEEDED)
    if hop.encapsulated:
        raise _Result(bpf.BPF_FIB_LKUP_RET_UNSUPP_LWT)
    params.rt_metric, params.ifindex = route.metric, hop.interface
    if flags & bpf.BPF_FIB_LOOKUP_SRC:
        if not hop.has_source and params.family == AF_INET6:
            raise _Result(bpf.BPF_FIB_LKUP_RET_NO_SRC_ADDR)
        _store_address(params, "src", hop.source_high << 64 | hop.source_low)
    if hop.family:
        params.family = hop.family
        _store_address(params, "dst", hop.gateway_high << 64 | hop.gateway_low)
    if not flags & bpf.BPF_FIB_LOOKUP_SKIP_NEIGH:
        space = hop.interface << 32 | params.family
        neighbour = reader.exactly("neighbours", space, _address(params, "dst"))
        if neighbour is None:
            raise _Result(bpf.BPF_FIB_LKUP_RET_NO_NEIGH)
        places = {bpf_fib_lookup.dmac: neighbour.ethernet, bpf_fib_lookup.mark: link.ethernet}
        for place, ethernet in places.items():
            ctypes.memmove(ctypes.addressof(params) + place.offset, ethernet.to_bytes(8, "little"), 6)
    params.tbid = 0
    params.tot_len = mtu & 0xFFFF


HELPERS: Mapping[str, Helper] = {"check_mtu": check_mtu, "fib_lookup": fib_lookup}
