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

import os
from contextlib import ExitStack

from appliance.lab.errors import LabFailed
from hooks.interfaces.ethtool import set_features
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

    @property
    def towards_the_box(self) -> tuple[Namespace, str]:
        """Where a flood leaves that the bridge would slow down: the uplink's own port."""
        return self.uplink, "box"

    def take_in_as_a_card(self) -> None:
        """Let the box's outside take frames in as a card does: into one queue, which overflows, and which softirqs of
        the last processor empty. Otherwise whoever sends does the box's work itself, and no flood is faster than it.

            live frames   ── NAPI (rx-gro) ──┐
                                             ├─ RPS ──> backlog of the last processor ──> the tap, nftables, the bridge
            the clients'  ── netif_rx ───────┘          (net.core.netdev_max_backlog, 1000)

        The box must be there already, because it switches the receive offloads off; no two frames of the lab's floods
        can be joined. Raises LabFailed. Sources: Documentation/networking/scaling.rst; drivers/net/veth.c.
        """
        with self.box.entered():
            set_features(OUTSIDE, {"rx-gro": True})
        last = max(os.sched_getaffinity(0))
        mask = f"{1 << last % 32:x}" + ",00000000" * (last // 32)
        queue = f"/sys/class/net/{OUTSIDE}/queues/rx-0/rps_cpus"
        steer = f"mount -t sysfs none /sys && echo {mask} > {queue}"
        done = self.box.run(["unshare", "--mount", "sh", "-c", steer], check=False)  # /sys doesn't follow by itself
        if done.returncode:
            raise LabFailed(f"{OUTSIDE} can't be steered to one processor (RPS): {done.stderr.strip()}")

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
