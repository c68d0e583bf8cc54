"""The routes, neighbours and links that programs may ask for: fed by the control plane, read by native code.

    with RoutingTables() as tables:
        tables.publish(Routing(links=…, routes=…, neighbours=…))     # hooks.routing reads the kernel's
        FrameContext(routing=tables.address)

Tables that were never fed have no links.
"""

from __future__ import annotations

import ctypes
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_address, ip_interface, ip_network
from typing import Any

from appliance.closeable import Closeable
from appliance.epochs import assign_pointer, begin_change, default_domain
from appliance.errors import CannotRun
from appliance.helpers.routing.layout import (
    ARRAYS,
    Copy,
    HopEntry,
    LinkEntry,
    NeighbourEntry,
    Range,
    RouteEntry,
    RuleEntry,
    Tables,
)
from appliance.helpers.routing.ranges import Prefix, flatten
from appliance.memory import PRIVATE, Plain, Reserve
from hooks.linux.rtnetlink import RT_TABLE_LOCAL, RT_TABLE_MAIN
from hooks.routing.routes import AF_INET, AF_INET6, DEFAULT_RULES, Neighbour, NetworkLink, NextHop, Route, Routing, Rule

M64 = (1 << 64) - 1
DEFAULT_RULES_IPV4 = tuple(rule for rule in DEFAULT_RULES if rule.family == AF_INET)
FAMILIES = {4: AF_INET, 6: AF_INET6}
_COPY_SIZE = -(-ctypes.sizeof(Copy) // 64) * 64 + sum(ctypes.sizeof(kind) * room for kind, room in ARRAYS.values())


class RoutingTables(Closeable):
    """Memory that generated code finds at `address`. A context manager; closing twice is harmless.

    Pages that no entry needs take no memory. Any thread may publish and close; who looks things up is a reader.
    """

    def __init__(self, reserve: Reserve = PRIVATE) -> None:
        """Take memory from the reserve. Raises OSError (ENOMEM)."""
        head = 64
        self._memory = reserve.take(Plain(head + 2 * _COPY_SIZE))
        self._address = self._memory.address
        self._open = True
        self._lock = threading.Lock()
        self._tables = Tables.from_address(self._address)
        self._copies = []
        for number in range(2):
            place = self._address + head + number * _COPY_SIZE
            self._tables.copies[number] = place
            self._copies.append(_lay_out(place))

    @property
    def address(self) -> int:
        """Good in a read-side critical section, or until `close`. Raises CannotRun once they are closed."""
        self._check_open()
        return self._address

    def _check_open(self) -> None:
        if not self._open:
            raise CannotRun("the routing tables are closed")

    def publish(self, routing: Routing) -> None:
        """Answer from `routing` from now on.

        Raises CannotRun if there is more of something than room for it; the tables are then as they were.
        """
        entries = _entries(routing)
        for name, (_, room) in ARRAYS.items():
            if len(entries[name]) > room:
                raise CannotRun(f"routing tables: {len(entries[name])} {name}, and room for {room}")
        with self._lock:
            self._check_open()
            generation = self._tables.generation + 1
            begin_change(self.address + Tables.writing.offset, generation)
            copy = self._copies[generation & 1]
            for name, (kind, _) in ARRAYS.items():
                array = (kind * len(entries[name]))(*entries[name])
                ctypes.memmove(getattr(copy, name), array, ctypes.sizeof(array))
                setattr(copy, f"{name}_count", len(entries[name]))
            assign_pointer(self.address + Tables.generation.offset, generation)

    def close(self) -> None:
        with self._lock:
            open_, self._open = self._open, False
        if open_:
            default_domain.retire(self._memory.close)


def _lay_out(place: int) -> Copy:
    copy = Copy.from_address(place)
    array = place + -(-ctypes.sizeof(Copy) // 64) * 64
    for name, (kind, room) in ARRAYS.items():
        setattr(copy, name, array)
        array += ctypes.sizeof(kind) * room
    return copy


def _entries(routing: Routing) -> Mapping[str, Sequence[ctypes.Structure]]:
    """All of a copy's entries, in their order."""
    ranges, routes, hops = _route_entries(routing)
    return {
        "ranges": ranges,
        "routes": routes,
        "hops": hops,
        "neighbours": sorted((_neighbour(each) for each in routing.neighbours), key=_order),
        "links": sorted((_link(each) for each in routing.links), key=_order),
        "rules": list(map(_rule, routing.rules)),
    }


def _order(entry: Any) -> tuple[int, int, int]:
    return entry.space, entry.high, entry.low


def _route_entries(routing: Routing) -> tuple[list[Range], list[RouteEntry], list[HopEntry]]:
    """Of one prefix the routes with the lowest metric come first."""
    links = {link.index: link for link in routing.links}
    spaces = _by_space(routing)
    ranges: list[Range] = []
    routes: list[RouteEntry] = []
    hops: list[HopEntry] = []
    for space, prefixes in sorted(spaces.items()):
        numbered = []
        for network, candidates in prefixes.items():
            numbers = []
            for route in sorted(candidates, key=lambda each: each.metric):
                routes.append(_route(route, len(hops)))
                hops += _hops(route, space & 0xFF, links)
                routes[-1].hop_count = len(hops) - routes[-1].first_hop
                numbers.append(len(routes))
            first, last = int(network.network_address), int(network.broadcast_address)
            numbered.append(Prefix(first, last, tuple(numbers)))
        starts, following = flatten(numbered)
        ranges += [Range(start & M64, start >> 64 & M64, space, route) for start, route in starts if start >> 128 == 0]
        for number, after in following.items():
            routes[number - 1].next = after
    return ranges, routes, hops


def _by_space(routing: Routing) -> Mapping[int, Mapping[IPv4Network | IPv6Network, list[Route]]]:
    """Routes by table and family, then by prefix. As long as there are no policy rules, Linux keeps IPv4's local table
    within the main one, and who asks for that finds both."""
    merged = [rule for rule in routing.rules if rule.family == AF_INET] == list(DEFAULT_RULES_IPV4)
    spaces: dict[int, dict[IPv4Network | IPv6Network, list[Route]]] = defaultdict(lambda: defaultdict(list))
    for route in routing.routes:
        network = ip_network(route.destination, strict=False)
        family = FAMILIES[network.version]
        tables = {route.table}
        if merged and family == AF_INET and route.table == RT_TABLE_LOCAL:
            tables.add(RT_TABLE_MAIN)
        for table in tables:
            spaces[table << 32 | family][network].append(route)
    return spaces


def _route(route: Route, first_hop: int) -> RouteEntry:
    return RouteEntry(route.kind, route.metric, route.mtu, 0, first_hop, 0)


def _hops(route: Route, family: int, links: dict[int, NetworkLink]) -> Iterable[HopEntry]:
    """Each as often as its weight says, so that one of them is chosen by its number alone."""
    for hop in route.next_hops:
        gateway = None if hop.gateway is None else ip_address(hop.gateway)
        source = route.source or _source(hop, family, links)
        number = 0 if gateway is None else int(gateway)
        own = 0 if source is None else int(ip_address(source))
        for _ in range(hop.weight):
            yield HopEntry(
                hop.interface,
                0 if gateway is None else FAMILIES[gateway.version],
                number & M64,
                number >> 64,
                own & M64,
                own >> 64,
                source is not None,
                hop.encapsulated,
            )


def _source(hop: NextHop, family: int, links: Mapping[int, NetworkLink]) -> str | None:
    """The address to speak from: of the interface, the first in the gateway's network, or the first at all, else one of
    another interface. IPv6 in the kernel also looks at the destination (RFC 6724)."""

    def addresses(index: int) -> list[IPv4Interface | IPv6Interface]:
        found = [ip_interface(text) for text in (links[index].addresses if index in links else ())]
        return [each for each in found if FAMILIES[each.version] == family and not each.is_loopback]

    own = addresses(hop.interface)
    near = [each for each in own if hop.gateway is not None and ip_address(hop.gateway) in each.network]
    wide = [each for each in own if not each.is_link_local]
    others = [each for index in sorted(links) for each in addresses(index) if not each.is_link_local]
    return next((str(each.ip) for each in (*near, *wide, *others)), None)


def _neighbour(neighbour: Neighbour) -> NeighbourEntry:
    address = ip_address(neighbour.address)
    space = neighbour.interface << 32 | FAMILIES[address.version]
    return NeighbourEntry(int(address) & M64, int(address) >> 64, space, _ethernet(neighbour.ethernet))


def _link(link: NetworkLink) -> LinkEntry:
    forwards = link.forwards_ipv4 << AF_INET | link.forwards_ipv6 << AF_INET6
    ethernet = _ethernet(link.ethernet)
    return LinkEntry(link.index, 0, 0, ethernet, link.mtu, link.mtu_ipv6 or link.mtu, link.header, forwards)


def _ethernet(address: str) -> int:
    """Six bytes in the order of the wire; other hardware addresses are none."""
    octets = bytes.fromhex(address.replace(":", ""))
    return int.from_bytes(octets, "little") if len(octets) == 6 else 0


def _rule(rule: Rule) -> RuleEntry:
    entry = RuleEntry(rule.family, rule.table or 0, rule.kind, rule.mark, rule.mask, rule.interface, rule.out_interface)
    for name in ("source", "destination"):
        prefix: str | None = getattr(rule, name)
        if prefix is not None:
            network = ip_network(prefix)
            for part, number in ((name, int(network.network_address)), (f"{name}_mask", int(network.netmask))):
                setattr(entry, f"{part}_low", number & M64)
                setattr(entry, f"{part}_high", number >> 64)
    return entry
