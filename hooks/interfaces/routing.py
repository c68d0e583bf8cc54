"""What the kernel knows of the ways out of this machine: links, routes, neighbours and policy rules, read at once.

Everything is of the calling thread's network namespace. Addresses are text, interfaces are indices.
Sources: include/uapi/linux/{rtnetlink,fib_rules,neighbour}.h.
"""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import ip_interface
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from hooks.errors import HookError

AF_INET, AF_INET6 = 2, 10
RT_TABLE_DEFAULT, RT_TABLE_MAIN, RT_TABLE_LOCAL = 253, 254, 255
FR_ACT_TO_TBL = 1
NUD_VALID = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80  # reachable, stale, delay, probe, noarp, permanent
RTNH_F_DEAD = 1
RTM_F_CLONED = 0x200
RTAX_MTU = 2
ARPHRD_ETHER, ARPHRD_LOOPBACK = 1, 772
ETH_HLEN = 14

# Numbers of the groups of notices (RTNLGRP_*): links, neighbours, addresses, routes, rules, settings of forwarding.
_GROUPS = (1, 3, 5, 7, 8, 9, 11, 19, 24, 25)


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


class RoutingWatch:
    """Reads the routing of the namespace it is opened in, and notices when it may have changed. A context manager.

    Its methods are for threads of that namespace.
    """

    def __init__(self) -> None:
        """Raises HookError without netlink."""
        try:
            self._open()
        except OSError as error:
            raise HookError(f"the kernel does not tell its routes: {error}") from error

    def _open(self) -> None:
        self._asked = IPRoute()
        self._notices = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        self._notices.bind((0, sum(1 << group - 1 for group in _GROUPS)))

    def read(self) -> Routing:
        """As it is now. Raises HookError if the kernel does not say."""
        try:
            return self._read()
        except (OSError, NetlinkError) as error:
            raise HookError(f"the kernel does not tell its routes: {error}") from error

    def _read(self) -> Routing:
        route = self._asked
        names = {}
        addresses: dict[int, list[str]] = {}
        for entry in route.get_addr():
            host = entry.get_attr("IFA_LOCAL") or entry.get_attr("IFA_ADDRESS")
            addresses.setdefault(entry["index"], []).append(f"{host}/{entry['prefixlen']}")
        links = []
        for link in route.get_links():
            names[link.get_attr("IFLA_IFNAME")] = link["index"]
            links.append(_link(link, tuple(addresses.get(link["index"], ()))))
        routes = [each for family in (AF_INET, AF_INET6) for each in _routes(route.get_routes(family=family))]
        neighbours = [each for family in (AF_INET, AF_INET6) for each in _neighbours(route.get_neighbours(family))]
        rules = [
            rule for family in (AF_INET, AF_INET6) for rule in _rules(route.get_rules(family=family), family, names)
        ]
        return Routing(tuple(links), tuple(routes), tuple(neighbours), tuple(rules))

    def wait(self, descriptor: int) -> bool:
        """Until something may have changed, or until `descriptor` is readable; whether it was the former."""
        waiting = select.poll()
        for each in (self._notices.fileno(), descriptor):
            waiting.register(each, select.POLLIN)
        return descriptor not in dict(waiting.poll())

    def settle(self) -> None:
        """Forget the notices that have come: what they tell will be read anyhow."""
        with suppress(BlockingIOError):
            while True:
                self._receive()

    def _receive(self) -> None:
        try:
            self._notices.recv(1 << 16)
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # some were lost: as good as any other
                raise

    def close(self) -> None:
        self._notices.close()
        self._asked.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _link(link: Any, addresses: tuple[str, ...]) -> NetworkLink:
    name = link.get_attr("IFLA_IFNAME")
    has_header = link["ifi_type"] in (ARPHRD_ETHER, ARPHRD_LOOPBACK)
    return NetworkLink(
        index=link["index"],
        ethernet=link.get_attr("IFLA_ADDRESS") or "",
        mtu=link.get_attr("IFLA_MTU"),
        mtu_ipv6=_setting(f"ipv6/conf/{name}/mtu"),
        header=ETH_HLEN if has_header else 0,
        forwards_ipv4=bool(_setting(f"ipv4/conf/{name}/forwarding")),
        forwards_ipv6=bool(_setting(f"ipv6/conf/{name}/forwarding")),
        addresses=addresses,
    )


def _setting(name: str) -> int:
    """A number below /proc/sys/net; 0 where there is none, as on a machine without IPv6."""
    try:
        return int((Path("/proc/sys/net") / name).read_text())
    except (OSError, ValueError):
        return 0


def _routes(messages: Iterable[Any]) -> Iterator[Route]:
    """Routes that packets of any kind take; cached ones and those of one type of service are left out."""
    for message in messages:
        if message["flags"] & RTM_F_CLONED or (message["family"] == AF_INET and message["tos"]):
            continue
        if message["type"] not in RouteKind.__members__.values():
            continue
        everything = "0.0.0.0" if message["family"] == AF_INET else "::"
        hops = tuple(_next_hops(message))
        kind = RouteKind(message["type"])
        if kind is RouteKind.UNICAST and not hops:
            continue
        yield Route(
            f"{message.get_attr('RTA_DST') or everything}/{message['dst_len']}",
            hops,
            message.get_attr("RTA_TABLE") or message["table"],
            kind,
            message.get_attr("RTA_PRIORITY") or 0,
            _route_mtu(message),
            message.get_attr("RTA_PREFSRC"),
        )


def _route_mtu(message: Any) -> int:
    """What is forwarded keeps to a route's own MTU only if that is locked."""
    metrics = message.get_attr("RTA_METRICS")
    if metrics is None:
        return 0
    locked = (metrics.get_attr("RTAX_LOCK") or 0) & 1 << RTAX_MTU
    return (metrics.get_attr("RTAX_MTU") or 0) if locked else 0


def _next_hops(message: Any) -> Iterator[NextHop]:
    for hop in message.get_attr("RTA_MULTIPATH") or [message]:
        interface = hop.get_attr("RTA_OIF") or hop.get("oif", 0)
        if hop["flags"] & RTNH_F_DEAD or not interface:
            continue
        via = hop.get_attr("RTA_VIA")
        gateway = hop.get_attr("RTA_GATEWAY") or (via["addr"] if via else None)
        weight = hop.get("hops", 0) + 1
        yield NextHop(interface, gateway, weight, hop.get_attr("RTA_ENCAP") is not None)


def _neighbours(messages: Iterable[Any]) -> Iterator[Neighbour]:
    for message in messages:
        address, ethernet = message.get_attr("NDA_DST"), message.get_attr("NDA_LLADDR")
        if message["state"] & NUD_VALID and address and ethernet:
            yield Neighbour(message["ifindex"], address, ethernet)


# Selectors of a rule that nothing here can follow: a rule that has one is left out.
_UNKNOWN = ("FRA_L3MDEV", "FRA_UID_RANGE", "FRA_IP_PROTO", "FRA_SPORT_RANGE", "FRA_DPORT_RANGE", "FRA_TUN_ID")


def _rules(messages: Iterable[Any], family: int, names: dict[str, int]) -> Iterator[Rule]:
    for message in sorted(messages, key=lambda each: each.get_attr("FRA_PRIORITY") or 0):
        if message["tos"] or any(message.get_attr(name) is not None for name in _UNKNOWN):
            continue
        action = message["action"]
        if action != FR_ACT_TO_TBL and action not in (RouteKind.BLACKHOLE, RouteKind.UNREACHABLE, RouteKind.PROHIBIT):
            continue
        mark = message.get_attr("FRA_FWMARK") or 0
        yield Rule(
            family,
            (message.get_attr("FRA_TABLE") or message["table"]) if action == FR_ACT_TO_TBL else None,
            RouteKind.UNREACHABLE if action == FR_ACT_TO_TBL else RouteKind(action),
            mark,
            (message.get_attr("FRA_FWMASK") or 0xFFFFFFFF) if mark else 0,
            _named(message.get_attr("FRA_IIFNAME"), names),
            _named(message.get_attr("FRA_OIFNAME"), names),
            _prefix(message, "FRA_SRC", "src_len"),
            _prefix(message, "FRA_DST", "dst_len"),
        )


def _named(name: str | None, names: dict[str, int]) -> int:
    """An interface's index; one that nothing has, if it is not there."""
    return 0 if name is None else names.get(name, 0xFFFFFFFF)


def _prefix(message: Any, address: str, length: str) -> str | None:
    found = message.get_attr(address)
    return str(ip_interface(f"{found}/{message[length]}").network) if found else None
