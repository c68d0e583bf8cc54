"""include/uapi/linux/if_arp.h: what kind of link an interface is (`ifi_type` of rtnetlink)."""

from __future__ import annotations

ARPHRD_ETHER = 1
ARPHRD_LOOPBACK = 772

# The links whose frames begin with an Ethernet header (IEEE 802.3).
ETHERNET = frozenset({ARPHRD_ETHER, ARPHRD_LOOPBACK})

# The others that a router may have, as `ip link` names them (ll_types.c of iproute2): tun and WireGuard are `none`.
NAMES = {
    32: "infiniband",
    280: "can",
    512: "ppp",
    519: "rawip",
    768: "ipip",
    769: "tunnel6",
    776: "sit",
    778: "gre",
    801: "ieee802.11",
    803: "ieee802.11/radiotap",
    804: "ieee802.15.4",
    823: "gre6",
    824: "netlink",
    0xFFFE: "none",
    0xFFFF: "void",
}
