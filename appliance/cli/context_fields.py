"""Fields of a hook's context on the command line: `--context NAME=VALUE`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address

from appliance.errors import InputRefused


def read_field(text: str) -> tuple[str, int | bytes]:
    """A name, and a number as the program reads it, or the bytes of the field. Raises InputRefused."""
    name, _, value = text.partition("=")
    for read in _READERS:
        with suppress(ValueError):
            return name, read(value)
    hint = "write it as in `ingress_ifindex=2`, `user_port=0x5000`, `user_ip4=192.0.2.1`, `socket_address=hex:0200 …`"
    raise InputRefused(f"{text!r} is no field with a value", where="--context", hint=hint)


def _hexadecimal(text: str) -> bytes:
    head, _, digits = text.partition("hex:")
    if head or not digits:
        raise ValueError(text)
    return bytes.fromhex(digits)


_READERS: tuple[Callable[[str], int | bytes], ...] = (
    lambda text: int(text, 0),
    lambda text: ip_address(text).packed,
    _hexadecimal,
)
