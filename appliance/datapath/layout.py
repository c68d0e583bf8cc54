"""The memory that the native loop and Python share: one Worker per thread, one Port per interface it serves.

    Worker ── context, offload, stop, poll set
           └─ ports[0 … port_count)  ── rings (addresses), cursors, where frames go, PortCounters

It outlives the code: a reload compiles other code over the same Workers. A worker alone writes its block; readers take
snapshots without locks, because every counter is one aligned 8-byte word.
"""

from __future__ import annotations

import ctypes

from hooks.contracts.contract import Verdict
from hooks.contracts.xdp import FrameContext
from hooks.linux.if_packet import virtio_net_hdr
from hooks.linux.socket import pollfd

VERDICTS = tuple(Verdict)
MAX_PORTS = 16
NO_PORT = 0xFFFFFFFF

# What `drive` returns.
STOPPED = 0
PORT_FAILED = 1

SOCKET_FAILED = -1  # what `batch` returns in the place of how many frames it served


class PortCounters(ctypes.Structure):
    """What one worker saw on one interface. Verdicts are indexed in the order of `Verdict`."""

    _fields_ = (
        ("received_packets", ctypes.c_uint64),
        ("received_bytes", ctypes.c_uint64),
        ("verdict_packets", ctypes.c_uint64 * len(VERDICTS)),
        ("verdict_bytes", ctypes.c_uint64 * len(VERDICTS)),
        ("transmitted_packets", ctypes.c_uint64),
        ("transmitted_bytes", ctypes.c_uint64),
        ("truncated", ctypes.c_uint64),  # longer than a slot, and no whole copy was to be had
        ("transmit_too_long", ctypes.c_uint64),  # longer than the outgoing interface's MTU
        ("transmit_ring_full", ctypes.c_uint64),
        ("transmit_failed", ctypes.c_uint64),  # the kernel refused the frame
        ("redirect_unknown", ctypes.c_uint64),  # REDIRECT to an interface that is not the box's
    )


class Port(ctypes.Structure):
    """One interface as one worker serves it. Sizes in bytes, cursors in slots."""

    _fields_ = (
        ("receive_ring", ctypes.c_uint64),
        ("transmit_ring", ctypes.c_uint64),
        ("slot_size", ctypes.c_uint32),
        ("receive_slots", ctypes.c_uint32),
        ("receive_next", ctypes.c_uint32),
        ("transmit_slots", ctypes.c_uint32),
        ("transmit_next", ctypes.c_uint32),
        ("transmit_pending", ctypes.c_uint32),  # frames in the ring that the kernel has not taken yet
        ("fd", ctypes.c_int32),
        ("oversize_fd", ctypes.c_int32),
        ("ifindex", ctypes.c_uint32),
        ("peer", ctypes.c_uint32),  # index of the port that PASS sends to, or NO_PORT
        ("program", ctypes.c_uint32),  # index into the loop's programs
        ("enforce", ctypes.c_uint32),  # 0: judge and count only (tap)
        ("max_frame", ctypes.c_uint32),  # the longest frame that may leave here, without VLAN tag
        ("transmit_pending_bytes", ctypes.c_uint64),
        (
            "transmit_first_refused",
            ctypes.c_uint64,
        ),  # since when the kernel has refused the first of them, 0: it has not
        ("transmit_nothing_left", ctypes.c_uint64),  # since when nothing has left (both: CLOCK_MONOTONIC, nanoseconds)
        ("failed", ctypes.c_uint32),  # errno of a socket that no longer works
        ("counters", PortCounters),
    )


class Worker(ctypes.Structure):
    """One native thread's whole state."""

    _fields_ = (
        ("context", FrameContext),
        ("stop", ctypes.c_uint32),
        ("port_count", ctypes.c_uint32),
        ("wake_fd", ctypes.c_int32),
        ("spin", ctypes.c_uint32),  # empty batches before the thread sleeps in poll()
        ("batch", ctypes.c_uint64),  # the address of the published code, `i64 batch(worker)`
        ("global_epoch", ctypes.c_uint64),  # the address of the domain's
        ("epoch", ctypes.c_uint64),  # what this reader has announced; 0 while it is offline (see appliance.epochs)
        ("batches", ctypes.c_uint64),  # batches done: a sign of life
        ("sleeps", ctypes.c_uint64),
        ("served", ctypes.c_uint64),  # whether a thread of another process is at it (appliance.datapath.hosts)
        ("urgent", ctypes.c_uint32),  # 1: its thread is to run before others (hooks.scheduling)
        ("urgent_pad", ctypes.c_uint32),
        ("scratch", ctypes.c_uint64),  # address of SCRATCH_SIZE bytes for frames that no slot holds
        ("offload_start", ctypes.c_uint64),  # the address that `offload` counts from: the frame as the kernel gave it
        ("offload", virtio_net_hdr),
        ("offload_pad", ctypes.c_uint8 * 6),
        ("polls", pollfd * (MAX_PORTS + 1)),
        ("ports", Port * MAX_PORTS),
    )


class ReplayFrame(ctypes.Structure):
    """One frame of a capture in memory: where its bytes are, how many of them and how long it was, the verdict found,
    which of the two programs judges it, and its time."""

    _fields_ = (
        ("offset", ctypes.c_uint64),
        ("captured", ctypes.c_uint32),
        ("length", ctypes.c_uint32),  # not less than captured; what is missing reads as zeros
        ("verdict", ctypes.c_uint32),
        ("program", ctypes.c_uint32),  # INWARD or OUTWARD
        ("time_ns", ctypes.c_uint64),
    )


INWARD, OUTWARD = 0, 1  # what ReplayFrame.program is, and an index of the counters of a replay

SCRATCH_HEADROOM = 256
SCRATCH_TAILROOM = 1024
LONGEST_FRAME = 262144  # what libpcap calls its maximum snapshot length
SCRATCH_SIZE = SCRATCH_HEADROOM + LONGEST_FRAME + SCRATCH_TAILROOM
VNET_SIZE = ctypes.sizeof(virtio_net_hdr)
