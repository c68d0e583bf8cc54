"""Messages that a thread sends: copied from its memory, once, and sent from this one's.

msghdr ─┬─ msg_name      the address, if there is one
        ├─ msg_iov ───── stretches of data, which are one datagram
        └─ msg_control   how to send it: from which address, with which mark
"""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass

from hooks.linux.socket import iovec, mmsghdr, msghdr
from hooks.seccomp.sockets import LONGEST_ADDRESS, Duplicate
from hooks.seccomp.threads import read_memory

UIO_MAXIOV = 1024  # linux/uio.h
LONGEST_DATAGRAM = 65536  # bytes: one more than any that can be sent, so that the kernel refuses it
LONGEST_CONTROL = 1 << 16
MSG_ZEROCOPY = 0x4000000

_sendmsg = ctypes.CDLL(None, use_errno=True).sendmsg
_sendmsg.restype = ctypes.c_ssize_t


@dataclass(frozen=True, slots=True)
class Message:
    """A datagram to send: the address (empty: where it is connected to), the data, and the control messages."""

    address: bytes
    data: bytes
    control: bytes

    @classmethod
    def of(cls, thread: int, place: int) -> Message:
        """Read it by the msghdr at that address of the thread's memory. Raises OSError, as the kernel would."""
        return cls._read(thread, msghdr.from_buffer_copy(read_memory(thread, place, ctypes.sizeof(msghdr))))

    @classmethod
    def of_vector(cls, thread: int, place: int, index: int) -> Message:
        """The same of an array of mmsghdr."""
        return cls.of(thread, place + index * ctypes.sizeof(mmsghdr))

    @classmethod
    def _read(cls, thread: int, head: msghdr) -> Message:
        if head.msg_iovlen > UIO_MAXIOV:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        if head.msg_controllen > LONGEST_CONTROL:
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
        length = min(head.msg_namelen, LONGEST_ADDRESS) if head.msg_name else 0  # as copy_msghdr_from_user has it
        address = read_memory(thread, head.msg_name, length)
        stretches = read_memory(thread, head.msg_iov, head.msg_iovlen * ctypes.sizeof(iovec))
        data = b""
        for stretch in (iovec * head.msg_iovlen).from_buffer_copy(stretches):
            left = LONGEST_DATAGRAM - len(data)
            data += read_memory(thread, stretch.iov_base, min(stretch.iov_len, left))
        return cls(address, data, read_memory(thread, head.msg_control, head.msg_controllen))

    def send(self, socket: Duplicate, flags: int) -> int:
        """How many bytes were sent, or an errno, negative."""
        address, data, control = self.address, self.data, self.control
        kept = [ctypes.create_string_buffer(text, len(text) or 1) for text in (address, data, control)]
        name, payload, extra = map(ctypes.addressof, kept)
        stretch = iovec(payload, len(data))
        head = msghdr(
            msg_name=name if address else 0,
            msg_namelen=len(address),
            msg_iov=ctypes.addressof(stretch),
            msg_iovlen=1,
            msg_control=extra if control else 0,
            msg_controllen=len(control),
        )
        sent = int(_sendmsg(socket.descriptor, ctypes.byref(head), flags & ~MSG_ZEROCOPY))
        return sent if sent >= 0 else -ctypes.get_errno()
