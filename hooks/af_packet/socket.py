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

import ctypes
import mmap
import socket
import struct
from dataclasses import dataclass
from types import TracebackType

from hooks.af_packet.fanout import NEW_GROUP, Fanout, flow_program
from hooks.errors import HookError, InterfaceError, PrivilegeError
from hooks.interfaces.clsact import BOX_MARK
from hooks.linux import if_packet as kernel
from hooks.linux.filter import BPF_K, BPF_RET, SO_ATTACH_FILTER, SO_DETACH_FILTER, sock_filter, sock_fprog

SO_RCVBUFFORCE = 33
SO_SNDBUFFORCE = 32
SO_TIMESTAMPNS = 35  # SO_TIMESTAMPNS_OLD of asm-generic/socket.h
BLOCK_SIZE = 1 << 16
QUEUE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Geometry:
    """The size of the rings. `slot_size` is a power of two, in bytes; `headroom` is what a program may grow into."""

    slot_size: int = 2048
    receive_slots: int = 4096
    transmit_slots: int = 1024
    headroom: int = 192

    @classmethod
    def for_mtu(cls, mtu: int) -> Geometry:
        """Rings whose slots hold a whole frame of that MTU; fewer slots where they must be larger."""
        slot = 2048
        while slot < mtu + 512:
            slot *= 2
        scale = slot // 2048
        return cls(slot, max(256, 4096 // scale), max(128, 1024 // scale))


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
        self, interface: str, geometry: Geometry, *, fanout: Fanout | None = None, muted: bool = False
    ) -> None:
        """Open, map and bind. `fanout` is the group of the workers on one interface, among whom the kernel deals out
        flows: a new one for the first of them, its `fanout_group()` for the others. `muted`: accept no frame
        before `unmute`. Raises InterfaceError, PrivilegeError or HookError."""
        self.interface = interface
        self.geometry = geometry
        self._packets = self._drops = 0
        self._map: mmap.mmap | None = None
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._oversize = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        except PermissionError as error:
            raise PrivilegeError("packet sockets need CAP_NET_RAW", hint="run as root") from error
        try:
            if muted:
                self.mute()
            self._configure(fanout)
        except OSError as error:
            self.close()
            raise self._explain(error) from error

    def _explain(self, error: OSError) -> HookError:
        if isinstance(error, PermissionError):
            return PrivilegeError("packet rings need CAP_NET_RAW and CAP_NET_ADMIN", hint="run as root")
        return InterfaceError(f"no packet rings: {error.strerror}", where=self.interface)

    def _configure(self, fanout: Fanout | None) -> None:
        ring, queue = self._socket, self._oversize
        set_option = ring.setsockopt
        set_option(kernel.SOL_PACKET, kernel.PACKET_VERSION, kernel.TPACKET_V2)
        set_option(kernel.SOL_PACKET, kernel.PACKET_RESERVE, self.geometry.headroom)
        set_option(kernel.SOL_PACKET, kernel.PACKET_COPY_THRESH, 1)
        set_option(kernel.SOL_PACKET, kernel.PACKET_LOSS, 1)  # a frame that can't be sent must not stall the ring
        set_option(kernel.SOL_PACKET, kernel.PACKET_IGNORE_OUTGOING, 1)
        set_option(socket.SOL_SOCKET, SO_RCVBUFFORCE, QUEUE_BYTES)
        set_option(kernel.SOL_PACKET, kernel.PACKET_QDISC_BYPASS, 1)
        queue.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, BOX_MARK)  # no bypass: the kernel may have to segment
        for each in (ring, queue):
            each.setsockopt(kernel.SOL_PACKET, kernel.PACKET_VNET_HDR, 1)
            each.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, QUEUE_BYTES)
        receive, transmit = (self._request(n) for n in (self.geometry.receive_slots, self.geometry.transmit_slots))
        set_option(kernel.SOL_PACKET, kernel.PACKET_RX_RING, bytes(receive))
        set_option(kernel.SOL_PACKET, kernel.PACKET_TX_RING, bytes(transmit))
        receive_bytes = receive.tp_block_size * receive.tp_block_nr
        transmit_bytes = transmit.tp_block_size * transmit.tp_block_nr
        self._map = mmap.mmap(ring.fileno(), receive_bytes + transmit_bytes, mmap.MAP_SHARED)
        self.receive_ring = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        self.transmit_ring = self.receive_ring + receive_bytes
        ring.bind((self.interface, kernel.ETH_P_ALL))
        queue.bind((self.interface, 0))
        membership = kernel.packet_mreq(socket.if_nametoindex(self.interface), kernel.PACKET_MR_PROMISC)
        set_option(kernel.SOL_PACKET, kernel.PACKET_ADD_MEMBERSHIP, bytes(membership))
        if fanout is not None:
            self._join(fanout)

    def _join(self, fanout: Fanout) -> None:
        # inside a group PACKET_IGNORE_OUTGOING has no effect; the group has a flag of its own for it
        kind = kernel.PACKET_FANOUT_CBPF | kernel.PACKET_FANOUT_FLAG_IGNORE_OUTGOING
        number = fanout.group
        if number == NEW_GROUP:
            kind, number = kind | kernel.PACKET_FANOUT_FLAG_UNIQUEID, 0
        self._socket.setsockopt(kernel.SOL_PACKET, kernel.PACKET_FANOUT, number | kind << 16)
        if fanout.group == NEW_GROUP:  # the group has one program, which the kernel copies
            code = flow_program(fanout.key)
            program = sock_fprog(len(code), code)
            self._socket.setsockopt(kernel.SOL_PACKET, kernel.PACKET_FANOUT_DATA, bytes(program))

    def fanout_group(self) -> int:
        """The number of the fanout group that the socket is in, within its network namespace."""
        return self._socket.getsockopt(kernel.SOL_PACKET, kernel.PACKET_FANOUT) & 0xFFFF

    def _request(self, slots: int) -> kernel.tpacket_req:
        block = max(BLOCK_SIZE, self.geometry.slot_size)
        blocks = -(-slots * self.geometry.slot_size // block)
        return kernel.tpacket_req(block, blocks, self.geometry.slot_size, blocks * block // self.geometry.slot_size)

    @property
    def receive_slots(self) -> int:
        return int(self._request(self.geometry.receive_slots).tp_frame_nr)

    @property
    def transmit_slots(self) -> int:
        return int(self._request(self.geometry.transmit_slots).tp_frame_nr)

    def fileno(self) -> int:
        """The descriptor of the rings: polled for received frames, kicked with an empty send."""
        return self._socket.fileno()

    def oversize_fileno(self) -> int:
        """The descriptor that sends frames which no slot holds."""
        return self._oversize.fileno()

    def take_error(self) -> int:
        """The socket's pending error as an errno, 0 if there is none; asking clears it."""
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def mute(self) -> None:
        """Accept no frame from now on; what was received stays in the ring, and frames leave as before.

        A processor that is at a frame may still put that one in.
        """
        nothing = (sock_filter * 1)(sock_filter(BPF_RET | BPF_K, 0, 0, 0))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, bytes(sock_fprog(len(nothing), nothing)))

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
        if self._map is not None:
            self._map.close()
            self._map = None
        self._socket.close()
        self._oversize.close()

    def __enter__(self) -> PacketSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
