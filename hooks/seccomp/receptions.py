"""Datagrams that a thread receives: taken into this process's memory, and then written to the thread's.

msghdr    0 msg_name   8 msg_namelen   16 msg_iov  24 msg_iovlen   32 msg_control  40 msg_controllen   48 msg_flags
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hooks.linux.socket import iovec, msghdr
from hooks.seccomp.messages import LONGEST_CONTROL, LONGEST_DATAGRAM, UIO_MAXIOV
from hooks.seccomp.sockets import LONGEST_ADDRESS, Duplicate
from hooks.seccomp.threads import read_memory, write_memory

_recvmsg = ctypes.CDLL(None, use_errno=True).recvmsg
_recvmsg.restype = ctypes.c_ssize_t


@dataclass(frozen=True, slots=True)
class Datagram:
    """What came: `length` is what the call answers, which may be more than the data (MSG_TRUNC)."""

    length: int
    data: bytes
    address: bytes
    control: bytes
    flags: int

    def from_(self, address: bytes) -> Datagram:
        """The same from another address."""
        return replace(self, address=address)


@dataclass(frozen=True, slots=True)
class Reception:
    """Where a thread wants a datagram: stretches of its memory, and the address of its msghdr, or, for recvfrom(2), of
    the address and of its length."""

    stretches: Sequence[tuple[int, int]]
    name: int
    name_length: int
    control: int = 0
    control_length: int = 0
    head: int = 0
    name_length_place: int = 0

    @classmethod
    def of(cls, thread: int, place: int) -> Reception:
        """By the msghdr at that address. Raises OSError, as the kernel would."""
        head = msghdr.from_buffer_copy(read_memory(thread, place, ctypes.sizeof(msghdr)))
        if head.msg_iovlen > UIO_MAXIOV:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        listed = read_memory(thread, head.msg_iov, head.msg_iovlen * ctypes.sizeof(iovec))
        stretches = [(one.iov_base, one.iov_len) for one in (iovec * head.msg_iovlen).from_buffer_copy(listed)]
        control = min(head.msg_controllen, LONGEST_CONTROL) if head.msg_control else 0
        return cls(stretches, head.msg_name, head.msg_namelen, head.msg_control, control, head=place)

    @classmethod
    def of_arguments(cls, thread: int, place: int, size: int, name: int, length_place: int) -> Reception:
        """By the arguments of recvfrom(2). Raises OSError."""
        length = int.from_bytes(read_memory(thread, length_place, 4), "little", signed=True)
        if length < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return cls([(place, size)], name, length, name_length_place=length_place)

    def take(self, socket: Duplicate, flags: int) -> Datagram | int:
        """Receive; an errno, negative, if there is nothing."""
        room = min(sum(size for _, size in self.stretches), LONGEST_DATAGRAM)
        data, name = ctypes.create_string_buffer(room or 1), ctypes.create_string_buffer(LONGEST_ADDRESS)
        control = ctypes.create_string_buffer(self.control_length or 1)
        stretch = iovec(ctypes.addressof(data), room)
        head = msghdr(
            msg_name=ctypes.addressof(name),
            msg_namelen=LONGEST_ADDRESS,
            msg_iov=ctypes.addressof(stretch),
            msg_iovlen=1,
            msg_control=ctypes.addressof(control) if self.control_length else 0,
            msg_controllen=self.control_length,
        )
        got = int(_recvmsg(socket.descriptor, ctypes.byref(head), flags))
        if got < 0:
            return -ctypes.get_errno()
        address, beside = name.raw[: head.msg_namelen], control.raw[: head.msg_controllen]
        return Datagram(got, data.raw[: min(got, room)], address, beside, head.msg_flags)

    def put(self, thread: int, datagram: Datagram) -> int:
        """Write it where the thread wants it; what the call answers. Raises OSError (EFAULT): it is lost then."""
        left = datagram.data
        for place, size in self.stretches:
            part, left = left[:size], left[size:]
            if part:
                write_memory(thread, place, part)
        if self.name:
            if cut := datagram.address[: self.name_length]:
                write_memory(thread, self.name, cut)
            length = len(datagram.address).to_bytes(4, "little")
            write_memory(thread, self.name_length_place or self.head + msghdr.msg_namelen.offset, length)
        if self.head:
            if datagram.control:
                write_memory(thread, self.control, datagram.control)
            write_memory(thread, self.head + msghdr.msg_controllen.offset, len(datagram.control).to_bytes(8, "little"))
            write_memory(thread, self.head + msghdr.msg_flags.offset, datagram.flags.to_bytes(4, "little"))
        return datagram.length
