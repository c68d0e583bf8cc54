"""The machine's network interfaces, as rtnetlink tells of them, in the calling thread's network namespace."""

from __future__ import annotations

import errno
import fcntl
import socket
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from hooks.errors import InterfaceError, PrivilegeError
from hooks.linux import if_arp
from hooks.linux import if_link as kernel


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface as it was when it was looked up.

    `ethernet` is the hardware address ('' if it has none), `mtu` is in bytes without the Ethernet header, `addresses`
    are those of IPv4 and IPv6 with prefix lengths, `link_type` is an ARPHRD_… of <linux/if_arp.h>, `master` is the
    bridge or bond that it is a port of.
    """

    name: str
    index: int
    ethernet: str
    mtu: int
    up: bool
    carrier: bool
    loopback: bool
    link_type: int
    master: str | None
    addresses: tuple[str, ...]

    @property
    def own_addresses(self) -> tuple[str, ...]:
        """The addresses that somebody gave it; IPv6 link-local ones come and go by themselves."""
        return tuple(text for text in self.addresses if not _is_link_local_ipv6(text))


@dataclass(frozen=True, slots=True)
class InterfaceState:
    """What changes while a box runs: `index` (a new one after a replacement), `up`, `carrier`, `mtu` in bytes."""

    index: int
    up: bool
    carrier: bool
    mtu: int


def list_interfaces() -> tuple[Interface, ...]:
    """Every interface, in the order of their indices."""
    with IPRoute() as route:
        links = list(route.get_links())
        addresses: dict[int, list[str]] = {}
        for entry in route.get_addr():
            # On a point-to-point link IFA_ADDRESS is the peer's, and IFA_LOCAL the interface's own.
            host = entry.get_attr("IFA_LOCAL") or entry.get_attr("IFA_ADDRESS")
            addresses.setdefault(entry["index"], []).append(f"{host}/{entry['prefixlen']}")
    names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in links}
    return tuple(_interface(link, names, addresses.get(link["index"], [])) for link in links)


def find_interface(name: str) -> Interface:
    """The interface of that name. Raises InterfaceError, which names those that there are."""
    interfaces = list_interfaces()
    for interface in interfaces:
        if interface.name == name:
            return interface
    known = ", ".join(interface.name for interface in interfaces)
    raise InterfaceError("no such interface", where=name, hint=f"this machine has {known}")


def interface_state(name: str) -> InterfaceState | None:
    """The state of an interface, or None if there is none of that name. Three ioctls: cheap enough to poll.

    The kernel tells of a lost or found carrier with up to a second's delay (net/core/link_watch.c).
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            index = _ask(asked, kernel.SIOCGIFINDEX, name).ifr_ifindex
            flags = _ask(asked, kernel.SIOCGIFFLAGS, name).ifr_flags
            mtu = _ask(asked, kernel.SIOCGIFMTU, name).ifr_mtu
        except OSError as error:
            if error.errno == errno.ENODEV:
                return None
            raise
    return InterfaceState(index, bool(flags & kernel.IFF_UP), bool(flags & kernel.IFF_RUNNING), mtu)


def demand_ethernet(interface: Interface) -> None:
    """Raises InterfaceError if its frames have no Ethernet header: what stands at their start would be read as one."""
    if interface.link_type not in if_arp.ETHERNET:
        kind = if_arp.NAMES.get(interface.link_type, str(interface.link_type))
        raise InterfaceError(
            f"{interface.name} has no Ethernet header (link type {kind})",
            hint="a box judges Ethernet frames: name a network card, or the interface below the tunnel",
        )


def set_up(interface: Interface, up: bool) -> None:
    """Bring it up, or take it down. Raises InterfaceError or PrivilegeError."""
    try:
        with IPRoute() as route:
            route.link("set", index=interface.index, state="up" if up else "down")
    except NetlinkError as error:
        what = f"it can't be brought {'up' if up else 'down'}"
        if error.code == errno.EPERM:
            raise PrivilegeError(what, where=interface.name, hint="needs CAP_NET_ADMIN") from None
        raise InterfaceError(f"{what}: {error.args[-1]}", where=interface.name) from None


def _interface(link: Any, names: dict[int, str], addresses: list[str]) -> Interface:
    flags = link["flags"]
    return Interface(
        name=link.get_attr("IFLA_IFNAME"),
        index=link["index"],
        ethernet=link.get_attr("IFLA_ADDRESS") or "",
        mtu=link.get_attr("IFLA_MTU"),
        up=bool(flags & kernel.IFF_UP),
        carrier=bool(link.get_attr("IFLA_CARRIER")),
        loopback=bool(flags & kernel.IFF_LOOPBACK),
        link_type=link["ifi_type"],
        master=names.get(link.get_attr("IFLA_MASTER")),
        addresses=tuple(addresses),
    )


def _is_link_local_ipv6(text: str) -> bool:
    address = ip_interface(text)
    return address.version == 6 and address.is_link_local


def _ask(asked: socket.socket, question: int, name: str) -> kernel.ifreq:
    request = kernel.ifreq(name.encode()[: kernel.IFNAMSIZ - 1])
    fcntl.ioctl(asked, question, request)
    return request
