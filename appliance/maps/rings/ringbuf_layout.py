"""A ring buffer in memory, as the kernel lays it out (kernel/bpf/ringbuf.c), and one page that the kernel keeps apart.

    map ─> ┌────────────────┐
           │ RingState      │  one page: the producers' lock, and how a consumer is woken
           ├────────────────┤
           │ consumer_pos   │  one page, which only the consumer writes
           ├────────────────┤
           │ producer_pos   │  one page, which only producers write
           ├────────────────┤
           │ data           │  max_entries bytes, a power of two
           ├────────────────┤
           │ the same again │  so that no record wraps
           └────────────────┘

Positions count bytes and never wrap; a position's place is its low bits. Between the consumer's and the producers' lie
the records, each with a header, each a multiple of 8 bytes:

     31     30                  0   63        32
    ┌──────┬─────────┬───────────┐ ┌────────────┬─────────────────┐
    │ BUSY │ DISCARD │ length 30 │ │ pages   32 │ length bytes …  │     pages: from the map's start to the header
    └──────┴─────────┴───────────┘ └────────────┴─────────────────┘

A record is BUSY until it is submitted or discarded, and the consumer goes no further than the first one that is.
"""

from __future__ import annotations

import ctypes

from appliance.memory import PAGE

BUSY, DISCARD = 1 << 31, 1 << 30  # BPF_RINGBUF_BUSY_BIT, BPF_RINGBUF_DISCARD_BIT
HEADER_SIZE = 8  # BPF_RINGBUF_HDR_SZ
LONGEST_RECORD = (1 << 30) - 1  # RINGBUF_MAX_RECORD_SZ: what the header's length can say

# Flags of output, submit and discard; what query asks for (include/uapi/linux/bpf.h).
NO_WAKEUP, FORCE_WAKEUP = 1 << 0, 1 << 1
AVAIL_DATA, RING_SIZE, CONS_POS, PROD_POS = range(4)

CONSUMER, PRODUCER, DATA = PAGE, 2 * PAGE, 3 * PAGE


class RingState(ctypes.Structure):
    """`lock` is held by whoever takes room; `mask` finds a position's place; `wake` is the eventfd."""

    _fields_ = (
        ("lock", ctypes.c_uint16),
        ("_padding", ctypes.c_uint16),
        ("wake", ctypes.c_uint32),
        ("mask", ctypes.c_uint64),
    )


class RecordHeader(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint32), ("pages", ctypes.c_uint32))


def record_size(length: int) -> int:
    """What a record of `length` bytes takes of the ring."""
    return (length + HEADER_SIZE + 7) & ~7
