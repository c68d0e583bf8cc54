"""rtnetlink messages, byte by byte: for what pyroute2 can't express, in the network namespace of the calling thread.

    nlmsghdr │ tcmsg │ rtattr … rtattr           rtattr: length (itself included), type, value, padding to 4 bytes

Sources: netlink(7), rtnetlink(7), <linux/netlink.h>.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator

from hooks.linux import rtnetlink as kernel

_HEAD = ctypes.sizeof(kernel.nlmsghdr)
_NLA_TYPE_MASK = 0x3FFF  # <linux/netlink.h>: without NLA_F_NESTED and NLA_F_NET_BYTEORDER


def attribute(kind: int, value: bytes) -> bytes:
    """`struct rtattr`: length and type, 16 bits each in host order, then the value, padded to 4."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes that follow a message's fixed part, by type, without padding."""
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        found[kind & _NLA_TYPE_MASK] = data[4:length]
        data = data[length + -length % 4 :]
    return found


_DATAGRAM = 1 << 16  # bytes; a dump comes in pieces of 32 KiB at most (netlink_dump)


def request(kind: int, flags: int, address: kernel.tcmsg, given: bytes = b"") -> int:
    """Send one request; 0 or the errno of the answer."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as rtnetlink:
        rtnetlink.send(_message(kind, kernel.NLM_F_ACK | flags, address, given))
        answer = rtnetlink.recv(_DATAGRAM)
    return -int(kernel.nlmsgerr.from_buffer_copy(answer, _HEAD).error)


def dump(kind: int, address: kernel.tcmsg) -> Iterator[tuple[kernel.tcmsg, dict[int, bytes]]]:
    """Ask for everything that stands at an address, in the kernel's order. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as rtnetlink:
        rtnetlink.send(_message(kind, kernel.NLM_F_DUMP, address))
        while True:
            for head, body in _split(rtnetlink.recv(_DATAGRAM)):
                if head.nlmsg_type == kernel.NLMSG_DONE:
                    return
                if head.nlmsg_type == kernel.NLMSG_ERROR:
                    code = -int(kernel.nlmsgerr.from_buffer_copy(body).error)
                    raise OSError(code, os.strerror(code))
                fixed = ctypes.sizeof(kernel.tcmsg)
                yield kernel.tcmsg.from_buffer_copy(body), attributes(body[fixed:])


def _message(kind: int, flags: int, address: kernel.tcmsg, given: bytes = b"") -> bytes:
    body = bytes(address) + given
    head = kernel.nlmsghdr(
        nlmsg_len=_HEAD + len(body), nlmsg_type=kind, nlmsg_flags=kernel.NLM_F_REQUEST | flags, nlmsg_seq=1
    )
    return bytes(head) + body


def _split(data: bytes) -> Iterator[tuple[kernel.nlmsghdr, bytes]]:
    """The messages of one datagram: head and body."""
    while len(data) >= _HEAD:
        head = kernel.nlmsghdr.from_buffer_copy(data)
        yield head, data[_HEAD : head.nlmsg_len]
        data = data[head.nlmsg_len + -head.nlmsg_len % 4 :]
