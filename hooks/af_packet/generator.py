"""A generator of load: prepared frames sent again and again, many per system call.

The frames lie one after the other in one buffer that the caller may patch between two calls:

    buffer     [ frame 0 ][ frame 1 ][ frame 2 ]…
    messages   one mmsghdr and one iovec for each, made once; sendmmsg(2) takes a run of them
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Sequence

from hooks.linux.if_packet import PACKET_QDISC_BYPASS, SOL_PACKET
from hooks.linux.socket import ENOBUFS, iovec, mmsghdr

_libc = ctypes.CDLL(None, use_errno=True)


class FrameGenerator:
    """Frames ready to leave by one interface. `buffer` is their memory, `offsets` is where in it each begins.
    For one thread."""

    def __init__(self, interface: str, frames: Sequence[bytes]) -> None:
        self.buffer = bytearray().join(frames)
        self.offsets: list[int] = []
        self.count = len(frames)
        memory = (ctypes.c_char * len(self.buffer)).from_buffer(self.buffer)
        self._stretches = (iovec * self.count)()
        self._messages = (mmsghdr * self.count)()
        address, stretch = ctypes.addressof(memory), ctypes.addressof(self._stretches)
        offset = 0
        for number, frame in enumerate(frames):
            self.offsets.append(offset)
            self._stretches[number] = iovec(address + offset, len(frame))
            header = self._messages[number].msg_hdr
            header.msg_iov, header.msg_iovlen = stretch + number * ctypes.sizeof(iovec), 1
            offset += len(frame)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
        self._socket.bind((interface, 0))

    def send(self, first: int, count: int) -> int:
        """Send `count` frames from number `first` on; return how many left. Fewer: try the rest later."""
        messages = ctypes.addressof(self._messages) + first * ctypes.sizeof(mmsghdr)
        sent = _libc.sendmmsg(self._socket.fileno(), ctypes.c_void_p(messages), count, 0)
        if sent < 0:
            number = ctypes.get_errno()
            if number != ENOBUFS:
                raise OSError(number, os.strerror(number))
            return 0
        return int(sent)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> FrameGenerator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
