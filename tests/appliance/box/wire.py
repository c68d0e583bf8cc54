"""What goes over the wires of a box, and what the kernel tells of them."""

from __future__ import annotations

import json

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from tests.netns import Topology

MACS = {"dst": "02:00:00:00:00:02", "src": "02:00:00:00:00:01"}


def udp(port: int, *tags: Dot1Q, source: str = "10.0.0.1") -> bytes:
    frame = Ether(**MACS)
    for tag in tags:
        frame /= tag
    return bytes(frame / IP(src=source, dst="10.0.0.2") / UDP(sport=5000, dport=port) / (b"x" * 40))


def arrivals(net: Topology, *frames: bytes) -> list[bytes]:
    with net.outside.packet_socket() as near, net.inside.packet_socket() as far:
        near.send(*frames)
        return far.drain(0.15)


def interface_settings(net: Topology) -> list[dict[str, object]]:
    """Everything that a box sets on interfaces, as the kernel tells it."""
    links = json.loads(net.box.run(["ip", "-j", "-d", "link"]).stdout)
    for link in links:
        del link["operstate"]  # follows the carrier, some milliseconds later; nobody sets it
        link["flags"] = sorted(set(link["flags"]) - {"NO-CARRIER", "LOWER_UP"})
    queues = [net.box.run(["tc", "qdisc", "show", "dev", name]).stdout for name in ("outside", "inside")]
    features = [net.box.run(["ethtool", "-k", name]).stdout for name in ("outside", "inside")]
    ipv6 = [net.box.sysctl(f"ipv6/conf/{name}/disable_ipv6") for name in ("outside", "inside")]
    return [{"links": links, "queues": queues, "features": features, "ipv6": ipv6}]
