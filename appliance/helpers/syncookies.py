"""The numbers that SYN cookies are made of, the same in both engines.

    cookie = HASH(first key, flow, 0) + sequence number + (count << 24) + (HASH(second key, flow, count) + m & 0xffffff)

`count` goes up once a minute; `m` is the place of the connection's segment size in a table of four. Who gets the cookie
back as an acknowledgement, with the flow and the sequence number, can take all of it off again.

Sources: net/ipv4/syncookies.c and net/ipv6/syncookies.c; bpf_tcp_raw_{gen,check}_syncookie_* of net/core/filter.c.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from appliance.helpers.syncookie_secrets import Secrets

COUNT_SHIFT = 24
COUNT_MASK = (1 << 8) - 1
DATA_MASK = (1 << COUNT_SHIFT) - 1
PERIOD = 60_000_000_000  # nanoseconds
OLDEST = 2  # periods from which on a cookie is too old

TCP_HEADER = 20  # bytes without options
TCPOPT_EOL, TCPOPT_NOP, TCPOPT_MSS, TCPOLEN_MSS = 0, 1, 2, 4


class Place(NamedTuple):
    """Where the addresses are in a header, and how large each is, in bytes."""

    source: int
    destination: int
    size: int


@dataclass(frozen=True, slots=True)
class Family:
    """One version of IP. `sizes` are the segments that a cookie can stand for; `usual` is taken without an option."""

    name: str
    sizes: tuple[int, ...]
    usual: int
    addresses: Place
    secrets: int  # the first key's place in Secrets


IPV4 = Family("ipv4", (536, 1300, 1440, 1460), 536, Place(12, 16, 4), Secrets.ipv4.offset)
IPV6 = Family("ipv6", (1220, 1420, 1440, 8940), 1220, Place(8, 24, 16), Secrets.ipv6.offset)
