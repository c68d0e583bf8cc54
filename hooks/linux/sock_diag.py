"""linux/sock_diag.h and linux/inet_diag.h: sockets, told of when they end."""

from __future__ import annotations

import ctypes

NETLINK_SOCK_DIAG = 4
SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP = 1

SKNLGRP_INET_TCP_DESTROY = 1
SKNLGRP_INET_UDP_DESTROY = 2
SKNLGRP_INET6_TCP_DESTROY = 3
SKNLGRP_INET6_UDP_DESTROY = 4


class inet_diag_sockid(ctypes.Structure):
    """Ports and addresses in network order; `idiag_cookie` is SO_COOKIE, its low half first."""

    _fields_ = (
        ("idiag_sport", ctypes.c_uint16),
        ("idiag_dport", ctypes.c_uint16),
        ("idiag_src", ctypes.c_uint32 * 4),
        ("idiag_dst", ctypes.c_uint32 * 4),
        ("idiag_if", ctypes.c_uint32),
        ("idiag_cookie", ctypes.c_uint32 * 2),
    )


class inet_diag_msg(ctypes.Structure):
    """The first fields of what is told of a socket."""

    _fields_ = (
        ("idiag_family", ctypes.c_uint8),
        ("idiag_state", ctypes.c_uint8),
        ("idiag_timer", ctypes.c_uint8),
        ("idiag_retrans", ctypes.c_uint8),
        ("id", inet_diag_sockid),
    )
