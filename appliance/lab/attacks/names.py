"""The names of the lab's attacks, and the Ethernet address that marks each.

Every attack comes twice: bare, and wrapped in a VLAN tag (IEEE 802.1Q), because a filter that stops at the tag lets the
second copy pass.
"""

from __future__ import annotations

KINDS = {
    "syn": "connection requests from forged addresses",
    "ntp": "answers to monlist that nobody asked for, 440 bytes each",
    "dns": "large answers to ANY questions that nobody asked",
    "memcached": "answers of memcached, one frame full",
    "fragments": "large UDP datagrams in fragments",
    "xmas": "TCP with the flags FIN, PSH and URG",
    "ssdp": "answers of UPnP devices to a search that nobody made",
    "cldap": "answers of directory servers over UDP",
    "syn-ack": "SYN-ACKs of servers that were asked in the victim's name",
    "ack": "TCP ACKs of no connection",
    "rst": "TCP resets of no connection",
    "null": "TCP without any flag",
    "syn-fin": "TCP with SYN and FIN",
    "udp": "UDP to random ports",
    "icmp": "ICMP echo requests from forged addresses",
    "icmpv6": "ICMPv6 echo requests from forged addresses",
}
VLAN = "+vlan"
ATTACK_NAMES = (*KINDS, *(f"{name}{VLAN}" for name in KINDS))
USUAL = ("syn", "ntp", "dns", "memcached", "fragments", "xmas")  # what `make demo` shows


def marker(attack: str) -> str:
    """The Ethernet source address of an attack's frames."""
    return f"02:ad:00:00:00:{ATTACK_NAMES.index(attack) + 1:02x}"
