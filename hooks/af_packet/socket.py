"""One interface's packet socket: a ring of received frames and a ring of frames to send, both mapped into memory.

The socket is a tap: it sees copies of what the interface receives. TPACKET_V2 hands every frame over as it comes (a
TPACKET_V3 block waits for a timer that is no finer than a jiffy), and each slot carries its own state:

    receive slot                                          transmit slot
    +-------------+-------------+----------+-----+------  +-------------+------+-------------------+
    | tpacket2_hdr| sockaddr_ll | headroom | vnet| frame  | tpacket2_hdr| vnet | frame             |
    +-------------+-------------+----------+-----+------  +-------------+------+-------------------+
    0             32            52               tp_mac   0             32     42

`vnet` is the virtio_net_hdr (10 bytes) of PACKET_VNET_HDR. A frame too long for its slot (a 64 kB super-frame of a
local sender) is marked TP_STATUS_COPY and waits whole in the socket's queue; it leaves through a second socket that
has no ring, with the same offload header. Sources: Documentation/networking/packet_mmap.rst, net/packet/af_packet.c.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from hooks.af_packet.fanout import Fanout
from hooks.af_packet.geometry import Geometry
from hooks.af_packet.opening import OpenSockets, accept_nothing, no_rings, open_sockets
from hooks.linux import if_packet as kernel
from hooks.linux.filter import SO_DETACH_FILTER
from hooks.linux.mman import MAP_FIXED, MAP_SHARED, PROT_READ, PROT_WRITE, map_memory, reserve_memory, unmap_memory
from hooks.linux.socket import SO_TIMESTAMPNS


@dataclass(frozen=True, slots=True)
class RingStatistics:
    """Since the socket was opened: frames that the kernel offered, and those of them that found no free slot."""

    packets: int
    drops: int


class PacketSocket:
    """A packet socket with its rings, bound to one interface. A context manager; closing twice is harmless.

    `receive_ring` and `transmit_ring` are addresses in this process; the kernel fills both from their first slot on.
    Only one thread may serve one PacketSocket.
    """

    def __init__(
        self,
        interface: str,
        geometry: Geometry,
        *,
        fanout: Fanout | None = None,
        muted: bool = False,
        address: int | None = None,
    ) -> None:
        """Open, bind and map. `fanout` is the group of the workers on one interface, among whom the kernel deals out
        flows: a new one for the first of them, its `fanout_group()` for the others. `muted`: accept no frame
        before `unmute`. `address`: see `adopt`. Raises InterfaceError, PrivilegeError or HookError."""
        self._hold(open_sockets(interface, geometry, fanout=fanout, muted=muted), interface, geometry, address)

    @classmethod
    def adopt(
        cls, descriptors: tuple[int, int], interface: str, geometry: Geometry, *, address: int | None = None
    ) -> Self:
        """What another process opened with that geometry, by the `descriptors` that it handed over: they are this
        object's from now on, whatever is raised. Needs no privilege.

        The rings are mapped at `address`, if one is given: `geometry.mapped_bytes` from there on must be reserved by
        the caller (`reserve_memory`), and are reserved again once it is closed. Several processes may map the same
        rings; the kernel's counts (`statistics`) are for one of them. Raises InterfaceError.
        """
        made = cls.__new__(cls)
        made._hold(OpenSockets.of(*descriptors), interface, geometry, address)
        return made

    def _hold(self, opened: OpenSockets, interface: str, geometry: Geometry, address: int | None) -> None:
        self.interface = interface
        self.geometry = geometry
        self._packets = self._drops = 0
        self._opened = opened
        self._socket = opened.rings
        self._reserved = address is not None
        self._mapped = True
        fixed = MAP_FIXED if self._reserved else 0
        try:
            self.receive_ring = map_memory(
                address, geometry.mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | fixed, opened.rings.fileno()
            )
        except OSError as error:
            opened.close()
            if address is not None:
                reserve_memory(geometry.mapped_bytes, address)
            raise no_rings(interface, error) from error
        self.transmit_ring = self.receive_ring + geometry.receive_bytes

    @property
    def descriptors(self) -> tuple[int, int]:
        """What another process adopts it by."""
        return self._opened.descriptors

    def fanout_group(self) -> int:
        """The number of the fanout group that the socket is in, within its network namespace."""
        return self._socket.getsockopt(kernel.SOL_PACKET, kernel.PACKET_FANOUT) & 0xFFFF

    @property
    def receive_slots(self) -> int:
        return int(self.geometry.receive.tp_frame_nr)

    @property
    def transmit_slots(self) -> int:
        return int(self.geometry.transmit.tp_frame_nr)

    def fileno(self) -> int:
        """The descriptor of the rings: polled for received frames, kicked with an empty send."""
        return self._socket.fileno()

    def oversize_fileno(self) -> int:
        """The descriptor that sends frames which no slot holds."""
        return self._opened.oversize.fileno()

    def take_error(self) -> int:
        """The socket's pending error as an errno, 0 if there is none; asking clears it."""
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def mute(self) -> None:
        """Accept no frame from now on; what was received stays in the ring, and frames leave as before.

        A processor that is at a frame may still put that one in.
        """
        accept_nothing(self._socket)

    def unmute(self) -> None:
        """Accept frames from now on. It must be muted."""
        self._socket.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)

    def stamp(self, wanted: bool) -> None:
        """Ask the kernel to stamp every frame with the time of its arrival, or no longer: see `handover`. What it does
        for one socket it does for all; it may take some milliseconds to begin."""
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, int(wanted))

    def statistics(self) -> RingStatistics:
        """A snapshot; the kernel's own counters, which reading clears, summed up. Call it from one thread."""
        try:
            raw = self._socket.getsockopt(kernel.SOL_PACKET, kernel.PACKET_STATISTICS, 8)
        except OSError:  # closed, or its interface is gone: what is known stays known
            return RingStatistics(self._packets, self._drops)
        packets, drops = struct.unpack("II", raw)
        self._packets += packets
        self._drops += drops
        return RingStatistics(self._packets, self._drops)

    def close(self) -> None:
        if self._mapped:
            self._mapped = False
            if self._reserved:
                reserve_memory(self.geometry.mapped_bytes, self.receive_ring)
            else:
                unmap_memory(self.receive_ring, self.geometry.mapped_bytes)
        self._opened.close()

    def __enter__(self) -> PacketSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
