"""Which frames of a capture come from inside: those whose sender's address is of the networks that stand there.

A capture holds both ways of a line and doesn't say which frame went which. The sender is the source of the outermost
IP header behind VLAN tags, or the sender that an ARP message names. Frames without one count as from outside.
"""

from __future__ import annotations

import struct
from bisect import bisect_right

from appliance.datapath.captures.capture import FRAME, Capture
from appliance.datapath.layout import INWARD, OUTWARD, ReplayFrame
from appliance.rules.values import Addresses

_TAG_TYPES = (0x8100, 0x88A8, 0x9100)  # 802.1Q, 802.1ad, and what was in use before it
_FIRST_BYTES = 14 + 4 * 4 + 40  # Ethernet, four tags, IPv6
# ethertype → the family, and where behind it the sender's address stands
_SENDERS = {0x0800: (4, 12, 4), 0x86DD: (6, 8, 16), 0x0806: (4, 14, 4)}  # IPv4, IPv6, ARP


def tell_directions(capture: Capture, inside: Addresses) -> None:
    """Set every frame's `program`: OUTWARD if its sender is one of `inside`."""
    starts = {4: [low for low, _ in inside.v4], 6: [low for low, _ in inside.v6]}
    ranges = {4: inside.v4, 6: inside.v6}
    for number, record in enumerate(capture.records()):
        program = INWARD
        found = _sender(capture.first_bytes(record, _FIRST_BYTES))
        if found is not None:
            family, address = found
            index = bisect_right(starts[family], address) - 1
            program = OUTWARD if index >= 0 and address <= ranges[family][index][1] else INWARD
        struct.pack_into("=I", capture.table, number * FRAME.size + ReplayFrame.program.offset, program)


def _sender(frame: bytes) -> tuple[int, int] | None:
    """The family and the address of who sent a frame, if its first bytes tell."""
    place = 12
    for _ in range(5):
        ethertype = int.from_bytes(frame[place : place + 2], "big")
        if ethertype not in _TAG_TYPES:
            break
        place += 4
    if ethertype not in _SENDERS:
        return None
    family, offset, size = _SENDERS[ethertype]
    address = frame[place + 2 + offset : place + 2 + offset + size]
    return (family, int.from_bytes(address, "big")) if len(address) == size else None
