"""What rtnetlink answers, as links, routes, neighbours and rules.

Sources: include/uapi/linux/{rtnetlink,fib_rules,neighbour}.h.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from hooks.linux.if_arp import ETHERNET
from hooks.linux.if_packet import ETH_HLEN
from hooks.linux.rtnetlink import FR_ACT_TO_TBL, NUD_VALID, RTAX_MTU, RTM_F_CLONED, RTNH_F_DEAD
from hooks.routing.routes import AF_INET, Neighbour, NetworkLink, NextHop, Route, RouteKind, Rule


def network_link(link: Any, addresses: tuple[str, ...]) -> NetworkLink:
    """One interface of RTM_GETLINK, with its settings below /proc/sys/net."""
    name = link.get_attr("IFLA_IFNAME")
    has_header = link["ifi_type"] in ETHERNET
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


def routes_of(messages: Iterable[Any]) -> Iterator[Route]:
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


def neighbours_of(messages: Iterable[Any]) -> Iterator[Neighbour]:
    """Neighbours whose Ethernet addresses are known."""
    for message in messages:
        address, ethernet = message.get_attr("NDA_DST"), message.get_attr("NDA_LLADDR")
        if message["state"] & NUD_VALID and address and ethernet:
            yield Neighbour(message["ifindex"], address, ethernet)


# Selectors of a rule that nothing here can follow: a rule that has one is left out.
_UNKNOWN = ("FRA_L3MDEV", "FRA_UID_RANGE", "FRA_IP_PROTO", "FRA_SPORT_RANGE", "FRA_DPORT_RANGE", "FRA_TUN_ID")


def rules_of(messages: Iterable[Any], family: int, names: dict[str, int]) -> Iterator[Rule]:
    """Policy rules in the order in which they are asked; `names` are the indices of interfaces."""
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
