"""What is known of a frame once it has been read, besides the fields that stand in one place of a header: the numbers
that the parser works out while it walks from header to header. `matchers` asks for them by name.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.rules.headers import IPV6, Bits
from appliance.rules.layers import IP_OPTION_WORDS, IP_OPTIONS
from appliance.rules.tunnels import MOST_LABELS


@dataclass(frozen=True, slots=True)
class Field:
    """A number that the parser takes out of a frame: from the place of the header that the frame has, or by working it
    out where there is no place. `width` is that of the variable that keeps it, 32 or 64 bits."""

    name: str
    width: int = 32
    places: tuple[Bits, ...] = ()
    is_optional: bool = False  # worked out only for rules that ask for it
    absent: int | None = None  # the number that stands for none, in one of several places that a matcher has


STATE_FIELD = "ct.state"  # what no parser knows, but connection tracking

_NO_VLAN = 0xFFFF  # no VLAN id has 16 bits
_NO_LABEL = 0xFFFF_FFFF  # no MPLS label has 32 bits

# What the parser works out while it walks from header to header, and what it must know to do so.
PARSED = (
    Field("length", 64),
    Field("ethertype"),
    Field("vlan_depth"),
    Field("vlan_0", absent=_NO_VLAN),
    Field("vlan_1", absent=_NO_VLAN),
    Field("vlan_2", absent=_NO_VLAN),
    Field("vlan_3", absent=_NO_VLAN),
    Field("version"),  # 0 for a frame without an IP packet
    Field("source_high", 64, (IPV6[64:128],)),
    Field("source_low", 64, (IPV6[128:192],)),  # IPv4 addresses stand here, mapped: ::ffff:192.0.2.1
    Field("destination_high", 64, (IPV6[192:256],)),
    Field("destination_low", 64, (IPV6[256:320],)),
    Field("protocol"),
    Field("ip_length"),
    Field("fragment"),
    Field("fragment_offset"),
    Field("more_fragments"),
    Field("authenticated"),  # 1 once an authentication header was read
    Field("transport"),  # what was read at layer 4 (see PRESENCE), or 0
    Field(IP_OPTIONS, is_optional=True),
    *(Field(name, 64, is_optional=True) for name in IP_OPTION_WORDS),
    Field("tcp.options.mss", is_optional=True),
    Field("tcp.options.mss_val", is_optional=True),
    Field("tcp.options.wscale", is_optional=True),
    Field("tcp.options.wscale.shift", is_optional=True),
    Field("tcp.options.sack_perm", is_optional=True),
    Field("tcp.options.timestamp", is_optional=True),
    Field("fragment_id", is_optional=True),  # what the fragments of one packet have in common, of either family
    Field("stage.mark", is_optional=True),  # what a stage wrote there (stages.contract)
    Field(STATE_FIELD, is_optional=True),  # what connection tracking says (values.CT_STATE)
    Field("tunnel_depth", is_optional=True),
    Field("tunnel_more", is_optional=True),
    Field("gre_keyed", is_optional=True),
    Field("vxlan", is_optional=True),
    Field("geneve", is_optional=True),
    Field("gtp", is_optional=True),
    Field("pppoe", is_optional=True),
    Field("mpls_depth", is_optional=True),
    *(Field(f"mpls_{number}", is_optional=True, absent=_NO_LABEL) for number in range(MOST_LABELS)),
)

# What is known of tunnels, and stays while one level after the other is read.
TUNNEL_FIELDS = (
    *("tunnel_depth", "tunnel_more", "gre_keyed", "gre.key", "vxlan", "vxlan.vni", "geneve", "geneve.vni"),
    *("gtp", "gtp.teid", "pppoe", "pppoe.session_id", "mpls_depth"),
    *(f"mpls_{number}" for number in range(MOST_LABELS)),
)
