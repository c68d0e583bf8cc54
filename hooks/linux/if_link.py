"""include/uapi/linux/if.h and sockios.h: asking about an interface by its name, through any socket."""

from __future__ import annotations

import ctypes

IFNAMSIZ = 16

SIOCGIFFLAGS = 0x8913
SIOCGIFMTU = 0x8921
SIOCGIFINDEX = 0x8933

IFF_UP = 1 << 0
IFF_LOOPBACK = 1 << 3
IFF_RUNNING = 1 << 6
IFF_PROMISC = 1 << 8


class ifreq_union(ctypes.Union):
    """What is asked for, or the address of more."""

    _fields_ = (
        ("ifr_flags", ctypes.c_int16),
        ("ifr_ifindex", ctypes.c_int32),
        ("ifr_mtu", ctypes.c_int32),
        ("ifr_data", ctypes.c_uint64),
        ("room", ctypes.c_uint8 * 24),
    )


class ifreq(ctypes.Structure):
    """One question about the interface `ifr_name`."""

    _anonymous_ = ("ifr_ifru",)
    _fields_ = (("ifr_name", ctypes.c_char * IFNAMSIZ), ("ifr_ifru", ifreq_union))
