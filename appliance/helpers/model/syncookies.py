"""SYN cookies in Python; what they are made of stands in `helpers.syncookies`."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable, Mapping
from functools import partial

from appliance.ebpf.interpreter import Helper, HelperCall, Value
from appliance.helpers.syncookie_secrets import FORCE_SHIFT, KEY_SIZE, SETS, Secrets
from appliance.helpers.syncookies import (
    COUNT_MASK,
    COUNT_SHIFT,
    DATA_MASK,
    IPV4,
    IPV6,
    OLDEST,
    PERIOD,
    TCP_HEADER,
    TCPOLEN_MSS,
    TCPOPT_EOL,
    TCPOPT_MSS,
    TCPOPT_NOP,
    Family,
)
from hooks.contracts.contract import HostContext

M32 = (1 << 32) - 1
M64 = (1 << 64) - 1

Clock = Callable[[HostContext], int]


def cookie_helpers(clock: Clock) -> Mapping[str, Helper]:
    """The helpers by name; `clock` tells the nanoseconds that count the minutes."""
    return {
        f"tcp_raw_{what}_syncookie_{family.name}": partial(helper, family, clock)
        for what, helper in (("gen", gen_syncookie), ("check", check_syncookie))
        for family in (IPV4, IPV6)
    }


def siphash(key: bytes, message: bytes) -> int:
    """SipHash-2-4 (Aumasson and Bernstein, 2012) of whole 8-byte words."""
    first, second = (int.from_bytes(key[at : at + 8], "little") for at in (0, 8))
    a, b = first ^ 0x736F6D6570736575, second ^ 0x646F72616E646F6D
    c, d = first ^ 0x6C7967656E657261, second ^ 0x7465646279746573
    words = [int.from_bytes(message[at : at + 8], "little") for at in range(0, len(message), 8)]
    for word in (*words, len(message) % 256 << 56):
        a, b, c, d = _rounds(2, a, b, c, d ^ word)
        a ^= word
    a, b, c, d = _rounds(4, a, b, c ^ 0xFF, d)
    return a ^ b ^ c ^ d


def _rounds(number: int, a: int, b: int, c: int, d: int) -> tuple[int, int, int, int]:
    for _ in range(number):
        a, c = a + b & M64, c + d & M64
        b, d = _rotate(b, 13) ^ a, _rotate(d, 16) ^ c
        a, c = _rotate(a, 32) + d & M64, c + b & M64
        d, b = _rotate(d, 21) ^ a, _rotate(b, 17) ^ c
        c = _rotate(c, 32)
    return a, b, c, d


def _rotate(value: int, left: int) -> int:
    return (value << left | value >> 64 - left) & M64


def _in_force(secrets: int, minute: int) -> int:
    """Where the secrets of that minute are (see syncookie_secrets)."""
    return secrets + (minute >> FORCE_SHIFT) % SETS * ctypes.sizeof(Secrets)


def _hash(family: Family, secrets: int, ip: bytes, tcp: bytes, which: int, count: int) -> int:
    """32 bits of the flow under one of the two keys."""
    place = family.addresses
    addresses = ip[place.source : place.source + place.size] + ip[place.destination : place.destination + place.size]
    counted = count.to_bytes(4, "little")
    flow = tcp[2:4] + tcp[0:2] + counted if family is IPV4 else counted + tcp[0:4]
    held = ctypes.string_at(secrets, ctypes.sizeof(Secrets))
    key = held[family.secrets + which * KEY_SIZE :][:KEY_SIZE]
    return siphash(key, addresses + flow) & M32


def gen_syncookie(family: Family, clock: Clock, call: HelperCall) -> Value:
    """The cookie for the connection that a SYN (IP header r1, TCP header r2 of r3 bytes) asks for, and in bits 32 to 47
    the segment size that it stands for. -EINVAL if r3 is not the header's length, -EOPNOTSUPP without secrets."""
    host, length = call.context.host, call.number(2) & M32
    ip = call.read(0, TCP_HEADER if family is IPV4 else 2 * TCP_HEADER)
    tcp = call.read(1, length) if length else b""
    if length < TCP_HEADER or tcp[12] >> 4 << 2 != length:
        return -errno.EINVAL & M64
    if not host.cookies:
        return -errno.EOPNOTSUPP & M64
    count, asked = clock(host) // PERIOD & M32, _segment_size(tcp) or family.usual
    place = max(number for number, size in enumerate(family.sizes) if asked >= size or not number)
    secrets = _in_force(host.cookies, count)
    mark = _hash(family, secrets, ip, tcp, 0, 0) + int.from_bytes(tcp[4:8], "big")
    hidden = _hash(family, secrets, ip, tcp, 1, count) + place & DATA_MASK
    return family.sizes[place] << 32 | (mark + (count << COUNT_SHIFT) + hidden & M32)


def check_syncookie(family: Family, clock: Clock, call: HelperCall) -> Value:
    """0 if the acknowledgement in the TCP header r2 is a cookie of ours that is young enough, else -EACCES."""
    host = call.context.host
    ip, tcp = call.read(0, TCP_HEADER if family is IPV4 else 2 * TCP_HEADER), call.read(1, TCP_HEADER)
    if not host.cookies:
        return -errno.EACCES & M64
    count = clock(host) // PERIOD & M32
    sets = {_in_force(host.cookies, minute & M32) for minute in (count, count - OLDEST + 1)}
    ours = any(_is_ours(family, secrets, ip, tcp, count) for secrets in sets)
    return 0 if ours else -errno.EACCES & M64


def _is_ours(family: Family, secrets: int, ip: bytes, tcp: bytes, count: int) -> bool:
    """Whether what is acknowledged is a cookie under these secrets that is young enough."""
    sequence, acknowledged = (int.from_bytes(tcp[at : at + 4], "big") for at in (4, 8))
    rest = acknowledged - 1 - _hash(family, secrets, ip, tcp, 0, 0) - (sequence - 1) & M32
    age = count - (rest >> COUNT_SHIFT) & COUNT_MASK
    if age >= OLDEST:
        return False
    place = rest - _hash(family, secrets, ip, tcp, 1, count - age & M32) & DATA_MASK
    return place < len(family.sizes)


def _segment_size(tcp: bytes) -> int:
    """What the options say, 0 if nothing."""
    size, options = 0, tcp[TCP_HEADER:]
    while options and options[0] != TCPOPT_EOL:
        if options[0] == TCPOPT_NOP:
            options = options[1:]
            continue
        if len(options) < 2 or not 2 <= options[1] <= len(options):
            break
        if options[0] == TCPOPT_MSS and options[1] == TCPOLEN_MSS:
            size = int.from_bytes(options[2:4], "big") or size
        options = options[options[1] :]
    return size
