"""Internet addresses as the kernel lays them out, whole or in part.

    sockaddr_in    family 2 | port 2 | address 4  | zero 8                       16 bytes
    sockaddr_in6   family 2 | port 2 | flow 4     | address 16 | scope 4         28 bytes

Family in host order; port and address in network order. Sources: linux/in.h, linux/in6.h.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from ipaddress import ip_address

AF_UNSPEC, AF_INET, AF_INET6 = int(socket.AF_UNSPEC), int(socket.AF_INET), int(socket.AF_INET6)
SHORTEST = {AF_INET: 16, AF_INET6: 24}  # bytes that the kernel asks for: sockaddr_in, SIN6_LEN_RFC2133
_ADDRESS = {AF_INET: slice(4, 8), AF_INET6: slice(8, 24)}  # where the address lies


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """An address of the family that the socket has; `raw` is what the call gave, which may say another family."""

    family: int
    raw: bytes

    @classmethod
    def read(cls, raw: bytes, family: int) -> SocketAddress | None:
        """None if it is too short to be one."""
        return cls(family, raw) if len(raw) >= SHORTEST.get(family, len(raw) + 1) else None

    @property
    def named_family(self) -> int:
        """The family that its first bytes name."""
        return int.from_bytes(self.raw[:2], "little")

    @property
    def port(self) -> int:
        return int.from_bytes(self.raw[2:4], "big")

    @property
    def address(self) -> bytes:
        """4 or 16 bytes."""
        return self.raw[_ADDRESS[self.family]]

    def moved(self, address: bytes, port: bytes) -> SocketAddress:
        """The same with another address and port, in network order."""
        raw, place = bytearray(self.raw), _ADDRESS[self.family]
        raw[2:4], raw[place] = port, address
        return self if raw == self.raw else replace(self, raw=bytes(raw))

    def __str__(self) -> str:
        text = str(ip_address(self.address))
        return f"[{text}]:{self.port}" if self.family == AF_INET6 else f"{text}:{self.port}"
