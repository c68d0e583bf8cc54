"""include/uapi/linux/if_arp.h: what kind of link header an interface's frames begin with."""

from __future__ import annotations

ARPHRD_ETHER = 1
ARPHRD_LOOPBACK = 772
