"""Links, routes, neighbours and policy rules, at one time. Addresses are text, interfaces are indices."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from hooks.linux.if_packet import ETH_HLEN
from hooks.linux.rtnetlink import RT_TABLE_DEFAULT, RT_TABLE_LOCAL, RT_TABLE_MAIN

AF_INET, AF_INET6 = 2, 10  # plain numbers, for generated code


class RouteKind(IntEnum):
    """What a route does with a packet (RTN_* of include/uapi/linux/rtnetlink.h)."""

    UNICAST = 1
    LOCAL = 2
    BROADCAST = 3
    ANYCAST = 4
    MULTICAST = 5
    BLACKHOLE = 6
    UNREACHABLE = 7
    PROHIBIT = 8
    THROW = 9


@dataclass(frozen=True, slots=True)
class NetworkLink:
    """One interface. `mtu` and `mtu_ipv6` in bytes without the link's header, which has `header` bytes."""

    index: int
    ethernet: str = ""
    mtu: int = 1500
    mtu_ipv6: int = 0  # 0: `mtu`
    header: int = ETH_HLEN
    forwards_ipv4: bool = True
    forwards_ipv6: bool = True
    addresses: tuple[str, ...] = ()  # with prefix lengths; the first is the preferred one


@dataclass(frozen=True, slots=True)
class NextHop:
    """Out of `interface`, to `gateway` or, without one, to the destination itself."""

    interface: int
    gateway: str | None = None
    weight: int = 1
    encapsulated: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """`mtu` 0: that of the interface. `source` None: an address of the interface."""

    destination: str
    next_hops: tuple[NextHop, ...] = ()
    table: int = RT_TABLE_MAIN
    kind: RouteKind = RouteKind.UNICAST
    metric: int = 0
    mtu: int = 0
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Neighbour:
    interface: int
    address: str
    ethernet: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy rule: where every selector fits, look into `table`, or, without one, do as `kind` says."""

    family: int
    table: int | None
    kind: RouteKind = RouteKind.UNREACHABLE
    mark: int = 0
    mask: int = 0
    interface: int = 0
    out_interface: int = 0
    source: str | None = None
    destination: str | None = None


DEFAULT_RULES = (
    *(Rule(AF_INET, table) for table in (RT_TABLE_LOCAL, RT_TABLE_MAIN, RT_TABLE_DEFAULT)),
    *(Rule(AF_INET6, table) for table in (RT_TABLE_LOCAL, RT_TABLE_MAIN)),
)


@dataclass(frozen=True, slots=True)
class Routing:
    """All of it, at one time. `rules` in the order in which they are asked."""

    links: tuple[NetworkLink, ...] = ()
    routes: tuple[Route, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    rules: tuple[Rule, ...] = field(default=DEFAULT_RULES)
