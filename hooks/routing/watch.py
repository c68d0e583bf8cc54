"""Reading the ways out, and noticing when they change.

Everything is of the calling thread's network namespace.
"""

from __future__ import annotations

import errno
import select
import socket
from contextlib import suppress
from types import TracebackType
from typing import Self

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from hooks.errors import HookError
from hooks.linux import rtnetlink
from hooks.routing.netlink import neighbours_of, network_link, routes_of, rules_of
from hooks.routing.routes import AF_INET, AF_INET6, Routing

NOTICES = (
    rtnetlink.RTNLGRP_LINK,
    rtnetlink.RTNLGRP_NEIGH,
    rtnetlink.RTNLGRP_IPV4_IFADDR,
    rtnetlink.RTNLGRP_IPV4_ROUTE,
    rtnetlink.RTNLGRP_IPV4_RULE,
    rtnetlink.RTNLGRP_IPV6_IFADDR,
    rtnetlink.RTNLGRP_IPV6_ROUTE,
    rtnetlink.RTNLGRP_IPV6_RULE,
    rtnetlink.RTNLGRP_IPV4_NETCONF,
    rtnetlink.RTNLGRP_IPV6_NETCONF,
)


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
        self._notices.bind((0, sum(1 << group - 1 for group in NOTICES)))

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
            links.append(network_link(link, tuple(addresses.get(link["index"], ()))))
        routes = [each for family in (AF_INET, AF_INET6) for each in routes_of(route.get_routes(family=family))]
        neighbours = [each for family in (AF_INET, AF_INET6) for each in neighbours_of(route.get_neighbours(family))]
        rules = [
            rule for family in (AF_INET, AF_INET6) for rule in rules_of(route.get_rules(family=family), family, names)
        ]
        return Routing(tuple(links), tuple(routes), tuple(neighbours), tuple(rules))

    def wait(self, descriptor: int) -> bool:
        """Until something may have changed, or until `descriptor` is readable; whether it was the former."""
        waiting = select.poll()
        for each in (self._notices.fileno(), descriptor):
            waiting.register(each, select.POLLIN)
        return descriptor not in dict(waiting.poll())

    def drain(self) -> None:
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
