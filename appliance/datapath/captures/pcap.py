"""The records of a pcap file (draft-ietf-opsawg-pcap).

magic number (4 bytes), version (4), reserved (8), snap length (4), link type (2 of 4)
seconds (4), fraction (4), captured length (4), original length (4), bytes                    … for every frame
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from typing import NamedTuple

from appliance.datapath.captures.errors import Cut, Damaged
from appliance.datapath.layout import LONGEST_FRAME

# The first four bytes of a pcap file: byte order, and how many nanoseconds a unit of its fraction is.
PCAP_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
FILE_HEADER = 24  # bytes


class PacketRecord(NamedTuple):
    """One frame of a file: its link type, where its bytes are, how many are there, how many there were, and when
    (nanoseconds since 1970)."""

    link: int
    offset: int
    captured: int
    original: int
    time_ns: int


def pcap_link_type(data: mmap.mmap) -> int:
    """The link type of all frames; the other bits of that word say whether frames end in a check sequence."""
    order, _ = PCAP_MAGIC[data[:4]]
    (link,) = struct.unpack_from(order + "I", data, 20)
    return int(link) & 0xFFFF


def read_pcap(data: mmap.mmap) -> Iterator[PacketRecord]:
    """Every frame in the order of the file. Raises Damaged behind the last good one."""
    order, unit = PCAP_MAGIC[data[:4]]
    link = pcap_link_type(data)
    header, position, end = struct.Struct(order + "IIII"), FILE_HEADER, len(data)
    while position < end:
        if end - position < header.size:
            raise Cut(position)
        seconds, fraction, captured, original = header.unpack_from(data, position)
        position += header.size
        if captured > LONGEST_FRAME:
            raise Damaged(f"a frame of {captured} bytes is longer than any ({LONGEST_FRAME})", position)
        if captured > end - position:
            raise Cut(position)
        yield PacketRecord(link, position, captured, original, seconds * 1_000_000_000 + fraction * unit)
        position += captured
