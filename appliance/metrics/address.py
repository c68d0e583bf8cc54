"""Where metrics are served, as documents and options write it."""

from __future__ import annotations


def read_address(text: str) -> tuple[str, int] | None:
    """`127.0.0.1:9478` or `[::1]:9478` as address and port."""
    address, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
        return None
    if address.startswith("[") and address.endswith("]"):
        return address[1:-1], int(port)
    return None if not address or ":" in address else (address, int(port))
