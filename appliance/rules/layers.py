"""What a frame must have for a field to be there, and how one sees that it has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from appliance.rules.headers import AH, ARP, ESP, ICMP, ICMPV6, IGMP, OSPF, SCTP, TCP, UDP, VRRP, Header
from appliance.rules.tunnels import Tunnel


class Layer(Enum):
    """What a frame must have for a matcher to look at it."""

    FRAME = "every frame"
    VLAN = "frames with a VLAN tag"
    ARP = "ARP packets of IPv4 over Ethernet"
    IP = "IPv4 and IPv6 packets"
    IPV4 = "IPv4 packets"
    IP_OPTIONS = "IPv4 packets with options"
    IPV6 = "IPv6 packets"
    AH = "packets with an authentication header"
    TCP = "TCP segments (of one in fragments, the first)"
    TCP_MSS = "TCP segments with the option of a maximum segment size"
    TCP_WSCALE = "TCP segments with the option of a window scale"
    UDP = "UDP datagrams (of one in fragments, the first)"
    SCTP = "SCTP packets (of one in fragments, the first)"
    ICMP = "ICMP messages in IPv4 (of one in fragments, the first)"
    ICMPV6 = "ICMPv6 messages in IPv6 (of one in fragments, the first)"
    IGMP = "IGMP messages"
    VRRP = "VRRP advertisements"
    OSPF = "OSPF packets, of versions 2 and 3"
    ESP = "ESP packets"
    GRE_KEY = "packets in GRE with a key"
    VXLAN = "frames in VXLAN"
    GENEVE = "packets in GENEVE"
    GTP = "packets in GTP-U"
    MPLS = "packets behind MPLS labels"
    PPPOE = "packets in a PPPoE session"


@dataclass(frozen=True, slots=True)
class OuterLayer:
    """The same as `layer`, of what a frame has outside of all tunnels."""

    layer: Layer

    @property
    def name(self) -> str:
        return f"OUTER_{self.layer.name}"

    @property
    def value(self) -> str:
        """In words."""
        return f"{self.layer.value}, outside of all tunnels"


AnyLayer = Layer | OuterLayer


@dataclass(frozen=True, slots=True)
class Presence:
    """How one sees that a layer is there: a field of the frame compared to a number."""

    field: str
    relation: str
    number: int


IP_OPTIONS = "ip.options"
IP_OPTION_WORDS = tuple(f"ip.opt.type_{number}" for number in range(4))  # 256 types

# `transport` is the number of the header that was read last: an IP protocol, or the ethertype of what isn't IP.
_PRESENCE: Mapping[Layer, Presence | None] = {
    Layer.FRAME: None,
    Layer.VLAN: Presence("vlan_depth", "!=", 0),
    Layer.ARP: Presence("transport", "==", ARP.number),
    Layer.IP: Presence("version", "!=", 0),
    Layer.IPV4: Presence("version", "==", 4),
    Layer.IP_OPTIONS: Presence(IP_OPTIONS, "!=", 0),
    Layer.IPV6: Presence("version", "==", 6),
    Layer.AH: Presence("authenticated", "!=", 0),
    Layer.TCP: Presence("transport", "==", TCP.number),
    Layer.TCP_MSS: Presence("tcp.options.mss", "!=", 0),
    Layer.TCP_WSCALE: Presence("tcp.options.wscale", "!=", 0),
    Layer.UDP: Presence("transport", "==", UDP.number),
    Layer.SCTP: Presence("transport", "==", SCTP.number),
    Layer.ICMP: Presence("transport", "==", ICMP.number),
    Layer.ICMPV6: Presence("transport", "==", ICMPV6.number),
    Layer.IGMP: Presence("transport", "==", IGMP.number),
    Layer.VRRP: Presence("transport", "==", VRRP.number),
    Layer.OSPF: Presence("transport", "==", OSPF.number),
    Layer.ESP: Presence("transport", "==", ESP.number),
    Layer.GRE_KEY: Presence("gre_keyed", "!=", 0),
    Layer.VXLAN: Presence("vxlan", "!=", 0),
    Layer.GENEVE: Presence("geneve", "!=", 0),
    Layer.GTP: Presence("gtp", "!=", 0),
    Layer.MPLS: Presence("mpls_depth", "!=", 0),
    Layer.PPPOE: Presence("pppoe", "!=", 0),
}

OUTER = "outer."  # what the names of outer fields begin with


def _outside(shown: Presence | None) -> Presence | None:
    return None if shown is None else Presence(OUTER + shown.field, shown.relation, shown.number)


PRESENCE: Mapping[AnyLayer, Presence | None] = {
    each: where
    for layer, shown in _PRESENCE.items()
    for each, where in ((layer, shown), (OuterLayer(layer), _outside(shown)))
}

# The layers of what tunnels alone have, and of which kind the tunnel must be.
TUNNEL_LAYERS: Mapping[AnyLayer, Tunnel] = {
    Layer.GRE_KEY: Tunnel.GRE,
    Layer.VXLAN: Tunnel.VXLAN,
    Layer.GENEVE: Tunnel.GENEVE,
    Layer.GTP: Tunnel.GTP,
    Layer.MPLS: Tunnel.MPLS,
    Layer.PPPOE: Tunnel.PPPOE,
}

# Headers that are read only for rules that name a field of theirs. One that is cut short isn't there.
OPTIONAL: Mapping[Layer, Header] = {
    Layer.ARP: ARP,
    Layer.AH: AH,
    Layer.SCTP: SCTP,
    Layer.IGMP: IGMP,
    Layer.VRRP: VRRP,
    Layer.OSPF: OSPF,
    Layer.ESP: ESP,
}
