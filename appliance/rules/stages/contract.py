"""What a stage is given: `struct frame` of programs/include/stage.h, its members called as the parser's fields are."""

from __future__ import annotations

import ctypes

NEXT = 0  # the answer by which a frame goes on; every other one is an XDP action

# Members in the order of the structure, and the parser's fields that they are (matchers.FIELDS, fields.STATE).
WIDE = (
    "source_high",
    "source_low",
    "destination_high",
    "destination_low",
    "length",
    "now",
    "layer3",
    "layer4",
    "payload",
)
NARROW = (
    "payload_length",
    "version",
    "protocol",
    "transport",
    "ip_length",
    "fragment",
    "fragment_offset",
    "more_fragments",
    "source_port",
    "destination_port",
    "tcp.flags",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.window",
    "icmp_type",
    "icmp_code",
    "way",
    "stage_monitored",
    "stage.mark",
    "ct.state",
    "ct.commit",
    "fragment_id",
    "proved",
    "dscp",
    "quoted_change",
    "reject",
)
FRAME = tuple((name, ctypes.c_uint64) for name in WIDE) + tuple((name, ctypes.c_uint32) for name in NARROW)


class Frame(ctypes.Structure):
    """The structure itself; numbers are in host order."""

    _fields_ = FRAME
