"""Counting the frames that arrive from one Ethernet address, exactly and at no cost to anybody.

A packet socket with a filter of classic BPF accepts the frames that count, and nobody ever reads it. Its queue fills,
and from then on the kernel counts each further frame as dropped *by this socket*; PACKET_STATISTICS has them all,
because `tp_packets` includes `tp_drops` (packet_rcv and packet_getsockopt, net/packet/af_packet.c).
"""

from __future__ import annotations

import ctypes
import socket

from hooks.linux import filter as kernel
from hooks.linux.if_packet import ETH_P_ALL, PACKET_IGNORE_OUTGOING, PACKET_STATISTICS, SOL_PACKET, tpacket_stats

# Load a word, a byte or a half at an offset, compare with a constant, return how many bytes to keep.
_LOAD_WORD = kernel.BPF_LD | kernel.BPF_W | kernel.BPF_ABS
_LOAD_REST = {1: kernel.BPF_LD | kernel.BPF_B | kernel.BPF_ABS, 2: kernel.BPF_LD | kernel.BPF_H | kernel.BPF_ABS}
_JUMP_EQUAL = kernel.BPF_JMP | kernel.BPF_JEQ | kernel.BPF_K
_RETURN = kernel.BPF_RET | kernel.BPF_K
_SOURCE_OFFSET = 6  # of the source address in an Ethernet header (IEEE 802.3)


class FrameCounter:
    """Counts frames received by `interface` whose Ethernet source is `source` (6 bytes) or begins with it (5), from now
    on. For one thread."""

    def __init__(self, interface: str, source: bytes) -> None:
        """Open it in the calling thread's namespace."""
        self._total = 0
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
        program = (kernel.sock_filter * 6)(
            kernel.sock_filter(_LOAD_WORD, 0, 0, _SOURCE_OFFSET),
            kernel.sock_filter(_JUMP_EQUAL, 0, 3, int.from_bytes(source[:4], "big")),
            kernel.sock_filter(_LOAD_REST[len(source) - 4], 0, 0, _SOURCE_OFFSET + 4),
            kernel.sock_filter(_JUMP_EQUAL, 0, 1, int.from_bytes(source[4:], "big")),
            kernel.sock_filter(_RETURN, 0, 0, 1),
            kernel.sock_filter(_RETURN, 0, 0, 0),
        )
        attached = kernel.sock_fprog(len(program), program)
        self._socket.setsockopt(socket.SOL_SOCKET, kernel.SO_ATTACH_FILTER, bytes(attached))
        self._socket.bind((interface, ETH_P_ALL))

    def read(self) -> int:
        """Frames so far. Call it at least once in 2**32 frames."""
        answer = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, ctypes.sizeof(tpacket_stats))
        self._total += int(tpacket_stats.from_buffer_copy(answer).tp_packets)
        return self._total

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> FrameCounter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
