"""Bytes at an offset, for what has no field: `payload[0:4]`, `transport[13:1] & 0x3f`, as Wireshark writes slices.

    network[OFFSET:LENGTH]      from the header behind the ethertype on, whatever it is
    transport[OFFSET:LENGTH]    from the header behind IP and its extensions on, whatever it is
    payload[OFFSET:LENGTH]      from what is behind a header of TCP, UDP, ICMP or ICMPv6 on

A slice has 7 bytes at most, so that a number that has 8 can stand for one that isn't in the frame (ABSENT).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from appliance.rules.values import BadValue

BASES = ("network", "transport", "payload")
LARGEST, FARTHEST = 7, 2047  # bytes, and the offset of the first one
ABSENT = (1 << 64) - 1

_SHAPE = re.compile(r"(\w+)\[\s*([0-9]{1,6})\s*:\s*([0-9]{1,6})\s*\](?:\s*&\s*(\S+))?")
_HEX = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2})*")


@dataclass(frozen=True, slots=True)
class Slice:
    """So many bytes, from so many behind a base on, less the bits that the mask takes away."""

    base: str
    offset: int
    size: int
    mask: int


def read_slice(text: str) -> Slice:
    """A slice as a rule set writes it. Raises BadValue."""
    found = _SHAPE.fullmatch(text.strip())
    if found is None or found[1] not in BASES:
        known = ", ".join(f"{base}[0:4]" for base in BASES)
        raise BadValue(f"there is no field {text!r}", f"bytes of a frame are written as {known}, with `& 0xff` behind")
    offset, size = int(found[2]), int(found[3])
    if not 1 <= size <= LARGEST or offset > FARTHEST:
        hint = f"a slice is [offset:length]; the offset is 0 to {FARTHEST}, the length 1 to {LARGEST} bytes"
        raise BadValue(f"{text} is out of range", hint)
    everything = (1 << 8 * size) - 1
    mask = everything if found[4] is None else _mask(found[4], size)
    if not 1 <= mask <= everything:
        raise BadValue(f"the mask of {text} leaves nothing, or has more than {size} bytes", "write `& 0xff`")
    return Slice(found[1], offset, size, mask)


def _mask(text: str, size: int) -> int:
    if _HEX.fullmatch(text) and len(text) == 3 * size - 1 and ":" in text:
        return int(text.replace(":", ""), 16)
    if re.fullmatch(r"0x[0-9a-fA-F]{1,16}|[0-9]{1,20}", text):
        return int(text, 0)
    raise BadValue(f"{text!r} isn't a mask", "write it like 0xff00, or ff:00")
