"""The one total table of what a rule can match on: a field costs one row.

A row says Wireshark's name, the layer that a frame must have, the kind of value, and where the field stands: bits of a
header (`headers`), which generated code, the reference and whoever explains a verdict read alike, or the names of what
the parser works out (`parsed`). A matcher with several fields, such as a port of either side, matches when any of them
lies in the wanted ranges, and none in those that are excluded. A field that isn't there never matches, whatever the
operator. Names and meanings follow Wireshark's display filters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.rules.headers import (
    AH,
    ARP,
    ESP,
    ETHERNET,
    GENEVE,
    GRE_KEY,
    GTP,
    ICMP,
    ICMPV6,
    IGMP,
    IPV4,
    IPV6,
    OSPF,
    PPPOE,
    SCTP,
    TCP,
    UDP,
    VRRP,
    VXLAN,
    Bits,
)
from appliance.rules.layers import (
    IP_OPTION_WORDS,
    OUTER,
    PRESENCE,
    TUNNEL_LAYERS,
    AnyLayer,
    Layer,
    OuterLayer,
)
from appliance.rules.parsed import PARSED, STATE_FIELD, Field
from appliance.rules.slices import Slice, read_slice
from appliance.rules.tunnels import MOST_DEPTH, MOST_LABELS
from appliance.rules.values import (
    ARP_OPCODE,
    BYTE,
    CT_STATE,
    DSCP,
    ECN,
    ETHERTYPE,
    FLAGS,
    ICMP_TYPE,
    ICMPV6_TYPE,
    IGMP_TYPE,
    IP_OPTION,
    MAC,
    NUMBER,
    OSPF_TYPE,
    PORT,
    PREFIX,
    PREFIX_V4,
    PREFIX_V6,
    PROTOCOL,
    SHORT,
    TRUTH,
    VLAN_ID,
    AddressKind,
    Kind,
    NumberKind,
)


@dataclass(frozen=True, slots=True)
class Matcher:
    """One field of the rule language. `fields` are the numbers that it reads; one of them has to match."""

    name: str
    layer: AnyLayer
    kind: Kind
    fields: tuple[str, ...]
    doc: str
    places: tuple[Bits, ...] = ()
    slice: Slice | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """The names in FIELDS of what it reads, its layer's presence included. An address of either family is two."""
        halves = ("_high", "_low") if self.holds_both_families else ("",)
        found = tuple(f"{field}{half}" for field in self.fields for half in halves)
        presence = PRESENCE[self.layer]
        version = (version_of(self.fields[0]),) if self.holds_both_families else ()
        return (*found, *version, *((presence.field,) if presence else ()))

    @property
    def holds_both_families(self) -> bool:
        """Whether its fields are addresses of 128 bits, in which IPv4 ones are mapped."""
        return isinstance(self.kind, AddressKind) and 6 in self.kind.families


def version_of(side: str) -> str:
    """The field that says of which IP version an address is: a `source`, a `destination`, or an outer one."""
    return f"{OUTER}version" if side.startswith(OUTER) else "version"


_IP_VERSION = NumberKind("IP version", 15)
_DEPTH = NumberKind("number of VLAN tags", 4)
_FLOW = NumberKind("number", (1 << 20) - 1)
_VRRP_VERSION = NumberKind("number", 15)
_TUNNELS = NumberKind("number of tunnels", MOST_DEPTH)
_NETWORK_ID = NumberKind("number", (1 << 24) - 1)
_LABEL = NumberKind("number", (1 << 20) - 1)

Where = str | Bits | tuple[str, ...] | tuple[Bits, ...]


def _row(name: str, layer: Layer, kind: Kind, where: Where, doc: str, field: str | None = None) -> Matcher:
    """A row of the table. What stands in bits of a header becomes a field that is called as the matcher is, or `field`
    where rows share one: the ports of TCP and UDP are never there together."""
    found = where if isinstance(where, tuple) else (where,)
    places = tuple(each for each in found if isinstance(each, Bits))
    names = tuple(each for each in found if isinstance(each, str)) or (field or name,)
    return Matcher(name, layer, kind, names, doc, places)


_L = Layer
_PORTS = ("source_port", "destination_port")
_LABELS = tuple(f"mpls_{number}" for number in range(MOST_LABELS))
_ALL = (
    _row("frame.len", _L.FRAME, NUMBER, "length", "bytes of the frame, from the Ethernet header on"),
    _row("eth.type", _L.FRAME, ETHERTYPE, "ethertype", "the ethertype behind all VLAN tags"),
    _row("eth.src", _L.FRAME, MAC, ETHERNET[48:96], "source MAC address"),
    _row("eth.dst", _L.FRAME, MAC, ETHERNET[0:48], "destination MAC address"),
    _row("eth.addr", _L.FRAME, MAC, ("eth.src", "eth.dst"), "source or destination MAC address"),
    _row("vlan.id", _L.VLAN, VLAN_ID, ("vlan_0", "vlan_1", "vlan_2", "vlan_3"), "the VLAN id of any tag in the stack"),
    _row("vlan.depth", _L.FRAME, _DEPTH, "vlan_depth", "number of VLAN tags, 0 to 4"),
    _row("arp.opcode", _L.ARP, ARP_OPCODE, ARP[48:64], "what it asks or answers"),
    _row("arp.src.hw_mac", _L.ARP, MAC, ARP[64:112], "MAC address of the sender, as it says"),
    _row("arp.src.proto_ipv4", _L.ARP, PREFIX_V4, ARP[112:144], "IPv4 address of the sender, as it says"),
    _row("arp.dst.hw_mac", _L.ARP, MAC, ARP[144:192], "MAC address of the target"),
    _row("arp.dst.proto_ipv4", _L.ARP, PREFIX_V4, ARP[192:224], "IPv4 address of the target"),
    _row("ip.version", _L.IP, _IP_VERSION, "version", "4 or 6"),
    _row("ip.src", _L.IP, PREFIX, "source", "source address, of either family"),
    _row("ip.dst", _L.IP, PREFIX, "destination", "destination address, of either family"),
    _row("ipv6.src", _L.IPV6, PREFIX_V6, "source", "IPv6 source address"),
    _row("ipv6.dst", _L.IPV6, PREFIX_V6, "destination", "IPv6 destination address"),
    _row("ip.proto", _L.IP, PROTOCOL, "protocol", "IPv4's protocol; in IPv6 what stands behind extension headers"),
    _row("ip.ttl", _L.IP, BYTE, (IPV4[64:72], IPV6[56:64]), "time to live; IPv6's hop limit"),
    _row("ip.len", _L.IP, SHORT, "ip_length", "bytes of the IP packet, its header included"),
    _row("ip.dsfield.dscp", _L.IP, DSCP, (IPV4[8:14], IPV6[4:10]), "differentiated services codepoint"),
    _row("ip.dsfield.ecn", _L.IP, ECN, (IPV4[14:16], IPV6[10:12]), "explicit congestion notification"),
    _row("ip.fragment", _L.IP, TRUTH, "fragment", "true for every fragment of a packet, the first one included"),
    _row("ip.frag_offset", _L.IP, SHORT, "fragment_offset", "where a fragment's data belongs, in bytes"),
    _row("ip.flags.mf", _L.IP, TRUTH, "more_fragments", "more fragments follow"),
    _row("ip.flags.df", _L.IPV4, TRUTH, IPV4[49:50], "IPv4's don't-fragment bit"),
    _row("ip.flags.rb", _L.IPV4, TRUTH, IPV4[48:49], "IPv4's reserved bit, which nobody honest sets"),
    _row("ip.id", _L.IPV4, SHORT, IPV4[32:48], "IPv4's identification"),
    _row("ip.hdr_len", _L.IPV4, BYTE, IPV4[4:8] * 4, "bytes of the IPv4 header: more than 20 if it has options"),
    _row("ip.opt.type", _L.IP_OPTIONS, IP_OPTION, IP_OPTION_WORDS, "the type of any option in IPv4's header"),
    _row("ipv6.flow", _L.IPV6, _FLOW, IPV6[12:32], "IPv6's flow label"),
    _row("ah.spi", _L.AH, NUMBER, AH[32:64], "security parameters index"),
    _row("ah.sequence", _L.AH, NUMBER, AH[64:96], "sequence number"),
    _row("tcp.sport", _L.TCP, PORT, TCP[0:16], "source port", "source_port"),
    _row("tcp.dport", _L.TCP, PORT, TCP[16:32], "destination port", "destination_port"),
    _row("tcp.port", _L.TCP, PORT, _PORTS, "source or destination port"),
    _row("tcp.flags", _L.TCP, FLAGS, TCP[103:112], "fin syn rst psh ack urg ece cwr ae"),
    _row("tcp.window", _L.TCP, SHORT, TCP[112:128], "the window field, unscaled"),
    _row("tcp.seq_raw", _L.TCP, NUMBER, TCP[32:64], "sequence number, as it stands in the header"),
    _row("tcp.ack_raw", _L.TCP, NUMBER, TCP[64:96], "acknowledgement number, as it stands in the header"),
    _row("tcp.hdr_len", _L.TCP, BYTE, TCP[96:100] * 4, "bytes of the TCP header: more than 20 if it has options"),
    _row("tcp.urgent_pointer", _L.TCP, SHORT, TCP[144:160], "urgent pointer, which counts only where `urg` is set"),
    _row("tcp.options.mss", _L.TCP, TRUTH, "tcp.options.mss", "there is the option of a maximum segment size"),
    _row("tcp.options.mss_val", _L.TCP_MSS, SHORT, "tcp.options.mss_val", "the maximum segment size"),
    _row("tcp.options.wscale", _L.TCP, TRUTH, "tcp.options.wscale", "there is the option of a window scale"),
    _row("tcp.options.wscale.shift", _L.TCP_WSCALE, BYTE, "tcp.options.wscale.shift", "bits that windows shift by"),
    _row("tcp.options.sack_perm", _L.TCP, TRUTH, "tcp.options.sack_perm", "selective acknowledgements are permitted"),
    _row("tcp.options.timestamp", _L.TCP, TRUTH, "tcp.options.timestamp", "there is the option of timestamps"),
    _row("udp.sport", _L.UDP, PORT, UDP[0:16], "source port", "source_port"),
    _row("udp.dport", _L.UDP, PORT, UDP[16:32], "destination port", "destination_port"),
    _row("udp.port", _L.UDP, PORT, _PORTS, "source or destination port"),
    _row("udp.length", _L.UDP, SHORT, UDP[32:48], "UDP's length field: header and data, in bytes"),
    _row("sctp.sport", _L.SCTP, PORT, SCTP[0:16], "source port", "source_port"),
    _row("sctp.dport", _L.SCTP, PORT, SCTP[16:32], "destination port", "destination_port"),
    _row("sctp.port", _L.SCTP, PORT, _PORTS, "source or destination port"),
    _row("sctp.verification_tag", _L.SCTP, NUMBER, SCTP[32:64], "verification tag; 0 with `init` alone"),
    _row("icmp.type", _L.ICMP, ICMP_TYPE, ICMP[0:8], "ICMP type", "icmp_type"),
    _row("icmp.code", _L.ICMP, BYTE, ICMP[8:16], "ICMP code", "icmp_code"),
    _row("icmpv6.type", _L.ICMPV6, ICMPV6_TYPE, ICMPV6[0:8], "ICMPv6 type", "icmp_type"),
    _row("icmpv6.code", _L.ICMPV6, BYTE, ICMPV6[8:16], "ICMPv6 code", "icmp_code"),
    _row("igmp.type", _L.IGMP, IGMP_TYPE, IGMP[0:8], "IGMP type"),
    _row("igmp.max_resp", _L.IGMP, BYTE, IGMP[8:16], "maximum response time of a query, in tenths of a second"),
    _row("vrrp.version", _L.VRRP, _VRRP_VERSION, VRRP[0:4], "2 or 3"),
    _row("vrrp.virt_rtr_id", _L.VRRP, BYTE, VRRP[8:16], "the virtual router that it is about"),
    _row("vrrp.prio", _L.VRRP, BYTE, VRRP[16:24], "priority of the sender; 255 owns the address, 0 gives up"),
    _row("ospf.version", _L.OSPF, BYTE, OSPF[0:8], "2 for IPv4, 3 for IPv6"),
    _row("ospf.msg", _L.OSPF, OSPF_TYPE, OSPF[8:16], "type of the packet"),
    _row("ospf.srcrouter", _L.OSPF, PREFIX_V4, OSPF[32:64], "router id of the sender, written as an address"),
    _row("ospf.area_id", _L.OSPF, PREFIX_V4, OSPF[64:96], "area, written as an address: 0.0.0.0 is the backbone"),
    _row("esp.spi", _L.ESP, NUMBER, ESP[0:32], "security parameters index"),
    _row("esp.sequence", _L.ESP, NUMBER, ESP[32:64], "sequence number"),
    _row("stage.mark", _L.FRAME, NUMBER, "stage.mark", "what a stage before the rules said of the frame, or 0"),
    _row("ct.state", _L.FRAME, CT_STATE, STATE_FIELD, "what the frame is to the connection that it belongs to"),
    _row("tunnel.depth", _L.FRAME, _TUNNELS, "tunnel_depth", f"how many tunnels were looked into, 0 to {MOST_DEPTH}"),
    _row("tunnel.more", _L.FRAME, TRUTH, "tunnel_more", "there is one more tunnel, too deep to be looked into"),
    _row("gre.key", _L.GRE_KEY, NUMBER, GRE_KEY[0:32], "the key of the innermost GRE header"),
    _row("vxlan.vni", _L.VXLAN, _NETWORK_ID, VXLAN[32:56], "network identifier of the innermost VXLAN header"),
    _row("geneve.vni", _L.GENEVE, _NETWORK_ID, GENEVE[32:56], "network identifier of the innermost GENEVE header"),
    _row("gtp.teid", _L.GTP, NUMBER, GTP[32:64], "tunnel endpoint identifier of the innermost GTP-U header"),
    _row("mpls.label", _L.MPLS, _LABEL, _LABELS, "any label of the innermost stack"),
    _row("pppoe.session_id", _L.PPPOE, SHORT, PPPOE[16:32], "session of the innermost PPPoE header"),
)


def _fields(rows: Iterable[Matcher]) -> dict[str, Field]:
    """Every field by its name, with all the places where rows say that it stands."""
    fields = {field.name: field for field in PARSED}
    for row in rows:
        if not row.places:
            continue
        (name,) = row.fields
        before = fields[name].places if name in fields else ()
        places = (*before, *row.places)
        fields[name] = Field(name, 32 if max(place.maximum for place in places) >> 32 == 0 else 64, places)
    return fields


# What can be asked of the outermost headers as well: everything of the link, of IP, and of what stands in IP.
_INNER_ONLY = (*TUNNEL_LAYERS, Layer.ARP)
TUNNELS_OWN = ("tunnel.depth", "tunnel.more")
_INNER_FIELDS = ("frame.len", "stage.mark", STATE_FIELD, *TUNNELS_OWN)


def _outer(row: Matcher) -> Matcher:
    fields = tuple(OUTER + field for field in row.fields)
    assert isinstance(row.layer, Layer)
    return Matcher(OUTER + row.name, OuterLayer(row.layer), row.kind, fields, f"{row.doc}, outside of all tunnels")


MATCHERS: dict[str, Matcher] = {matcher.name: matcher for matcher in _ALL}
OUTER_MATCHERS: dict[str, Matcher] = {
    OUTER + row.name: _outer(row) for row in _ALL if row.layer not in _INNER_ONLY and row.name not in _INNER_FIELDS
}
FIELDS: dict[str, Field] = _fields(_ALL)
OUTER_FIELDS: dict[str, Field] = {
    OUTER + name: Field(OUTER + name, field.width, absent=field.absent) for name, field in FIELDS.items()
}
ABSENT_NUMBERS: dict[str, int] = {
    name: field.absent for name, field in {**FIELDS, **OUTER_FIELDS}.items() if field.absent is not None
}


def find_matcher(name: str) -> Matcher | None:
    """The row of that name, or what a slice such as `payload[0:4] & 0xff` reads; None if there is none. Raises BadValue
    for a slice that is written wrongly."""
    if name in OUTER_MATCHERS:
        return OUTER_MATCHERS[name]
    if name in MATCHERS or "[" not in name:
        return MATCHERS.get(name)
    wanted = read_slice(name)
    kind = NumberKind("number of these bytes", wanted.mask, size=wanted.size)
    field = f"{wanted.base}[{wanted.offset}:{wanted.size}]&{wanted.mask:#x}"
    return Matcher(name, Layer.FRAME, kind, (field,), f"bytes of the {wanted.base}", slice=wanted)
