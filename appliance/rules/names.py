"""The names of values, and where each table is from: what a rule set may write for a number, what other tools write."""

from __future__ import annotations

# include/uapi/linux/if_ether.h
ETHERTYPES = {
    "ipv4": 0x0800,
    "arp": 0x0806,
    "rarp": 0x8035,
    "ipv6": 0x86DD,
    "mpls": 0x8847,
    "pppoe-discovery": 0x8863,
    "pppoe-session": 0x8864,
    "lldp": 0x88CC,
    "ptp": 0x88F7,
}

# The IANA registry "Assigned Internet Protocol Numbers"
PROTOCOLS = {
    "icmp": 1,
    "igmp": 2,
    "ipip": 4,
    "tcp": 6,
    "udp": 17,
    "dccp": 33,
    "ipv6": 41,
    "rsvp": 46,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmpv6": 58,
    "eigrp": 88,
    "ospf": 89,
    "pim": 103,
    "vrrp": 112,
    "l2tp": 115,
    "sctp": 132,
    "udplite": 136,
}

# RFC 9293 section 3.1, and RFC 9768 for `ae`
TCP_FLAGS = {
    "fin": 0x001,
    "syn": 0x002,
    "rst": 0x004,
    "psh": 0x008,
    "ack": 0x010,
    "urg": 0x020,
    "ece": 0x040,
    "cwr": 0x080,
    "ae": 0x100,
}

# nft(8), "ICMP TYPE TYPE" and "ICMPV6 TYPE TYPE"; ip6tables has the longer ones of neighbour discovery
ICMP_TYPES = {
    "echo-reply": 0,
    "destination-unreachable": 3,
    "source-quench": 4,
    "redirect": 5,
    "echo-request": 8,
    "router-advertisement": 9,
    "router-solicitation": 10,
    "time-exceeded": 11,
    "parameter-problem": 12,
    "timestamp-request": 13,
    "timestamp-reply": 14,
    "info-request": 15,
    "info-reply": 16,
    "address-mask-request": 17,
    "address-mask-reply": 18,
}
ICMPV6_TYPES = {
    "destination-unreachable": 1,
    "packet-too-big": 2,
    "time-exceeded": 3,
    "parameter-problem": 4,
    "echo-request": 128,
    "echo-reply": 129,
    "mld-listener-query": 130,
    "mld-listener-report": 131,
    "mld-listener-done": 132,
    "nd-router-solicit": 133,
    "router-solicitation": 133,
    "nd-router-advert": 134,
    "router-advertisement": 134,
    "nd-neighbor-solicit": 135,
    "neighbour-solicitation": 135,
    "neighbor-solicitation": 135,
    "nd-neighbor-advert": 136,
    "neighbour-advertisement": 136,
    "neighbor-advertisement": 136,
    "nd-redirect": 137,
    "redirect": 137,
    "router-renumbering": 138,
    "ind-neighbor-solicit": 141,
    "ind-neighbor-advert": 142,
    "mld2-listener-report": 143,
}

# RFC 2474, 2597, 3246, 5865 and 8622: the IANA registry "Differentiated Services Field Codepoints"
DSCPS = {
    "cs0": 0,
    "le": 1,
    "cs1": 8,
    "af11": 10,
    "af12": 12,
    "af13": 14,
    "cs2": 16,
    "af21": 18,
    "af22": 20,
    "af23": 22,
    "cs3": 24,
    "af31": 26,
    "af32": 28,
    "af33": 30,
    "cs4": 32,
    "af41": 34,
    "af42": 36,
    "af43": 38,
    "cs5": 40,
    "voice-admit": 44,
    "ef": 46,
    "cs6": 48,
    "cs7": 56,
}

# RFC 3168 section 5
ECNS = {"not-ect": 0, "ect1": 1, "ect0": 2, "ce": 3}

# RFC 826 and RFC 903
ARP_OPCODES = {"request": 1, "reply": 2, "rarp-request": 3, "rarp-reply": 4}

# nft(8), "IGMP TYPE TYPE"
IGMP_TYPES = {
    "membership-query": 0x11,
    "membership-report-v1": 0x12,
    "membership-report-v2": 0x16,
    "leave-group": 0x17,
    "membership-report-v3": 0x22,
}

# RFC 2328 section A.3.1
OSPF_TYPES = {"hello": 1, "db-description": 2, "ls-request": 3, "ls-update": 4, "ls-ack": 5}

# What connection tracking says of a frame: CT_* of programs/include/stage.h, in the words of nft(8), "CT_STATE TYPE"
CT_STATES = {"untracked": 0, "new": 1, "established": 2, "related": 3, "invalid": 4}

# The IANA registry "IP Option Numbers"; the short names are those of nft(8), "ip option"
IP_OPTIONS = {
    "end-of-options": 0,
    "no-operation": 1,
    "record-route": 7,
    "rr": 7,
    "mtu-probe": 11,
    "mtu-reply": 12,
    "quick-start": 25,
    "timestamp": 68,
    "traceroute": 82,
    "security": 130,
    "loose-source-route": 131,
    "lsrr": 131,
    "extended-security": 133,
    "cipso": 134,
    "stream-id": 136,
    "strict-source-route": 137,
    "ssrr": 137,
    "router-alert": 148,
    "ra": 148,
}
