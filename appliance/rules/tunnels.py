"""Packets in packets: which wrappings a rule set looks into, how deep, and how a header says what it wraps.

    Ethernet ── IPv4 ── UDP 4789 ── VXLAN ── Ethernet ── IPv6 ── 41 ── IPv6 ── UDP
    level 0                                  level 1                   level 2

A level is what one wrapping holds: an Ethernet frame, or a packet of an ethertype. `Tunnels.depth` is how many
wrappings are looked into, one inside of the other; a stack of MPLS labels is one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

MOST_DEPTH = 3  # one more, with every option of headers asked for, would take the verifier too many steps
MOST_LABELS = 8  # of MPLS, in one stack
MOST_GTP_EXTENSIONS = 4
ETHERNET_FRAME = 0x6558  # Transparent Ethernet Bridging, RFC 1701: the ethertype of an Ethernet frame


class Tunnel(Enum):
    """A kind of wrapping, by its word in a document."""

    IP = "ip"
    GRE = "gre"
    VXLAN = "vxlan"
    GENEVE = "geneve"
    GTP = "gtp"
    MPLS = "mpls"
    PPPOE = "pppoe"


# By what a header says that it wraps one: IANA's numbers; 3GPP TS 29.281 section 4.4.2
IP_PROTOCOLS = {Tunnel.IP: (4, 41), Tunnel.GRE: (47,), Tunnel.MPLS: (137,)}
UDP_PORTS = {Tunnel.VXLAN: 4789, Tunnel.GENEVE: 6081, Tunnel.GTP: 2152}

MEANINGS = {
    Tunnel.IP: "IPv4 or IPv6 in either of them: IPIP, 6in4, 4in6, 6in6 (RFC 2003, 4213, 2473)",
    Tunnel.GRE: "GRE of version 0 without routing, with checksum, key and sequence number (RFC 2784, 2890); behind it "
    "IPv4, IPv6, an Ethernet frame or MPLS",
    Tunnel.VXLAN: "UDP to port 4789 (RFC 7348), with an Ethernet frame",
    Tunnel.GENEVE: "UDP to port 6081 (RFC 8926), with its options; behind it what GRE may have",
    Tunnel.GTP: "GTP-U version 1, UDP to port 2152: messages of type 255 with an IP packet, and up to "
    f"{MOST_GTP_EXTENSIONS} extension headers (3GPP TS 29.281)",
    Tunnel.MPLS: f"up to {MOST_LABELS} labels behind an ethertype, GRE, GENEVE or IP protocol 137, and an IP packet "
    "(RFC 3032, 4023)",
    Tunnel.PPPOE: "PPPoE sessions (RFC 2516) with IPv4 or IPv6",
}


@dataclass(frozen=True, slots=True)
class Tunnels:
    """What a rule set looks into: so many wrappings, of these kinds."""

    depth: int
    kinds: frozenset[Tunnel]
