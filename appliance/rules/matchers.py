"""The one total table of what a rule can match on.

A matcher reads one or more fields of the parsed frame (`rules.code.fields.FIELDS`) and matches when any of them lies in
the wanted ranges, and none in those that are excluded, provided that the frame has the matcher's layer at all: a field
that isn't there never matches, whatever the operator. Names and meanings follow Wireshark's display filters.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from appliance.rules.values import (
    BYTE,
    ETHERTYPE,
    FLAGS,
    ICMP_TYPE,
    ICMPV6_TYPE,
    MAC,
    NUMBER,
    PORT,
    PREFIX,
    PREFIX_V6,
    PROTOCOL,
    SHORT,
    TRUTH,
    VLAN_ID,
    Kind,
    NumberKind,
)


class Layer(Enum):
    """What a frame must have for a matcher to look at it."""

    FRAME = "every frame"
    VLAN = "frames with a VLAN tag"
    IP = "IPv4 and IPv6 packets"
    IPV4 = "IPv4 packets"
    IPV6 = "IPv6 packets"
    TCP = "TCP segments (of one in fragments, the first)"
    UDP = "UDP datagrams (of one in fragments, the first)"
    ICMP = "ICMP messages in IPv4 (of one in fragments, the first)"
    ICMPV6 = "ICMPv6 messages in IPv6 (of one in fragments, the first)"


@dataclass(frozen=True, slots=True)
class Presence:
    """How one sees that a layer is there: a field of the frame compared to a number."""

    field: str
    relation: str
    number: int


PRESENCE: Mapping[Layer, Presence | None] = {
    Layer.FRAME: None,
    Layer.VLAN: Presence("vlan_depth", "!=", 0),
    Layer.IP: Presence("version", "!=", 0),
    Layer.IPV4: Presence("version", "==", 4),
    Layer.IPV6: Presence("version", "==", 6),
    Layer.TCP: Presence("transport", "==", 6),
    Layer.UDP: Presence("transport", "==", 17),
    Layer.ICMP: Presence("transport", "==", 1),
    Layer.ICMPV6: Presence("transport", "==", 58),
}


@dataclass(frozen=True, slots=True)
class Matcher:
    """One field of the rule language. `fields` are the places in a frame that it reads; one of them has to match."""

    name: str
    layer: Layer
    kind: Kind
    fields: tuple[str, ...]
    doc: str


_IP_VERSION = NumberKind("IP version", 15)
_DEPTH = NumberKind("number of VLAN tags", 4)

_ALL = (
    Matcher("frame.len", Layer.FRAME, NUMBER, ("length",), "bytes of the frame, from the Ethernet header on"),
    Matcher("eth.type", Layer.FRAME, ETHERTYPE, ("ethertype",), "the ethertype behind all VLAN tags"),
    Matcher("eth.src", Layer.FRAME, MAC, ("mac_source",), "source MAC address"),
    Matcher("eth.dst", Layer.FRAME, MAC, ("mac_destination",), "destination MAC address"),
    Matcher(
        "vlan.id", Layer.VLAN, VLAN_ID, ("vlan_0", "vlan_1", "vlan_2", "vlan_3"), "the VLAN id of any tag in the stack"
    ),
    Matcher("vlan.depth", Layer.FRAME, _DEPTH, ("vlan_depth",), "number of VLAN tags, 0 to 4"),
    Matcher("ip.version", Layer.IP, _IP_VERSION, ("version",), "4 or 6"),
    Matcher("ip.src", Layer.IP, PREFIX, ("source",), "source address, of either family"),
    Matcher("ip.dst", Layer.IP, PREFIX, ("destination",), "destination address, of either family"),
    Matcher("ipv6.src", Layer.IPV6, PREFIX_V6, ("source",), "IPv6 source address"),
    Matcher("ipv6.dst", Layer.IPV6, PREFIX_V6, ("destination",), "IPv6 destination address"),
    Matcher(
        "ip.proto", Layer.IP, PROTOCOL, ("protocol",), "IPv4's protocol; in IPv6 what stands behind extension headers"
    ),
    Matcher("ip.ttl", Layer.IP, BYTE, ("ttl",), "time to live; IPv6's hop limit"),
    Matcher("ip.len", Layer.IP, SHORT, ("ip_length",), "bytes of the IP packet, its header included"),
    Matcher(
        "ip.fragment", Layer.IP, TRUTH, ("fragment",), "true for every fragment of a packet, the first one included"
    ),
    Matcher("ip.frag_offset", Layer.IP, SHORT, ("fragment_offset",), "where a fragment's data belongs, in bytes"),
    Matcher("ip.flags.mf", Layer.IP, TRUTH, ("more_fragments",), "more fragments follow"),
    Matcher("ip.flags.df", Layer.IPV4, TRUTH, ("dont_fragment",), "IPv4's don't-fragment bit"),
    Matcher("tcp.sport", Layer.TCP, PORT, ("source_port",), "source port"),
    Matcher("tcp.dport", Layer.TCP, PORT, ("destination_port",), "destination port"),
    Matcher("tcp.port", Layer.TCP, PORT, ("source_port", "destination_port"), "source or destination port"),
    Matcher("tcp.flags", Layer.TCP, FLAGS, ("tcp_flags",), "fin syn rst psh ack urg ece cwr ae"),
    Matcher("tcp.window", Layer.TCP, SHORT, ("tcp_window",), "the window field, unscaled"),
    Matcher("udp.sport", Layer.UDP, PORT, ("source_port",), "source port"),
    Matcher("udp.dport", Layer.UDP, PORT, ("destination_port",), "destination port"),
    Matcher("udp.port", Layer.UDP, PORT, ("source_port", "destination_port"), "source or destination port"),
    Matcher("udp.length", Layer.UDP, SHORT, ("udp_length",), "UDP's length field: header and data, in bytes"),
    Matcher("icmp.type", Layer.ICMP, ICMP_TYPE, ("icmp_type",), "ICMP type"),
    Matcher("icmp.code", Layer.ICMP, BYTE, ("icmp_code",), "ICMP code"),
    Matcher("icmpv6.type", Layer.ICMPV6, ICMPV6_TYPE, ("icmp_type",), "ICMPv6 type"),
    Matcher("icmpv6.code", Layer.ICMPV6, BYTE, ("icmp_code",), "ICMPv6 code"),
)

MATCHERS: dict[str, Matcher] = {matcher.name: matcher for matcher in _ALL}

# What others call these fields: Wireshark, nftables and bpfilter, in this order.
_ELSEWHERE = {
    "ip.addr": "ip.src` or `ip.dst",
    "ip.hop_limit": "ip.ttl",
    "ipv6.hlim": "ip.ttl",
    "ipv6.nxt": "ip.proto",
    "tcp.srcport": "tcp.sport",
    "tcp.dstport": "tcp.dport",
    "udp.srcport": "udp.sport",
    "udp.dstport": "udp.dport",
    "ip.saddr": "ip.src",
    "ip.daddr": "ip.dst",
    "ip.protocol": "ip.proto",
    "ip6.saddr": "ipv6.src",
    "ip6.daddr": "ipv6.dst",
    "ip6.hoplimit": "ip.ttl",
    "ip6.nexthdr": "ip.proto",
    "ip4.saddr": "ip.src",
    "ip4.daddr": "ip.dst",
    "ip4.proto": "ip.proto",
}
_NEAR = 0.8  # how alike a slip of the fingers is, by difflib's ratio; a word for something else is less so


def which_field(name: str) -> str:
    """A hint for a field that there isn't: what it is called here, a near name, or what its header has."""
    if name in _ELSEWHERE:
        return f"it is `{_ELSEWHERE[name]}` here"
    header, _, rest = name.partition(".")
    siblings = [known.partition(".")[2] for known in MATCHERS if known.startswith(f"{header}.")]
    if siblings:
        near = difflib.get_close_matches(rest, siblings, n=1, cutoff=_NEAR)
        listed = ", ".join(f"{header}.{sibling}" for sibling in siblings)
        return f"did you mean '{header}.{near[0]}'?" if near else f"fields of {header} are: {listed}"
    near = difflib.get_close_matches(name, MATCHERS, n=1, cutoff=_NEAR)
    headers = ", ".join(dict.fromkeys(known.partition(".")[0] for known in MATCHERS))
    return f"did you mean {near[0]!r}?" if near else f"there are fields of: {headers}"
