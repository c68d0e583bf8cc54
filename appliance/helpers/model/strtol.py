"""Numbers in text, in Python, for the interpreter; `native.numbers` says the same in native code.

blanks   -   0x   digits
'  '   '-'  '0x'  '1f'     the kernel reads no more than 63 characters behind the sign
"""

from __future__ import annotations

import errno

from appliance.ebpf.interpreter import Helper, HelperCall, Value

M64 = (1 << 64) - 1
BASES = (0, 8, 10, 16)
BLANKS = frozenset((*range(9, 14), 32, 160))  # the kernel's isspace, of Latin-1
LONGEST = 63


def strtol(call: HelperCall) -> Value:
    """The signed number in the r2 bytes at r1, in the base r3 (0: as it is written), to r4.

    How many characters it has; or -EINVAL, -ERANGE, and then r4 gets 0.
    """
    consumed, negative, magnitude = _parse(call)
    if consumed > 0 and magnitude > (1 << 63) - 1 + negative:
        consumed = -errno.ERANGE
    return _answer(call, consumed, -magnitude if negative else magnitude)


def strtoul(call: HelperCall) -> Value:
    """As strtol, of a number without a sign: -EINVAL if it has one."""
    consumed, negative, magnitude = _parse(call)
    return _answer(call, -errno.EINVAL if consumed > 0 and negative else consumed, magnitude)


def _answer(call: HelperCall, consumed: int, number: int) -> Value:
    call.write(3, (number & M64 if consumed > 0 else 0).to_bytes(8, "little"))
    return consumed & M64


def _parse(call: HelperCall) -> tuple[int, bool, int]:
    """How many characters were read, or -errno; whether a minus was; and the number behind it."""
    text, base = call.read(0, call.number(1)), call.number(2)
    if base not in BASES:
        return -errno.EINVAL, False, 0
    at = next((place for place, character in enumerate(text) if character not in BLANKS), len(text))
    negative = text[at : at + 1] == b"-"
    at += negative
    window = text[at : at + LONGEST].lower()
    base, start = _radix(window, base)
    end, number = start, 0
    while end < len(window) and (digit := _digit(window[end])) < base:
        number, end = number * base + digit, end + 1
    if number > M64:
        return -errno.ERANGE, negative, 0
    return at + end if end > start else -errno.EINVAL, negative, number


def _radix(window: bytes, base: int) -> tuple[int, int]:
    """The base, and where the digits start."""
    prefixed = window[:2] == b"0x"
    if base == 0:
        hexadecimal = prefixed and len(window) > 2 and _digit(window[2]) < 16
        base = 16 if hexadecimal else 8 if window[:1] == b"0" else 10
    return base, 2 if base == 16 and prefixed else 0


def _digit(character: int) -> int:
    """What the character counts; 16 if it is no digit of any base."""
    place = b"0123456789abcdef".find(character)
    return place if place >= 0 else 16


HELPERS: dict[str, Helper] = {"strtol": strtol, "strtoul": strtoul}
