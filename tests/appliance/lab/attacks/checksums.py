"""Whether a frame's checksums are right, by scapy's account."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest
from scapy.layers.l2 import Ether

_FIELDS = {IP: "chksum", TCP: "chksum", UDP: "chksum", ICMP: "chksum", ICMPv6EchoRequest: "cksum"}


def checksums_are_right(data: bytes) -> bool:
    """Whether scapy, computing them anew, comes to the same checksums. Of fragments: IP's alone."""
    frame, again = Ether(data), Ether(data)
    layers = [layer for layer in _FIELDS if layer in frame]
    if IP in frame and (frame[IP].frag or frame[IP].flags.MF):
        layers = [IP]
    for layer in layers:
        delattr(again[layer], _FIELDS[layer])
    again = Ether(bytes(again))
    # 0 and 0xFFFF are the same number to a checksum (RFC 1624).
    return all(
        getattr(frame[layer], _FIELDS[layer]) % 0xFFFF == getattr(again[layer], _FIELDS[layer]) % 0xFFFF
        for layer in layers
    )
