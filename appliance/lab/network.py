"""The lab's network: five namespaces, four cables, one subnet that reaches through the box.

     attackers            uplink                   box                     server
    +----------+      +-------------+      +-------------------+      +---------------+
    |     eth0 |======|  \\          |      |                   |      |               |
    +----------+      |   bridge    |======| outside    inside |======| eth0          |
     clients          |  /          |      |                   |      | 198.19.0.10   |
    +----------+      |             |      |  no addresses     |      | 2001:db8:2::10|
    |     eth0 |======|             |      +-------------------+      +---------------+
    +----------+      +-------------+
     198.18.0.1 … .8, 2001:db8:1::1 … ::8

198.18.0.0/15 is set aside for benchmarks of network devices (RFC 2544, RFC 6890), 2001:db8::/32 for documentation.
What the server answers to forged sources goes to a gateway that nobody is: through the box, and into the void.
"""

from __future__ import annotations

from contextlib import ExitStack

from hooks.interfaces.netns import Namespace, owned_name, remove_leftovers

PREFIX = "tglab"  # namespaces: tglab<pid>-<role>
CLIENTS = 8
CLIENT_IPV4 = tuple(f"198.18.0.{number}" for number in range(1, CLIENTS + 1))
CLIENT_IPV6 = tuple(f"2001:db8:1::{number}" for number in range(1, CLIENTS + 1))
SERVER_IPV4 = "198.19.0.10"
SERVER_IPV6 = "2001:db8:2::10"
SERVER_ETHERNET = "02:90:00:00:00:10"
VOID_IPV4 = "198.18.255.254"
VOID_ETHERNET = "02:90:00:00:00:fe"
OUTSIDE, INSIDE = "outside", "inside"


class LabNetwork:
    """The network drawn above, as a context manager; what a killed lab left behind is removed first.

    Raises PrivilegeError if the process may not make namespaces. For one thread.
    """

    def __init__(self) -> None:
        self._owned = ExitStack()

    def __enter__(self) -> LabNetwork:
        remove_leftovers(PREFIX)
        with ExitStack() as undo:
            self.attackers, self.clients, self.uplink, self.box, self.server = (
                undo.enter_context(Namespace.create(owned_name(PREFIX, role)))
                for role in ("attackers", "clients", "uplink", "box", "server")
            )
            self._build()
            self._owned = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._owned.close()

    def _build(self) -> None:
        for silent in (self.attackers, self.uplink):
            for scope in ("all", "default"):
                silent.sysctl(f"ipv6/conf/{scope}/disable_ipv6", 1)
        self.attackers.add_veth("eth0", self.uplink, "attackers")
        self.clients.add_veth("eth0", self.uplink, "clients")
        self.box.add_veth(OUTSIDE, self.uplink, "box")
        self.box.add_veth(INSIDE, self.server, "eth0", peer_address=SERVER_ETHERNET)
        self.uplink.add_bridge("bridge", ("attackers", "clients", "box"))
        for ipv4, ipv6 in zip(CLIENT_IPV4, CLIENT_IPV6, strict=True):
            self.clients.add_address("eth0", f"{ipv4}/15")
            self.clients.add_address("eth0", f"{ipv6}/32")
        self.server.add_address("eth0", f"{SERVER_IPV4}/15")
        self.server.add_address("eth0", f"{SERVER_IPV6}/32")
        self.server.add_neighbour("eth0", VOID_IPV4, VOID_ETHERNET)
        self.server.add_default_route(VOID_IPV4)
