"""Memory and strings in Python, for the interpreter; `native.memory` says the same in native code."""

from __future__ import annotations

import errno

from appliance.ebpf.interpreter import Helper, HelperCall, Value

M64 = (1 << 64) - 1


def memmove_s(call: HelperCall) -> Value:
    """Copy r4 bytes from r3 to r1, which has room for r2; they may overlap. 0, or -ERANGE and zeros in all of r1."""
    room, size = call.number(1), call.number(3)
    source = call.read(2, size)
    call.write(0, source if size <= room else bytes(room))
    return 0 if size <= room else -errno.ERANGE & M64


def memcmp_s(call: HelperCall) -> Value:
    """-1, 0 or 1: the order of r2 bytes at r1 and r4 bytes at r3; of memories that begin alike, the shorter is less."""
    left, right = call.read(0, call.number(1)), call.read(2, call.number(3))
    return (left > right) - (left < right) & M64


def memset(call: HelperCall) -> Value:
    """Fill r2 bytes at r1 with the lowest byte of r3. 0, where eBPF for Windows tells the memory's address."""
    call.write(0, bytes((call.number(2) & 0xFF,)) * call.number(1))
    return 0


def strncpy_s(call: HelperCall) -> Value:
    """Copy the string at r3, or its first r4 characters, to r1 with room for r2, and zeros behind it. 0 or -ERANGE."""
    room, text = call.number(1), _text(call.read(2, call.number(3)))
    fits = len(text) < room
    call.write(0, text + bytes(room - len(text)) if fits else bytes(room))
    return 0 if fits else -errno.ERANGE & M64


def strncat_s(call: HelperCall) -> Value:
    """Append the string at r3, or its first r4 characters, to the one at r1, which has room for r2. 0; or -EINVAL if r1
    holds no string, -ERANGE if both do not fit, and then an empty string."""
    room = call.number(1)
    held, text = _text(call.read(0, room)), _text(call.read(2, call.number(3)))
    if len(held) + len(text) < room:
        call.write(0, held + text + b"\0")
        return 0
    call.write(0, bytes(min(room, 1)))
    return -(errno.EINVAL if len(held) == room else errno.ERANGE) & M64


def strnlen_s(call: HelperCall) -> Value:
    """The length of the string in the r2 bytes at r1; r2 if no zero ends it."""
    return len(_text(call.read(0, call.number(1))))


def _text(memory: bytes) -> bytes:
    """What is in front of the first zero."""
    return memory.partition(b"\0")[0]


HELPERS: dict[str, Helper] = {
    "memcpy_s": memmove_s,
    "memmove_s": memmove_s,
    "memcmp_s": memcmp_s,
    "memset": memset,
    "strncpy_s": strncpy_s,
    "strncat_s": strncat_s,
    "strnlen_s": strnlen_s,
}
