"""From one socket to another on the same interface, so that each frame is served once, and in its place.

While both accept frames, the kernel puts a copy of each into either ring, into the newer socket's first:

    old  … 4 5 6 7 8 9 |                  muted here: 10 and what comes later is not in it
    new          7 8 9 10 11 …            unmuted here: what came before 7 is not in it
           └─┬─┘ └─┬─┘
          served   left out: in the new one as well

A frame is known by its time stamp. As long as any socket asks for stamps (`PacketSocket.stamp`), the kernel gives each
frame one, in nanoseconds, as it arrives, and both slots have it; slots without TP_STATUS_TS_SOFTWARE are of frames that
came before that, and are taken for different ones. With several processors at the interface copies may stand in
another order in either ring; so what is left out need not be the end of the old one.

Sources: net_timestamp_check and deliver_skb, net/core/dev.c; tpacket_rcv, net/packet/af_packet.c.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Set

from hooks.af_packet.socket import PacketSocket
from hooks.linux import if_packet as kernel
from hooks.linux.if_packet import tpacket2_hdr

Stamp = tuple[int, int, int]  # seconds, nanoseconds, and the frame's length in bytes


def unserved(socket: PacketSocket, first: int = 0) -> int:
    """How many frames stand in its receive ring from the slot number `first` on."""
    return sum(1 for _ in _frames(socket, first))


def stamps(sockets: Iterable[PacketSocket]) -> frozenset[Stamp]:
    """The frames in their receive rings, of which nothing has been served yet, as far as they are stamped."""
    found = (_stamp(header) for socket in sockets for _, header in _frames(socket, 0))
    return frozenset(stamp for stamp in found if stamp is not None)


def leave_out(socket: PacketSocket, first: int, known: Set[Stamp]) -> None:
    """Take the `known` frames out of the receive ring of a socket that is muted, and that nobody serves meanwhile: from
    the slot number `first` on only others stand there, in their order."""
    waiting = list(_frames(socket, first))
    kept = [(slot, header) for slot, header in waiting if _stamp(header) not in known]
    queue_in_step = True  # the whole copy that the socket's queue gives next is that of the next frame marked so
    for (to, _), (slot, header) in zip(waiting, kept, strict=False):
        if slot != to:
            queue_in_step = False
        if not queue_in_step:
            header.tp_status &= ~kernel.TP_STATUS_COPY  # then it counts as truncated
        if slot != to:
            size = socket.geometry.slot_size
            ctypes.memmove(socket.receive_ring + to * size, socket.receive_ring + slot * size, size)
    for _, header in waiting[len(kept) :]:
        header.tp_status = kernel.TP_STATUS_KERNEL


def _frames(socket: PacketSocket, first: int) -> Iterator[tuple[int, tpacket2_hdr]]:
    """The slots that the kernel has handed over, from `first` on: their numbers and their headers."""
    slots = socket.receive_slots
    for number in range(first, first + slots):
        slot = number % slots
        header = tpacket2_hdr.from_address(socket.receive_ring + slot * socket.geometry.slot_size)
        if not header.tp_status & kernel.TP_STATUS_USER:
            return
        yield slot, header


def _stamp(header: tpacket2_hdr) -> Stamp | None:
    if not header.tp_status & kernel.TP_STATUS_TS_SOFTWARE:
        return None
    return header.tp_sec, header.tp_nsec, header.tp_len
